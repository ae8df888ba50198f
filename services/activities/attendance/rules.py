"""Decides on presence: who may be checked in or out, and when; one rule for every door.

Live commands, kiosk and roster rows and back-office approvals are all decided by ``decide``.
"""

from datetime import datetime, timedelta
from functools import lru_cache
from typing import Final, NamedTuple, TypeVar, assert_never

import msgspec

from services.activities.people.rules import Volunteer, refuse_inactive
from services.activities.programme.rules import Session, refuse_unpublished
from services.activities.proofs.rules import Claim, Entry, Proofs, prove, slip_claimed
from services.contracts.activities import CheckedIn, CheckedOut, EntryMode, SessionFacts
from services.contracts.ids import ActorId, AttendanceId, SessionId, UnitCode, VolunteerId
from services.eventing.facts import derived_id
from services.runtime.outcomes import Refusal

CLOCK_SKEW_MINUTES_MAX: Final = 5
"""How far ahead of ours the clock of a phone or kiosk may be."""
_SKEW: Final = timedelta(minutes=CLOCK_SKEW_MINUTES_MAX)

E = TypeVar("E", CheckedIn, CheckedOut)


class CheckIn(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Somebody came at ``at``."""

    at: datetime
    claim: Claim | None
    entry: Entry


class CheckOut(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Somebody left at ``at``."""

    at: datetime
    claim: Claim | None
    entry: Entry


class Attend(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Somebody was there from ``came_at`` to ``left_at``; both ends hold or neither does."""

    came_at: datetime
    left_at: datetime
    claim: Claim | None
    entry: Entry


Command = CheckIn | CheckOut | Attend


class End(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One end of a presence, as it was accepted."""

    at: datetime
    accepted_at: datetime
    proofs: Proofs
    entered_by: ActorId
    approved_by: ActorId | None
    entry_mode: EntryMode
    batch_id: str | None


class Attendance(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One person's presence at one session, from the check-in on. Who never came has none."""

    attendance_id: AttendanceId
    session_id: SessionId
    volunteer_id: VolunteerId
    home_unit: UnitCode
    unit_served: UnitCode
    starts_at: datetime
    check_in: End
    check_out: End | None = None


class Situation(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """All that a command is decided on. ``slip_spent_on``: the attendance that the claimed one-time code has proved."""

    session: Session | None
    volunteer: Volunteer | None
    within_area: bool
    attendance: Attendance | None
    slip_spent_on: AttendanceId | None


class Decision(msgspec.Struct, frozen=True, gc=False):
    """What holds after an accepted command, what is announced, and the slip that it spent."""

    attendance: Attendance
    events: tuple[CheckedIn | CheckedOut, ...]
    slip: str | None


@lru_cache(maxsize=2_048)
def attendance_id_of(session_id: SessionId, volunteer_id: VolunteerId) -> AttendanceId:
    """The one attendance that a person can have at a session. A batch asks for each of its names three times."""
    return AttendanceId(derived_id(session_id, f"attendance:{volunteer_id}", 0))


def decide(command: Command, situation: Situation, *, now: datetime, secret: bytes) -> Decision | Refusal:
    """Accepts or refuses: for the session, the volunteer, the state, the time, and last for want of proof."""
    session, volunteer = situation.session, situation.volunteer
    if session is None:
        return Refusal("session_unknown")
    if not situation.within_area:
        return Refusal("outside_area")
    if (refusal := refuse_unpublished(session)) is not None:
        return refusal
    if volunteer is None:
        return Refusal("volunteer_unknown")
    if (refusal := _refuse(command, situation.attendance, session.facts, volunteer, now)) is not None:
        return refusal
    return _accept(command, situation, session.facts, volunteer, now, secret)


def evolve(attendance: Attendance | None, event: CheckedIn | CheckedOut, *, accepted_at: datetime) -> Attendance:
    """The attendance after an event; ``accepted_at`` is the time on its envelope."""
    end = End(
        at=event.at,
        accepted_at=accepted_at,
        proofs=event.proofs,
        entered_by=event.entered_by,
        approved_by=event.approved_by,
        entry_mode=event.entry_mode,
        batch_id=event.batch_id,
    )
    match event:
        case CheckedIn():
            assert attendance is None, "one attendance per person and session"
            return Attendance(
                attendance_id=event.attendance_id,
                session_id=event.session.session_id,
                volunteer_id=event.volunteer_id,
                home_unit=event.home_unit,
                unit_served=event.session.unit_served,
                starts_at=event.session.starts_at,
                check_in=end,
            )
        case CheckedOut():
            assert attendance is not None, "nobody leaves who never came"
            assert attendance.check_out is None, "nobody leaves twice"
            assert event.at > attendance.check_in.at, "nobody leaves before coming"
            return msgspec.structs.replace(attendance, check_out=end)
        case _:
            assert_never(event)


def _refuse(
    command: Command, attendance: Attendance | None, session: SessionFacts, volunteer: Volunteer, now: datetime
) -> Refusal | None:
    match command:
        case CheckIn():
            return _refuse_check_in(attendance, volunteer) or _refuse_time(command.at, session, now)
        case CheckOut():
            return _refuse_check_out(attendance, command.at) or _refuse_time(command.at, session, now)
        case Attend():
            if command.left_at <= command.came_at:
                return Refusal("check_out_before_check_in")
            return (
                _refuse_check_in(attendance, volunteer)
                or _refuse_time(command.came_at, session, now)
                or _refuse_time(command.left_at, session, now)
            )
        case _:
            assert_never(command)


def _refuse_check_in(attendance: Attendance | None, volunteer: Volunteer) -> Refusal | None:
    return refuse_inactive(volunteer) if attendance is None else Refusal("already_checked_in")


def _refuse_check_out(attendance: Attendance | None, at: datetime) -> Refusal | None:
    """A pause that began meanwhile keeps nobody from leaving: the volunteer's state is not asked."""
    match attendance:
        case None:
            return Refusal("not_checked_in")
        case Attendance(check_out=None):
            return Refusal("check_out_before_check_in") if at <= attendance.check_in.at else None
        case Attendance():
            return Refusal("already_checked_out")
        case _:
            assert_never(attendance)


def _refuse_time(at: datetime, session: SessionFacts, now: datetime) -> Refusal | None:
    grace = timedelta(minutes=session.grace_minutes)
    if at < session.starts_at - grace:
        return Refusal("time_before_window")
    if at > session.ends_at + grace:
        return Refusal("time_after_window")
    if at > now + _SKEW:
        return Refusal("time_in_future")
    return None


def _accept(
    command: Command, situation: Situation, session: SessionFacts, volunteer: Volunteer, now: datetime, secret: bytes
) -> Decision | Refusal:
    """Accepts what nothing but its proof can be held against."""
    shown_at = command.came_at if isinstance(command, Attend) else command.at
    proofs = prove(command.claim, command.entry, session, volunteer, shown_at=shown_at, secret=secret)
    if isinstance(proofs, Refusal):
        return proofs
    attendance, attendance_id = situation.attendance, attendance_id_of(session.session_id, volunteer.volunteer_id)
    if situation.slip_spent_on not in {None, attendance_id}:
        return Refusal("code_already_used")
    # Both ends of a presence count for the home unit at its check-in, though the volunteer moved meanwhile.
    home_unit = volunteer.home_unit if attendance is None else attendance.home_unit
    events = _events(command, _About(attendance_id, volunteer.volunteer_id, home_unit, session, proofs))
    for event in events:
        attendance = evolve(attendance, event, accepted_at=now)
    assert attendance is not None
    return Decision(attendance, events, slip_claimed(command.claim, session.session_id))


class _About(NamedTuple):
    """What both ends of a presence have in common."""

    attendance_id: AttendanceId
    volunteer_id: VolunteerId
    home_unit: UnitCode
    session: SessionFacts
    proofs: Proofs


def _events(command: Command, about: _About) -> tuple[CheckedIn | CheckedOut, ...]:
    match command:
        case CheckIn():
            return (_end_of(CheckedIn, command.at, command.entry, about),)
        case CheckOut():
            return (_end_of(CheckedOut, command.at, command.entry, about),)
        case Attend():
            return (
                _end_of(CheckedIn, command.came_at, command.entry, about),
                _end_of(CheckedOut, command.left_at, command.entry, about),
            )
        case _:
            assert_never(command)


def _end_of(kind: type[E], at: datetime, entry: Entry, about: _About) -> E:
    return kind(
        attendance_id=about.attendance_id,
        volunteer_id=about.volunteer_id,
        home_unit=about.home_unit,
        session=about.session,
        at=at,
        proofs=about.proofs,
        entered_by=entry.entered_by,
        approved_by=entry.approved_by,
        entry_mode=entry.mode,
        batch_id=entry.batch_id,
    )
