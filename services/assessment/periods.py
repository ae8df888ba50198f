"""Names assessment periods: whole months, in Shanghai's calendar."""

import re
from datetime import date, datetime, timedelta
from typing import NamedTuple

from services.contracts.calendar import day_of

MONTHS_A_YEAR = 12
_PATTERN = re.compile(r"^(?P<year>20[0-9]{2})(?:-(?:Q(?P<quarter>[1-4])|H(?P<half>[12])|(?P<month>0[1-9]|1[0-2])))?$")
PERIOD_PATTERN = r"^20[0-9]{2}(-(Q[1-4]|H[12]|0[1-9]|1[0-2]))?$"


class Period(NamedTuple):
    """A month, quarter, half-year or year; ``months`` in order as ``YYYY-MM``."""

    name: str
    months: tuple[str, ...]

    @property
    def last_day(self) -> date:
        """The last day of the period."""
        return date.fromisoformat(month_after(self.months[-1]) + "-01") - timedelta(days=1)


def parse_period(name: str) -> Period:
    """The period ``2026``, ``2026-H1``, ``2026-Q3`` or ``2026-07``. Raises ``ValueError``."""
    match = _PATTERN.fullmatch(name)
    if match is None:
        raise ValueError("not a period")
    if month := match["month"]:
        first, count = int(month), 1
    elif quarter := match["quarter"]:
        first, count = int(quarter) * 3 - 2, 3
    elif half := match["half"]:
        first, count = int(half) * 6 - 5, 6
    else:
        first, count = 1, MONTHS_A_YEAR
    return Period(name, tuple(f"{match['year']}-{number:02d}" for number in range(first, first + count)))


def quarter_of(moment: datetime) -> Period:
    """The quarter that a moment lies in."""
    day = day_of(moment)
    return parse_period(f"{day.year}-Q{(day.month + 2) // 3}")


def quarter_before(period: Period) -> Period:
    """The quarter before a quarter."""
    month = month_before(period.months[0])
    return parse_period(f"{month[:4]}-Q{(int(month[5:]) + 2) // 3}")


def month_after(month: str) -> str:
    """The next month."""
    return month_before(month, -1)


def month_before(month: str, months: int = 1) -> str:
    """The month so many months earlier."""
    number = int(month[:4]) * MONTHS_A_YEAR + int(month[5:]) - 1 - months
    return f"{number // MONTHS_A_YEAR:04d}-{number % MONTHS_A_YEAR + 1:02d}"


def window(period: Period, months: int, first_with_data: str | None) -> tuple[str, ...]:
    """The months that end with the period: so many, or as many as there are data for, never less than the period."""
    wanted = [month_before(period.months[-1], back) for back in reversed(range(months))]
    start = min(first_with_data or period.months[0], period.months[0])
    return tuple(month for month in wanted if month >= start) if len(wanted) > len(period.months) else period.months
