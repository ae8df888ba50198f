"""Scores: exact, with missing and not applicable told apart, ties shown as ties."""

from fractions import Fraction
from typing import Any

import msgspec
import pytest

from services.assessment.periods import parse_period, window
from services.assessment.rule_sets.library import UnusableRuleSetError, read_rule_set, rule_set_for, rule_sets
from services.assessment.rule_sets.rules import RuleSet
from services.assessment.scores.rules import Inputs, Score, ranked, score_of
from services.assessment.scores.views import displayed

QUARTER = parse_period("2026-Q3")
RULES = rule_sets()["2026-1"]
EVERY_MONTH = frozenset(QUARTER.months)


def inputs(**changes: Any) -> Inputs:
    """A unit with a roll of 801, two stations and little else."""
    usual: dict[str, Any] = {
        "roll": 801,
        "window": QUARTER.months,
        "participants": 0,
        "minutes": 0,
        "minutes_by_grade": (0, 0, 0, 0),
        "stations": ("a", "b"),
        "attended": {},
        "key_fields": frozenset(),
    }
    return Inputs(**(usual | changes))


def points(indicator: str, rules: RuleSet = RULES, period: str = "2026-Q3", **changes: Any) -> Fraction:
    """The points of one indicator."""
    score = score_of("340802", parse_period(period), rules, inputs(**changes))
    return next(row.points for row in score.indicators if row.indicator == indicator)


def test_participation_is_people_over_the_roll() -> None:
    assert points("I5", participants=267) == 11 * Fraction(267, 801)


def test_stations_are_half_number_and_half_regularity() -> None:
    assert points("I10") == 4 * Fraction(1, 2) * Fraction(2, 3)
    assert points("I10", roll=800) == 4 * Fraction(1, 2)
    assert points("I10", roll=800, attended={"a": EVERY_MONTH, "b": frozenset({"2026-07"})}) == 4 * Fraction(3, 4)
    assert points("I10", stations=()) == 0


def test_hours_a_head_are_scaled_to_the_period_and_capped_only_in_the_score() -> None:
    minutes = 60 * 801 * 5
    assert points("I13", minutes=minutes) == 6 * Fraction(5) / Fraction(25, 4)
    assert points("I13", minutes=minutes, period="2026-07") == 6
    score = score_of("340802", parse_period("2026-07"), RULES, inputs(minutes=minutes))
    assert next(row.value for row in score.indicators if row.indicator == "I13") == Fraction(12, 5)


def test_key_fields_are_counted_out_of_twelve() -> None:
    assert points("I15", key_fields=frozenset({"agriculture", "civility"})) == Fraction(1, 2)


def test_missing_roll_is_neither_zero_nor_not_applicable() -> None:
    score = score_of("340802", QUARTER, RULES, inputs(roll=None))
    states = {row.indicator: row.state for row in score.indicators}
    assert states == {"I5": "missing", "I10": "missing", "I13": "missing", "I15": "scored"}
    assert not score.complete
    assert score.weight == 24


def test_weight_of_what_does_not_apply_is_spread_over_its_block() -> None:
    score = score_of("340802", QUARTER, RULES, inputs(roll=0, key_fields=frozenset({"civility"})))
    weights = {row.indicator: (row.state, row.weight) for row in score.indicators}
    assert weights["I13"] == ("not_applicable", Fraction(0))
    assert weights["I15"] == ("scored", Fraction(9))
    assert score.complete


def test_equal_points_share_a_rank_and_rounding_makes_no_tie() -> None:
    def scored(unit: str, points: Fraction) -> Score:
        return msgspec.structs.replace(score_of(unit, QUARTER, RULES, inputs()), points=points)

    third = Fraction(1, 3)
    rows = ranked(
        [scored("c", third), scored("a", third), scored("b", third + Fraction(1, 10**9)), scored("d", Fraction(0))]
    )
    assert [(rank, score.unit) for rank, score in rows] == [(1, "b"), (2, "a"), (2, "c"), (4, "d")]


@pytest.mark.parametrize(
    ("name", "months", "last"),
    [
        ("2026-02", ("2026-02",), "2026-02-28"),
        ("2026-Q4", ("2026-10", "2026-11", "2026-12"), "2026-12-31"),
        ("2024-H1", ("2024-01", "2024-02", "2024-03", "2024-04", "2024-05", "2024-06"), "2024-06-30"),
    ],
)
def test_period_has_whole_months(name: str, months: tuple[str, ...], last: str) -> None:
    period = parse_period(name)
    assert period.months == months
    assert period.last_day.isoformat() == last


@pytest.mark.parametrize("name", ["2026-Q5", "2026-13", "26-Q1", "2026-Q", "", "2026-07-01", "2026-Q1\n"])
def test_what_is_no_period_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="not a period"):
        parse_period(name)


def test_window_is_twelve_months_or_as_many_as_there_are_data_for() -> None:
    assert window(QUARTER, 12, "2020-01")[0] == "2025-10"
    assert window(QUARTER, 12, "2026-05") == ("2026-05", "2026-06", "2026-07", "2026-08", "2026-09")
    assert window(QUARTER, 12, "2026-09") == QUARTER.months
    assert window(QUARTER, 12, None) == QUARTER.months


@pytest.mark.parametrize(
    ("value", "text"),
    [(Fraction(1, 8), "0.13"), (Fraction(2, 3), "0.67"), (Fraction(0), "0.00"), (Fraction(23), "23.00")],
)
def test_display_rounds_half_up(value: Fraction, text: str) -> None:
    assert displayed(value) == text


def test_rule_set_in_force_is_the_latest_that_began() -> None:
    assert rule_set_for("2026-09-30").id == "2026-1"


@pytest.mark.parametrize(
    ("path", "value", "fault"),
    [
        (("indicators", 0, "weight"), "0", "I5: weight is not above zero"),
        (("indicators", 0, "target"), "many", "I5: target is not a number"),
        (("indicators", 1, "id"), "I5", "an indicator stands twice"),
        (("indicators",), [], "no indicator"),
        (("indicators", 0, "window_months"), 0, "I5: window_months is below one"),
        (("indicators", 0, "missing"), None, "missing"),
        (("indicators", 0, "formula"), "log_ins", "formula"),
        (("indicators", 0, "likes"), 1, "likes"),
    ],
)
def test_rule_set_with_a_fault_is_not_usable(path: tuple[Any, ...], value: object, fault: str) -> None:
    document = msgspec.json.decode(msgspec.json.encode(RULES))
    target = document
    for step in path[:-1]:
        target = target[step]
    target[path[-1]] = value
    with pytest.raises(UnusableRuleSetError, match=fault):
        read_rule_set(msgspec.json.encode(document))
