"""Decides what an attendance event posts to a volunteer's account: pure, without clock or randomness."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import msgspec

from services.contracts.activities import CheckedIn, CheckedOut
from services.contracts.event import BrokenPromiseError, Envelope
from services.contracts.hours import AttendanceTimedOut, EntryKind
from services.contracts.ids import GRADES, AttendanceId, EntryId, EventId, Grade, Month, UnitCode, VolunteerId
from services.contracts.registry import VolunteerRegistered, VolunteerUpdated
from services.eventing.facts import derived_id
from services.eventing.times import from_text, to_text
from services.hours.crediting.rules import MINUTES_A_DAY, Claim, Span, attribute, day_of, minute_of, spans
from services.hours.evidence.rules import grade_of_end, grade_of_interval
from services.hours.ledger.entries import FORMAT, GENESIS, Entry, Service, chained

TIMEOUT_MINUTES = 24 * 60
"""How long after a session's end a missed check-out waits (glossary: lower bound)."""
SESSION_LENGTH_MAX = timedelta(hours=24)
"""So that an attendance touches at most two service dates, which is what a decision loads."""
CREDIT_RULE = "credit-1"
TIMEOUT_RULE = "timeout-1"
MICROSECOND = timedelta(microseconds=1)


class OpenAttendance(msgspec.Struct, frozen=True, gc=False):
    """A check-in that waits for its check-out. Minutes are since 1970-01-01T00:00Z."""

    came: int
    grade: Grade
    starts: int
    ends: int
    home_unit: UnitCode
    service: Service

    @property
    def due(self) -> int:
        """The minute from which it is settled at the lower bound."""
        return self.ends + TIMEOUT_MINUTES


class Account(msgspec.Struct, gc=False):
    """A volunteer's account head. ``minutes`` is the settled balance by grade 0 to 3."""

    home_unit: str
    registered: bool = False
    minutes: list[int] = msgspec.field(default_factory=lambda: [0] * GRADES)
    entries: int = 0
    head: str = GENESIS
    recorded_at: str = ""
    open: dict[str, OpenAttendance] = msgspec.field(default_factory=dict)
    next_due: int | None = None
    early_timeouts: dict[str, EventId] = msgspec.field(default_factory=dict)
    """Time-outs that a rebuild read before their check-in: attendance id to event id."""


class Interval(msgspec.Struct, frozen=True, gc=False):
    """One attendance's part of one service date, with its current entry and what that entry credits."""

    attendance_id: AttendanceId
    start: int
    end: int
    grade: Grade
    entry_id: EntryId
    minutes: int
    waiting: OpenAttendance | None = None
    """Set while only a time-out has settled it: a late check-out takes up from here."""


Days = Mapping[str, tuple[Interval, ...]]
"""Intervals by service date, in order of posting."""


class Posting(NamedTuple):
    """An entry with its place in the chain."""

    entry: Entry
    chain_hash: str
    recorded_at: datetime


class Change(msgspec.Struct, frozen=True):
    """What one event changes: postings in order, whole new values for the days and the open attendances touched."""

    account: str
    postings: tuple[Posting, ...] = ()
    days: Mapping[str, tuple[Interval, ...]] = {}
    opened: tuple[str, OpenAttendance] | None = None
    closed: str | None = None
    early_timeout: tuple[str, EventId] | None = None
    home_unit: UnitCode | None = None
    settled: Posting | None = None
    """The settlement of a missed check-out: the volunteer is told."""


class Case(NamedTuple):
    """All that a decision may look at: the account, its days that the event can touch, their current entries."""

    account: Account | None
    days: Days
    entries: Mapping[str, Entry]
    source: str
    """``topic|partition`` of the event: what the issuing lane is named after."""


Decidable = CheckedIn | CheckedOut | AttendanceTimedOut | VolunteerRegistered | VolunteerUpdated


def decide(case: Case, envelope: Envelope[Any]) -> Change:
    """What one event changes. Raises ``BrokenPromiseError`` where the owner's promises do not hold."""
    match envelope.data:
        case CheckedIn() as event:
            return _open(case, event, envelope)
        case CheckedOut() as event:
            return _credit(case, event, envelope)
        case AttendanceTimedOut() as event:
            return _time_out(case, event, envelope)
        case VolunteerRegistered() | VolunteerUpdated() as event:
            return Change(event.volunteer_id, home_unit=event.home_unit)
        case _:
            raise BrokenPromiseError("an event that the ledger has no use for")


