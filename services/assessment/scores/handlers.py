"""Answers for scores and publishes them when their facts have moved."""

import asyncio
from collections.abc import Sequence
from datetime import datetime
from fractions import Fraction

from services.assessment.periods import Period, quarter_of
from services.assessment.rule_sets.library import rule_set_for
from services.assessment.rule_sets.rules import RuleSet
from services.assessment.scores import store
from services.assessment.scores.rules import IndicatorScore, Score, score_of
from services.contracts.assessment import IndicatorValue, ScorePublished
from services.contracts.ids import EventId, UnitCode
from services.eventing.facts import Fact, derived_id
from services.eventing.outbox import emit
from services.eventing.ports import Ports, Reads, Transaction
from services.eventing.relay.lease import LeaseGuard

PUBLISH_UNITS_MAX = 3
"""Units published in one run of the due work: the rest follow in the next, those that waited longest first."""
PUBLISH_EVERY_S = 4.0
"""Real seconds between two runs that publish: while a history is loaded every unit moves all the time, and its score is
made of thousands of rows."""
PUBLISH_RULE = "publish-1"


async def get_score(reads: Reads, unit: str, period: Period, rule_set: RuleSet) -> Score:
    """The live score of one unit."""
    return score_of(unit, period, rule_set, await store.load_inputs(reads, unit, period, rule_set))


async def list_scores(reads: Reads, area: str, period: Period, rule_set: RuleSet) -> Sequence[Score]:
    """The live scores of an area's units, by unit code."""
    return [await get_score(reads, unit, period, rule_set) for unit in await store.units_within(reads, area)]


class ScorePublisher:
    """Due work of the assessment relay: announces the open quarter's score of units whose facts have moved."""

    name = "scores"

    def __init__(self, ports: Ports) -> None:
        self._ports = ports
        self._waiting: list[str] = []
        self._rests_until = 0.0

    async def run(self, now: datetime, guard: LeaseGuard) -> int:
        """Publishes the next few units, unless it has just done so; how many."""
        real_time = asyncio.get_running_loop().time
        if real_time() < self._rests_until:
            return 0
        period = quarter_of(now)
        rule_set = rule_set_for(period.last_day.isoformat())
        counted = await store.facts_counted(self._ports.store)
        published = await store.load_published(self._ports.store, sorted(counted))
        seen = {unit: (row["facts"], row["period"]) for unit, row in published.items()}
        moved = [unit for unit, facts in sorted(counted.items()) if seen.get(unit) != (facts, period.name)]
        self._waiting = [unit for unit in self._waiting if unit in moved]
        self._waiting += [unit for unit in moved if unit not in self._waiting]
        turn, self._waiting = self._waiting[:PUBLISH_UNITS_MAX], self._waiting[PUBLISH_UNITS_MAX:]
        for unit in turn:
            # Facts are counted before the inputs are read: what arrives between is published once more, never missed.
            score = await get_score(self._ports.store, unit, period, rule_set)
            await self._publish(score, counted[unit], now, guard)
        if turn:
            self._rests_until = real_time() + PUBLISH_EVERY_S
        return len(turn)

    async def _publish(self, score: Score, facts_seen: int, now: datetime, guard: LeaseGuard) -> None:
        row_id = self._ports.ids.new()

        async def publish(tx: Transaction) -> None:
            known = (await store.load_published(tx, [score.unit])).get(score.unit)
            revision = known["revision"] + 1 if known is not None else 1
            period = score.period.name
            await store.save_published(tx, score.unit, facts_seen=facts_seen, revision=revision, period=period)
            event = published_score(score, revision)
            identity = EventId(derived_id(f"{score.unit}|{revision}", PUBLISH_RULE, 0))
            await emit(tx, [Fact(identity, event, now)], row_id=row_id, at=now)

        await guard.transact(publish)


def published_score(score: Score, revision: int) -> ScorePublished:
    """The announcement of a score."""
    return ScorePublished(
        unit=UnitCode(score.unit),
        period=score.period.name,
        rule_set=score.rule_set,
        revision=revision,
        points=exact(score.points),
        indicators=tuple(_published_indicator(row) for row in score.indicators),
    )


def _published_indicator(row: IndicatorScore) -> IndicatorValue:
    return IndicatorValue(
        indicator=row.indicator,
        numerator=exact(row.share.numerator) if row.share is not None else None,
        denominator=exact(row.share.denominator) if row.share is not None else None,
        value=exact(row.value) if row.value is not None else None,
        points=exact(row.points),
    )


def exact(value: Fraction) -> str:
    """A rational as ``numerator/denominator``, also where the denominator is 1."""
    return f"{value.numerator}/{value.denominator}"
