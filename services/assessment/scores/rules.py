"""Computes a unit's score under a rule set: exact rationals from end to end, rounded nowhere."""

from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from math import ceil

import msgspec

from services.assessment.periods import MONTHS_A_YEAR, Period
from services.assessment.rule_sets.rules import Formula, Indicator, RuleSet

MINUTES_AN_HOUR = 60
HALF = Fraction(1, 2)
ONE = Fraction(1)


class Inputs(msgspec.Struct, frozen=True):
    """What a unit's score is computed from: all that the indicators' formulas look at.

    ``participants`` counts retired cadres with a credited session in ``window``; ``minutes`` are credited minutes of
    grade 1 and above of home volunteers in the period; ``attended`` holds the months of the period in which each
    station had an attended session; ``key_fields`` those with an attended session.
    """

    roll: int | None
    window: tuple[str, ...]
    participants: int
    minutes: int
    minutes_by_grade: tuple[int, int, int, int]
    stations: tuple[str, ...]
    attended: Mapping[str, frozenset[str]]
    key_fields: frozenset[str]


class Share(msgspec.Struct, frozen=True):
    """A value as a numerator over a denominator; ``value`` is uncapped."""

    numerator: Fraction
    denominator: Fraction

    @property
    def value(self) -> Fraction | None:
        """The quotient; ``None`` is 0/0 or n/0: not applicable."""
        return self.numerator / self.denominator if self.denominator else None


class IndicatorScore(msgspec.Struct, frozen=True):
    """One indicator of a score. ``state``: scored, missing (an input is) or not_applicable (its denominator is 0)."""

    indicator: str
    block: str
    name: str
    state: str
    share: Share | None
    weight: Fraction
    points: Fraction

    @property
    def value(self) -> Fraction | None:
        """The uncapped value, where there is one."""
        return self.share.value if self.share is not None else None


class Score(msgspec.Struct, frozen=True):
    """A unit's score for a period; ``weight`` is the sum of the weights that count."""

    unit: str
    period: Period
    rule_set: str
    window: tuple[str, ...]
    points: Fraction
    weight: Fraction
    complete: bool
    indicators: tuple[IndicatorScore, ...]
    minutes_by_grade: tuple[int, int, int, int]


def score_of(unit: str, period: Period, rule_set: RuleSet, inputs: Inputs) -> Score:
    """The score of one unit (domain conventions: indicators.md)."""
    shares = {
        indicator.id: _FORMULAS[indicator.formula](indicator, period, inputs) for indicator in rule_set.indicators
    }
    weights = _spread(rule_set.indicators, shares)
    rows = tuple(_row(indicator, shares[indicator.id], weights[indicator.id]) for indicator in rule_set.indicators)
    return Score(
        unit=unit,
        period=period,
        rule_set=rule_set.id,
        window=inputs.window,
        points=sum((row.points for row in rows), Fraction(0)),
        weight=sum((row.weight for row in rows), Fraction(0)),
        complete=all(row.state != "missing" for row in rows),
        indicators=rows,
        minutes_by_grade=inputs.minutes_by_grade,
    )


def _applies(indicator: Indicator, share: Share | None) -> bool:
    if share is None:
        return indicator.missing == "zero"
    return share.value is not None


def _spread(indicators: Sequence[Indicator], shares: Mapping[str, Share | None]) -> dict[str, Fraction]:
    """Weights after those of indicators that do not apply are spread over the rest of their block, in proportion."""
    weights: dict[str, Fraction] = {}
    for indicator in indicators:
        block = [other for other in indicators if other.block == indicator.block]
        applying = sum((other.points for other in block if _applies(other, shares[other.id])), Fraction(0))
        whole = sum((other.points for other in block), Fraction(0))
        applies = _applies(indicator, shares[indicator.id])
        weights[indicator.id] = indicator.points * whole / applying if applies else Fraction(0)
    return weights


def _row(indicator: Indicator, share: Share | None, weight: Fraction) -> IndicatorScore:
    value = share.value if share is not None else None
    state = "missing" if share is None else "not_applicable" if value is None else "scored"
    capped = min(ONE, value) if value is not None else Fraction(0)
    return IndicatorScore(indicator.id, indicator.block, indicator.name, state, share, weight, weight * capped)


def _participation(indicator: Indicator, period: Period, inputs: Inputs) -> Share | None:
    """I5: retired cadres with a credited session in the window, over the roll."""
    del period
    if inputs.roll is None:
        return None
    return Share(Fraction(inputs.participants), inputs.roll * Fraction(indicator.target))


def _stations(indicator: Indicator, period: Period, inputs: Inputs) -> Share | None:
    """I10: half for enough stations for the roll, half for the share of stations with a session every month."""
    if inputs.roll is None:
        return None
    wanted = ceil(inputs.roll / Fraction(indicator.target))
    if wanted == 0:
        return Share(Fraction(0), Fraction(0))
    enough = min(ONE, Fraction(len(inputs.stations), wanted))
    months = frozenset(period.months)
    regular = sum(1 for station in inputs.stations if months <= inputs.attended.get(station, frozenset()))
    steady = Fraction(regular, len(inputs.stations)) if inputs.stations else Fraction(0)
    return Share(HALF * enough + HALF * steady, ONE)


def _hours_per_head(indicator: Indicator, period: Period, inputs: Inputs) -> Share | None:
    """I13: credited hours over what the roll would serve at the yearly target, scaled to the period's months."""
    if inputs.roll is None:
        return None
    yearly = Fraction(indicator.target) * len(period.months) / MONTHS_A_YEAR
    return Share(Fraction(inputs.minutes, MINUTES_AN_HOUR), inputs.roll * yearly)


def _key_fields(indicator: Indicator, period: Period, inputs: Inputs) -> Share | None:
    """I15: key fields with an attended session, over all key fields."""
    del period
    return Share(Fraction(len(inputs.key_fields)), Fraction(indicator.target))


_FORMULAS: Mapping[Formula, Callable[[Indicator, Period, Inputs], Share | None]] = {
    "participation": _participation,
    "stations": _stations,
    "hours_per_head": _hours_per_head,
    "key_fields": _key_fields,
}


def ranked(scores: Sequence[Score]) -> list[tuple[int, Score]]:
    """Scores from the best to the last with their ranks; equal points share a rank, exactly."""
    ordered = sorted(scores, key=lambda score: (-score.points, score.unit))
    ranks: list[tuple[int, Score]] = []
    for place, score in enumerate(ordered, start=1):
        tied = bool(ranks) and ranks[-1][1].points == score.points
        ranks.append((ranks[-1][0] if tied else place, score))
    return ranks
