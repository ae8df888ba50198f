"""The published rule set weighs as the table of indicators says, which stands here as it was given."""

from fractions import Fraction

from services.assessment.rule_sets.library import rule_sets

GIVEN_WEIGHTS = {"I5": 11, "I10": 4, "I13": 6, "I15": 3}
"""From the proposed table of 22 scored indicators, 100 points."""


def test_weights_are_those_of_the_table() -> None:
    weights = {indicator.id: Fraction(indicator.weight) for indicator in rule_sets()["2026-1"].indicators}
    assert weights == {name: Fraction(weight) for name, weight in GIVEN_WEIGHTS.items()}
