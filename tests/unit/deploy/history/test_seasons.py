"""The year has its peaks and its quiet weeks where the city has them."""

from datetime import date

import pytest

from deploy.history import seasons


@pytest.mark.parametrize(
    ("day", "weight"),
    [
        (date(2026, 3, 5), 5.5),
        (date(2026, 10, 18), 5.0),
        (date(2026, 10, 1), 3.0),
        (date(2025, 12, 5), 3.0),
        (date(2026, 2, 17), 0.1),
        (date(2026, 2, 22), 0.1),
        (date(2026, 2, 23), 1.0),
        (date(2026, 4, 1), 1.0),
    ],
)
def test_special_days_have_their_weight(day: date, weight: float) -> None:
    assert seasons.day_weight(day) == weight


@pytest.mark.parametrize(
    ("today", "quarter", "month"),
    [
        (date(2026, 11, 24), date(2026, 9, 1), date(2026, 10, 1)),
        (date(2026, 10, 1), date(2026, 9, 1), date(2026, 9, 1)),
        (date(2026, 9, 30), date(2026, 6, 1), date(2026, 8, 1)),
        (date(2027, 1, 1), date(2026, 12, 1), date(2026, 12, 1)),
    ],
)
def test_only_what_is_over_counts_as_the_last(today: date, quarter: date, month: date) -> None:
    assert seasons.last_quarter_ends(today) == quarter
    assert seasons.last_full_month(today) == month


def test_a_share_is_a_month_over_an_ordinary_month() -> None:
    assert sum(map(seasons.sessions_share, seasons.days_of(date(2026, 4, 1)))) == pytest.approx(1.0)
    assert sum(map(seasons.sessions_share, seasons.days_of(date(2026, 3, 1)))) == pytest.approx(1.85 * (1 + 4.5 / 31))


def test_local_times_have_the_offset() -> None:
    instant = seasons.at(date(2026, 7, 1), 9, 30)
    assert seasons.local_text(instant) == "2026-07-01T09:30:00+08:00"
    assert seasons.day_of(seasons.at(date(2026, 7, 1), 0) - 1) == date(2026, 6, 30)
