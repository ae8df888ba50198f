"""Crediting: the union of a person's day, each minute once."""

import pytest

from services.hours.crediting.rules import Claim, Span, attribute, day_of, minute_of, spans
from tests.support.attendance import at

NINE, TEN, ELEVEN = minute_of(at(9)), minute_of(at(10)), minute_of(at(11))


def test_seconds_do_not_count() -> None:
    assert minute_of(at(9, 0, second=59)) == NINE
    assert minute_of(at(9, 1)) == NINE + 1


def test_service_date_is_shanghais() -> None:
    assert day_of(minute_of(at(23, 59))) == "2026-07-14"
    assert day_of(minute_of(at(24))) == "2026-07-15"


def test_interval_is_clipped_to_the_sessions_window() -> None:
    assert spans(NINE - 15, ELEVEN + 15, NINE, ELEVEN) == [Span("2026-07-14", NINE, ELEVEN)]


def test_interval_is_split_at_midnight() -> None:
    late, early = minute_of(at(23)), minute_of(at(25))
    midnight = minute_of(at(24))
    assert spans(late, early, late, early) == [
        Span("2026-07-14", late, midnight),
        Span("2026-07-15", midnight, early),
    ]


@pytest.mark.parametrize(("came", "left"), [(NINE - 10, NINE - 5), (ELEVEN + 1, ELEVEN + 9), (NINE, NINE)])
def test_interval_outside_the_window_is_served_but_worth_nothing(came: int, left: int) -> None:
    (only,) = spans(came, left, NINE, ELEVEN)
    assert only.start == only.end
    assert only.day == "2026-07-14"


def test_overlapping_intervals_are_credited_once() -> None:
    assert attribute([Claim("a", NINE, ELEVEN, 2), Claim("b", TEN, ELEVEN + 30, 2)]) == [120, 30]


def test_a_minute_goes_to_the_highest_grade() -> None:
    assert attribute([Claim("a", NINE, ELEVEN, 1), Claim("b", TEN, ELEVEN, 2)]) == [60, 60]


def test_at_equal_grades_a_minute_goes_to_the_earlier_start_then_the_lower_id() -> None:
    assert attribute([Claim("b", NINE, ELEVEN, 2), Claim("a", NINE, ELEVEN, 2)]) == [0, 120]
    assert attribute([Claim("a", TEN, ELEVEN, 2), Claim("b", NINE, ELEVEN, 2)]) == [0, 120]


def test_a_lower_grade_around_a_higher_one_keeps_both_of_its_ends() -> None:
    assert attribute([Claim("a", NINE, ELEVEN, 1), Claim("b", NINE + 30, TEN, 3)]) == [90, 30]