def _open(case: Case, event: CheckedIn, envelope: Envelope[Any]) -> Change:
    if case.account is not None and event.attendance_id in case.account.open:
        raise BrokenPromiseError("a second check-in of one attendance")
    session = event.session
    if not timedelta(0) < session.ends_at - session.starts_at <= SESSION_LENGTH_MAX:
        raise BrokenPromiseError("a session that ends before it starts, or lasts over a day")
    waiting = OpenAttendance(
        minute_of(event.at),
        grade_of_end(event),
        minute_of(session.starts_at),
        minute_of(session.ends_at),
        event.home_unit,
        Service.of(session),
    )
    if case.account is not None and (cause := case.account.early_timeouts.get(event.attendance_id)) is not None:
        return _settle(case, event.volunteer_id, event.attendance_id, waiting, cause, envelope.time)
    return Change(event.volunteer_id, opened=(event.attendance_id, waiting))


def _time_out(case: Case, event: AttendanceTimedOut, envelope: Envelope[Any]) -> Change:
    account, attendance = case.account, event.attendance_id
    waiting = account.open.get(attendance) if account is not None else None
    if waiting is not None:
        return _settle(case, event.volunteer_id, attendance, waiting, envelope.id, envelope.time)
    if any(interval.attendance_id == attendance for day in case.days.values() for interval in day):
        return Change(event.volunteer_id)
    return Change(event.volunteer_id, early_timeout=(attendance, envelope.id))


def _settle(
    case: Case,
    volunteer: VolunteerId,
    attendance: AttendanceId,
    waiting: OpenAttendance,
    cause: EventId,
    time: datetime,
) -> Change:
    """A check-in alone proves no minute: the lower bound is zero (glossary)."""
    came = min(max(waiting.came, waiting.starts), waiting.ends - 1)
    book = _Book(case, volunteer, cause, TIMEOUT_RULE, time)
    posted = book.post("settlement", 0, waiting.grade, day_of(came), attendance, waiting.home_unit, waiting.service)
    interval = Interval(attendance, came, came, waiting.grade, posted.entry.entry_id, 0, waiting)
    day = posted.entry.service_date
    return Change(
        volunteer,
        tuple(book.postings),
        days={day: (*case.days.get(day, ()), interval)},
        closed=attendance,
        settled=posted,
    )


def _credit(case: Case, event: CheckedOut, envelope: Envelope[Any]) -> Change:
    attendance = event.attendance_id
    waiting = case.account.open.get(attendance) if case.account is not None else None
    book = _Book(case, event.volunteer_id, envelope.id, CREDIT_RULE, envelope.time)
    days: dict[str, tuple[Interval, ...]] = {}
    if waiting is None:
        waiting, days = _take_back_settlement(case, attendance, book)
    left = minute_of(event.at)
    if left < waiting.came:
        raise BrokenPromiseError("a check-out before its check-in")
    grade = grade_of_interval(waiting.grade, grade_of_end(event))
    for span in spans(waiting.came, left, waiting.starts, waiting.ends):
        others = days[span.day] if span.day in days else case.days.get(span.day, ())
        days[span.day] = _add_to_day(book, case, others, span, attendance, grade, waiting)
    return Change(event.volunteer_id, tuple(book.postings), days=days, closed=attendance)


def _take_back_settlement(
    case: Case, attendance: str, book: "_Book"
) -> tuple[OpenAttendance, dict[str, tuple[Interval, ...]]]:
    """A late check-out: the settlement at the lower bound is reversed, its check-in counts again."""
    for day, intervals in case.days.items():
        for interval in intervals:
            if interval.attendance_id == attendance and interval.waiting is not None:
                book.reverse(case.entries[interval.entry_id])
                return interval.waiting, {day: tuple(other for other in intervals if other is not interval)}
    raise BrokenPromiseError("a check-out without an open check-in")


def _add_to_day(
    book: "_Book",
    case: Case,
    others: tuple[Interval, ...],
    span: Span,
    attendance: AttendanceId,
    grade: Grade,
    waiting: OpenAttendance,
) -> tuple[Interval, ...]:
    """Posts a new interval into its day, and re-posts the others whose attribution it changes."""
    if not others:
        minutes = span.end - span.start
        posted = book.post("credit", minutes, grade, span.day, attendance, waiting.home_unit, waiting.service)
        return (Interval(attendance, span.start, span.end, grade, posted.entry.entry_id, minutes),)
    claims = [Claim(other.attendance_id, other.start, other.end, other.grade) for other in others]
    *kept, credited = attribute([*claims, Claim(attendance, span.start, span.end, grade)])
    after = []
    for other, minutes in zip(others, kept, strict=True):
        if minutes == other.minutes:
            after.append(other)
            continue
        old = case.entries[other.entry_id]
        book.reverse(old)
        again = book.post("credit", minutes, other.grade, span.day, other.attendance_id, old.home_unit, service_of(old))
        after.append(msgspec.structs.replace(other, entry_id=again.entry.entry_id, minutes=minutes))
    posted = book.post("credit", credited, grade, span.day, attendance, waiting.home_unit, waiting.service)
    return (*after, Interval(attendance, span.start, span.end, grade, posted.entry.entry_id, credited))


