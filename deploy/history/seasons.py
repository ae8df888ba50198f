"""Says how busy the days of a history are."""

import calendar
from datetime import date, datetime, timedelta, timezone
from typing import Final

ZONE: Final = timezone(timedelta(hours=8))
"""Asia/Shanghai, which has had no summer time since 1991."""
HISTORY_STARTS: Final = date(2023, 11, 1)
"""The first day of the city's history; every generated period is a slice of what follows it."""
HISTORY_MONTHS: Final = 36
"""How long people keep joining."""
DAY_S: Final = 86_400

MONTH_WEIGHTS: Final = (0.72, 0.60, 1.85, 1.0, 1.0, 0.95, 0.70, 0.65, 1.0, 1.75, 1.05, 0.73)
LEI_FENG_DAY_WEIGHT: Final = 5.5
CHONGYANG_WEIGHT: Final = 5.0
FESTIVE_WEIGHT: Final = 3.0
SPRING_FESTIVAL_WEIGHT: Final = 0.1
SPRING_FESTIVAL_DAYS: Final = 7

# Both follow the moon; a history that runs past the tables has ordinary days there.
CHONGYANG: Final = frozenset(
    {
        date(2023, 10, 23),
        date(2024, 10, 11),
        date(2025, 10, 29),
        date(2026, 10, 18),
        date(2027, 10, 8),
        date(2028, 10, 26),
    }
)
SPRING_FESTIVALS: Final = (
    date(2024, 2, 10),
    date(2025, 1, 29),
    date(2026, 2, 17),
    date(2027, 2, 6),
    date(2028, 1, 26),
)
_SPRING_FESTIVAL_WEEKS: Final = frozenset(
    first + timedelta(days=day) for first in SPRING_FESTIVALS for day in range(-1, SPRING_FESTIVAL_DAYS - 1)
)


def day_weight(day: date) -> float:
    """How much busier than an ordinary day of its month this day is."""
    if day in _SPRING_FESTIVAL_WEEKS:
        return SPRING_FESTIVAL_WEIGHT
    if day in CHONGYANG:
        return CHONGYANG_WEIGHT
    match (day.month, day.day):
        case (3, 5):
            return LEI_FENG_DAY_WEIGHT
        case (7, 1) | (10, 1) | (12, 5):
            return FESTIVE_WEIGHT
        case _:
            return 1.0


def sessions_share(day: date) -> float:
    """What part of an ordinary month's service falls on this day: about 1/30, times the weights of month and day."""
    return MONTH_WEIGHTS[day.month - 1] * day_weight(day) / days_in(day)


def days_in(month: date) -> int:
    """The number of days of the month that the day is in."""
    return calendar.monthrange(month.year, month.month)[1]


def days_of(month: date) -> list[date]:
    """All days of a month, given as its first day."""
    return [month + timedelta(days=number) for number in range(days_in(month))]


def add_months(month: date, months: int) -> date:
    """The first day of the month that is ``months`` later (or earlier, if negative)."""
    ordinal = month.year * 12 + month.month - 1 + months
    return date(ordinal // 12, ordinal % 12 + 1, 1)


def month_text(month: date) -> str:
    """``YYYY-MM``."""
    return f"{month:%Y-%m}"


def parse_month(text: str) -> date:
    """The first day of a month written ``YYYY-MM``. Raises ``ValueError``."""
    return date.fromisoformat(f"{text}-01")


def at(day: date, hour: int, minute: int = 0) -> int:
    """The instant of a local wall time, in seconds since 1970."""
    return int(datetime(day.year, day.month, day.day, hour, minute, tzinfo=ZONE).timestamp())


def day_of(instant_s: int) -> date:
    """The local date of an instant in seconds since 1970."""
    return datetime.fromtimestamp(instant_s, ZONE).date()


def local_text(instant_s: int) -> str:
    """RFC 3339 with the local offset, to the second."""
    return datetime.fromtimestamp(instant_s, ZONE).isoformat()


def compact_text(instant_s: int) -> str:
    """``YYYYMMDD-HHMMSS`` in local time, for file names."""
    return f"{datetime.fromtimestamp(instant_s, ZONE):%Y%m%d-%H%M%S}"


def last_quarter_ends(today: date) -> date:
    """The last month of the last calendar quarter that is over, as its first day."""
    return add_months(date(today.year, 3 * ((today.month - 1) // 3) + 1, 1), -1)


def last_full_month(today: date) -> date:
    """The last month that is over, as its first day."""
    return add_months(today.replace(day=1), -1)
