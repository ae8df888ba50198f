"""Answers for scores and publishes them when their facts have moved."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime
from fractions import Fraction

import msgspec

from services.assessment.periods import Period, quarter_before, quarter_of
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
    """Due work of the assessment relay: announces scores of units whose facts have moved.

    The open quarter's, and that of the quarter before, whose paper and time-outs still arrive.
    """

    name = "scores"

    def __init__(self, ports: Ports) -> None:
        self._ports = ports
        self._waiting: list[tuple[str, Period]] = []
        self._rests_until = 0.0

    async def run(self, now: datetime, guard: LeaseGuard) -> int:
        """Looks at the next few scores, unless it has just done so; how many it announced."""
        real_time = asyncio.get_running_loop().time
        if real_time() < self._rests_until:
            return 0
        counted = await store.facts_counted(self._ports.store)
        turn = await self._next(counted, quarter_of(now))
        announced = 0
        for unit, period in turn:
            # Facts are counted before the inputs are read: what arrives between is looked at once more, never missed.
            score = await get_score(self._ports.store, unit, period, rule_set_for(period.last_day.isoformat()))
            announced += await self._publish(score, counted[unit], now, guard)
        if turn:
            self._rests_until = real_time() + PUBLISH_EVERY_S
        return announced

    async def _next(self, counted: Mapping[str, int], open_quarter: Period) -> list[tuple[str, Period]]:
        """Whose turn it is: scores not looked at since their unit's facts moved, those that waited longest first."""
        both = [(unit, period) for period in (open_quarter, quarter_before(open_quarter)) for unit in sorted(counted)]
        known = await store.load_published(self._ports.store, [store.published_id(u, p.name) for u, p in both])
        seen = {identifier: row["facts"] for identifier, row in known.items()}
        moved = [(u, p) for u, p in both if seen.get(store.published_id(u, p.name)) != counted[u]]
        waiting = [each for each in self._waiting if each in moved]
        waiting += [each for each in moved if each not in waiting]
        self._waiting = waiting[PUBLISH_UNITS_MAX:]
        return waiting[:PUBLISH_UNITS_MAX]

    async def _publish(self, score: Score, facts_seen: int, now: datetime, guard: LeaseGuard) -> bool:
        """Announces a score unless it is the one that was announced; notes in either case what it rests on."""
        row_id = self._ports.ids.new()
        identifier = store.published_id(score.unit, score.period.name)
        traces = await store.traces_of(self._ports.store, score.unit)

        async def publish(tx: Transaction) -> bool:
            known = (await store.load_published(tx, [identifier])).get(identifier)
            revision = known["revision"] if known is not None else 0
            content = msgspec.json.encode(published_score(score, 0)).decode()
            moved = known is None or known["score"] != content
            revision += moved
            await store.save_published(
                tx, identifier, facts_seen=facts_seen, revision=revision, score=content, traces=traces
            )
            if moved:
                event = published_score(score, revision)
                identity = EventId(derived_id(f"{identifier}|{revision}", PUBLISH_RULE, 0))
                continued = known.get("traces", ()) if known is not None else ()
                trace = next((each for each in traces if each not in continued), None)
                await emit(tx, [Fact(identity, event, now, trace)], row_id=row_id, at=now)
            return moved

        return await guard.transact(publish)


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
