"""Credits minutes one by one: every minute of a person's day goes to the best interval that covers it, once."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from functools import lru_cache

from tests.support.oracle.doors import Attendance

MINUTES_A_DAY = 24 * 60
MINUTES_AHEAD = 8 * 60
"""Shanghai has been eight hours ahead of UTC, without summer time, since 1991."""
TIME_OUT = timedelta(hours=24)
GRADES = 4


@dataclass
class Ledger:
    """What all accounts must come to. Minutes are lists by grade, 0 to 3.

    ``present``: the entries that stand, as (volunteer, session, service month, grade). ``served``: credited minutes by
    (volunteer, session, service month, grade). ``pending``: most minutes of open attendances, by (volunteer, session).
    """

    accounts: dict[str, list[int]] = field(default_factory=dict)
    unit_months: dict[tuple[str, str], list[int]] = field(default_factory=dict)
    served: dict[tuple[str, str, str, int], int] = field(default_factory=dict)
    present: set[tuple[str, str, str, int]] = field(default_factory=set)
    pending: dict[tuple[str, str], int] = field(default_factory=dict)


Interval = tuple[int, int, str]
"""Who may get a minute: (grade times -1, first minute of that day, session number). The smallest gets it: the highest
grade, then earliest start, then any fixed order.

The services break the last tie by attendance id, which no input file knows. That moves minutes only between sessions of
one grade, which no number here depends on.
"""


def minute_of(at: datetime) -> int:
    """The whole minute that an instant lies in, since 1970."""
    return int(at.timestamp()) // 60


def day_of(minute: int) -> str:
    """The local date of a minute."""
    return _date_text((minute + MINUTES_AHEAD) // MINUTES_A_DAY)


@lru_cache
def _date_text(days: int) -> str:
    return (date(1970, 1, 1) + timedelta(days=days)).isoformat()


def credit(attendances: Iterable[Attendance], as_of: datetime) -> Ledger:
    """The ledger after everything was applied that is due at ``as_of``."""
    ledger = Ledger()
    by_volunteer: dict[str, list[Attendance]] = {}
    for attendance in attendances:
        by_volunteer.setdefault(attendance.volunteer.number, []).append(attendance)
    for number, each in by_volunteer.items():
        ledger.accounts[number] = [0] * GRADES
        _credit_person(ledger, number, each, as_of)
    return ledger


def _credit_person(ledger: Ledger, number: str, attendances: list[Attendance], as_of: datetime) -> None:
    home_unit = attendances[0].volunteer.home_unit
    best: dict[int, Interval] = {}
    for attendance in attendances:
        session = attendance.session
        starts, ends = minute_of(session.starts_at), minute_of(session.ends_at)
        came = minute_of(attendance.came_at)
        if attendance.left_at is None or attendance.left_grade is None:
            if as_of >= session.ends_at + TIME_OUT:  # settled at the lower bound: no minute, but an entry that stands
                month = day_of(min(max(came, starts), ends - 1))[:7]
                ledger.present.add((number, session.number, month, attendance.came_grade))
            else:
                ledger.pending[number, session.number] = max(0, ends - max(came, starts))
            continue
        grade = min(attendance.came_grade, attendance.left_grade)
        by_day: dict[str, list[int]] = {}
        for minute in range(came, minute_of(attendance.left_at)):
            if starts <= minute < ends:
                by_day.setdefault(day_of(minute), []).append(minute)
        if not by_day:  # came and left outside the window: worth nothing, but an entry that stands
            by_day[day_of(min(max(came, starts), ends - 1))] = []
        for day, minutes in by_day.items():
            ledger.present.add((number, session.number, day[:7], grade))
            for minute in minutes:
                interval = (-grade, minutes[0], session.number)
                best[minute] = min(interval, best.get(minute, interval))
    for minute, (minus_grade, _, session_number) in best.items():
        grade, month = -minus_grade, day_of(minute)[:7]
        ledger.accounts[number][grade] += 1
        ledger.unit_months.setdefault((home_unit, month), [0] * GRADES)[grade] += 1
        key = (number, session_number, month, grade)
        ledger.served[key] = ledger.served.get(key, 0) + 1