def service_of(entry: Entry) -> Service:
    """What an entry says of the session served."""
    return Service(
        entry.session_id,
        entry.activity_id,
        entry.unit_served,
        entry.organiser_id,
        entry.station_id,
        entry.service_type,
        entry.key_field,
    )


class _Book:
    """Appends one decision's entries to an account's chain."""

    def __init__(self, case: Case, volunteer: VolunteerId, cause: EventId, rule: str, time: datetime) -> None:
        account = case.account
        self.postings: list[Posting] = []
        self._volunteer, self._cause, self._rule, self._source = volunteer, cause, rule, case.source
        self._head = account.head if account is not None else GENESIS
        self._number = account.entries if account is not None else 0
        self._recorded = time.astimezone(UTC)
        if account is not None and account.recorded_at:
            self._recorded = max(self._recorded, from_text(account.recorded_at) + MICROSECOND)

    def reverse(self, entry: Entry) -> Posting:
        """Takes one entry back: the same minutes with the other sign, linked."""
        return self.post(
            "reversal",
            -entry.minutes,
            entry.grade,
            entry.service_date,
            entry.attendance_id,
            entry.home_unit,
            service_of(entry),
            reverses=entry.entry_id,
        )

    def post(
        self,
        kind: EntryKind,
        minutes: int,
        grade: Grade,
        day: str,
        attendance: AttendanceId,
        home_unit: UnitCode,
        service: Service,
        reverses: EntryId | None = None,
    ) -> Posting:
        """Appends one entry; its id is a hash of cause, rule and ordinal."""
        ordinal = len(self.postings)
        self._number += 1
        entry = Entry(
            activity_id=service.activity_id,
            attendance_id=attendance,
            booking_month=Month(day[:7]),
            cause=self._cause,
            chain_number=self._number,
            entry_id=EntryId(derived_id(self._cause, self._rule, ordinal)),
            format=FORMAT,
            grade=grade,
            home_unit=home_unit,
            key_field=service.key_field,
            kind=kind,
            lane=f"{home_unit}|{self._source}",
            minutes=minutes,
            ordinal=ordinal,
            organiser_id=service.organiser_id,
            recorded_at=to_text(self._recorded),
            reverses=reverses,
            rule=self._rule,
            service_date=day,
            service_type=service.service_type,
            session_id=service.session_id,
            state="settled",
            station_id=service.station_id,
            unit_served=service.unit_served,
            volunteer_id=self._volunteer,
        )
        self._head = chained(self._head, entry)
        posting = Posting(entry, self._head, self._recorded)
        self.postings.append(posting)
        self._recorded += MICROSECOND
        return posting


def apply_to_account(account: Account, change: Change) -> None:
    """Takes a decision into the account head; asserts what must hold of a chain."""
    for posting in change.postings:
        entry = posting.entry
        account.entries += 1
        assert entry.chain_number == account.entries
        assert entry.recorded_at > account.recorded_at
        account.minutes[entry.grade] += entry.minutes
        account.head, account.recorded_at = posting.chain_hash, entry.recorded_at
    if change.postings:
        assert min(account.minutes) >= 0
    if change.home_unit is not None:
        account.home_unit, account.registered = change.home_unit, True
    if change.early_timeout is not None:
        account.early_timeouts[change.early_timeout[0]] = change.early_timeout[1]
    _track_open(account, change)


def _track_open(account: Account, change: Change) -> None:
    if change.opened is None and change.closed is None:
        return
    if change.opened is not None:
        attendance, waiting = change.opened
        account.open[attendance] = waiting
        if not account.registered:
            account.home_unit = waiting.home_unit
    if change.closed is not None:
        account.open.pop(change.closed, None)
        account.early_timeouts.pop(change.closed, None)
    account.next_due = min([waiting.due for waiting in account.open.values()]) if account.open else None


def days_touched(account: Account | None, envelope: Envelope[Any]) -> tuple[str, str] | None:
    """The first and last service date whose intervals the decision of an event may look at; ``None`` if none."""
    match envelope.data:
        case CheckedOut() as event:
            return _days_of_check_out(account, event)
        case CheckedIn() as event if account is not None and event.attendance_id in account.early_timeouts:
            return day_of(minute_of(event.session.starts_at)), day_of(minute_of(event.session.ends_at))
        case AttendanceTimedOut() as event:
            ends = minute_of(event.due_at) - TIMEOUT_MINUTES
            waiting = account.open.get(event.attendance_id) if account is not None else None
            return day_of(waiting.starts if waiting is not None else ends - MINUTES_A_DAY), day_of(ends)
        case _:
            return None


def _days_of_check_out(account: Account | None, event: CheckedOut) -> tuple[str, str]:
    waiting = account.open.get(event.attendance_id) if account is not None else None
    if waiting is not None:
        return day_of(waiting.starts), day_of(waiting.ends)
    return day_of(minute_of(event.session.starts_at)), day_of(minute_of(event.session.ends_at))
