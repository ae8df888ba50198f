"""Shapes what scores answer over HTTP: exact rationals beside figures rounded for display."""

from collections.abc import Sequence
from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction

import msgspec
from pydantic import BaseModel, ConfigDict, Field
from pydantic.config import JsonDict

from services.assessment.rule_sets.rules import RuleSet
from services.assessment.scores.handlers import exact
from services.assessment.scores.rules import IndicatorScore, Score

DISPLAY_PLACES = 2


def displayed(value: Fraction, places: int = DISPLAY_PLACES) -> str:
    """A rational rounded half up for display; never computed with."""
    scaled = Decimal(value.numerator) / Decimal(value.denominator)
    return str(scaled.quantize(Decimal(1).scaleb(-places), rounding=ROUND_HALF_UP))


_INDICATOR: JsonDict = {
    "indicator": "I13",
    "block": "活动",
    "name": "人均时长",
    "state": "scored",
    "numerator": "9731/1",
    "denominator": "14750/1",
    "value": "9731/14750",
    "weight": "6/1",
    "points": "29193/7375",
    "points_displayed": "3.96",
}
_SCORE: JsonDict = {
    "unit": "340802",
    "name": "迎江区",
    "period": "2026-Q3",
    "rule_set": "2026-1",
    "window": ["2026-07", "2026-08", "2026-09"],
    "points": "29193/7375",
    "points_displayed": "3.96",
    "weight": "6/1",
    "complete": True,
    "minutes_by_grade": [2100, 201060, 382800, 0],
    "indicators": [_INDICATOR],
}
_RULE_SET: JsonDict = {
    "id": "2026-1",
    "title": "离退休干部志愿服务评估指标",
    "valid_from": "2026-01-01",
    "source": "Proposed from public county rules.",
    "indicators": [
        {
            "id": "I13",
            "block": "活动",
            "name": "人均时长",
            "formula": "hours_per_head",
            "weight": "6",
            "target": "25",
            "window_months": None,
            "missing": "zero",
            "source": "25 hours a year",
        }
    ],
}


class IndicatorView(BaseModel):
    """One indicator of a unit's score; rationals as ``numerator/denominator``."""

    model_config = ConfigDict(frozen=True)

    indicator: str
    block: str
    name: str
    state: str = Field(description="`scored`, `missing` (an input is) or `not_applicable` (its denominator is zero).")
    numerator: str | None
    denominator: str | None
    value: str | None = Field(description="Uncapped: a value above its target is shown as it is.")
    weight: str
    points: str
    points_displayed: str

    @classmethod
    def of(cls, row: IndicatorScore) -> "IndicatorView":
        """From a computed indicator."""
        return cls(
            indicator=row.indicator,
            block=row.block,
            name=row.name,
            state=row.state,
            numerator=exact(row.share.numerator) if row.share is not None else None,
            denominator=exact(row.share.denominator) if row.share is not None else None,
            value=exact(row.value) if row.value is not None else None,
            weight=exact(row.weight),
            points=exact(row.points),
            points_displayed=displayed(row.points),
        )


class ScoreView(BaseModel):
    """A unit's live score for a period."""

    model_config = ConfigDict(frozen=True, json_schema_extra={"examples": [_SCORE]})

    unit: str
    name: str
    period: str
    rule_set: str
    window: Sequence[str] = Field(description="The months that count for people.")
    points: str
    points_displayed: str
    weight: str = Field(description="The points that could be had.")
    complete: bool = Field(description="No input is missing.")
    minutes_by_grade: Sequence[int] = Field(description="Credited minutes of grade 0 (shown, not counted) to 3.")
    indicators: Sequence[IndicatorView]

    @classmethod
    def of(cls, score: Score, name: str) -> "ScoreView":
        """From a computed score."""
        return cls(
            unit=score.unit,
            name=name,
            period=score.period.name,
            rule_set=score.rule_set,
            window=score.window,
            points=exact(score.points),
            points_displayed=displayed(score.points),
            weight=exact(score.weight),
            complete=score.complete,
            minutes_by_grade=score.minutes_by_grade,
            indicators=[IndicatorView.of(row) for row in score.indicators],
        )


class ScoreboardRow(ScoreView):
    """A unit's place on the scoreboard; equal points share a rank."""

    model_config = ConfigDict(frozen=True, json_schema_extra={"examples": [_SCORE | {"rank": 1}]})

    rank: int


class Scoreboard(BaseModel):
    """The live scoreboard of an area, from the best to the last."""

    model_config = ConfigDict(
        frozen=True,
        json_schema_extra={"examples": [{"period": "2026-Q3", "rule_set": "2026-1", "rows": [_SCORE | {"rank": 1}]}]},
    )

    period: str
    rule_set: str
    rows: Sequence[ScoreboardRow]


class RuleSetIndicator(BaseModel):
    """One indicator of a rule set."""

    model_config = ConfigDict(frozen=True)

    id: str
    block: str
    name: str
    formula: str
    weight: str
    target: str
    window_months: int | None
    missing: str
    source: str


class RuleSetView(BaseModel):
    """A rule set as it is published."""

    model_config = ConfigDict(frozen=True, json_schema_extra={"examples": [_RULE_SET]})

    id: str
    title: str
    valid_from: date
    source: str
    indicators: Sequence[RuleSetIndicator]

    @classmethod
    def of(cls, rule_set: RuleSet) -> "RuleSetView":
        """From a rule set."""
        return cls.model_validate(msgspec.to_builtins(rule_set))
