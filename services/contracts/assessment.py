"""Declares the events that assessment owns: what service proves."""

from typing import ClassVar

import msgspec

from services.contracts.event import Event
from services.contracts.ids import UnitCode

SCORES = "assessment.scores"


class IndicatorValue(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One indicator of a score; rationals are strings ``numerator/denominator``, null where there is no value."""

    indicator: str
    numerator: str | None
    denominator: str | None
    value: str | None
    points: str | None


class ScorePublished(Event, frozen=True, kw_only=True, gc=False):
    """A unit's live score for an open period, as a new revision; exact rationals, never rounded."""

    TYPE: ClassVar[str] = "assessment.score.published.v1"
    TOPIC: ClassVar[str] = SCORES
    KEY: ClassVar[str] = "unit"

    unit: UnitCode
    period: str
    rule_set: str
    revision: int
    points: str
    indicators: tuple[IndicatorValue, ...]
