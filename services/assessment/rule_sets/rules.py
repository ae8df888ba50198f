"""Defines a rule set and says what is wrong with one."""

from datetime import date
from fractions import Fraction
from typing import Literal

import msgspec

Formula = Literal["participation", "stations", "hours_per_head", "key_fields"]
MissingRule = Literal["zero", "not_applicable"]
"""What a missing input means: no points, or no weight. There is no default (domain conventions)."""


class Indicator(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One indicator: ``weight`` and ``target`` are exact decimals or fractions as text.

    ``target`` is in the formula's own unit: share of the roll (participation), roll per station (stations), hours a
    head and year (hours_per_head), number of fields (key_fields).
    """

    id: str
    block: str
    name: str
    formula: Formula
    weight: str
    target: str
    window_months: int | None
    """People's window: this many months that end with the period; null: the period itself."""
    missing: MissingRule
    source: str

    @property
    def points(self) -> Fraction:
        """The weight as an exact number."""
        return Fraction(self.weight)


class RuleSet(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Indicators and weights as versioned data; a published one never changes."""

    id: str
    title: str
    valid_from: date
    source: str
    indicators: tuple[Indicator, ...]


def faults(rule_set: RuleSet) -> list[str]:
    """What is wrong with a rule set, one line each; empty if it can be used."""
    found = []
    names = [indicator.id for indicator in rule_set.indicators]
    if len(set(names)) != len(names):
        found.append("an indicator stands twice")
    if not names:
        found.append("no indicator")
    for indicator in rule_set.indicators:
        found += [f"{indicator.id}: {fault}" for fault in _indicator_faults(indicator)]
    return found


def _indicator_faults(indicator: Indicator) -> list[str]:
    found = []
    for field, text in (("weight", indicator.weight), ("target", indicator.target)):
        try:
            if Fraction(text) <= 0:
                found.append(f"{field} is not above zero")
        except (ValueError, ZeroDivisionError):
            found.append(f"{field} is not a number")
    if indicator.window_months is not None and indicator.window_months < 1:
        found.append("window_months is below one")
    return found
