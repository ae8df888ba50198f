"""Decides whether a volunteer gets a place in a session."""

from collections.abc import Sequence
from datetime import datetime

import msgspec

from services.activities.people.rules import Volunteer, refuse_inactive
from services.activities.programme.rules import Session, refuse_unpublished
from services.contracts.activities import SignedUp
from services.contracts.ids import ActorId, AttendanceId
from services.runtime.outcomes import Refusal


class Window(msgspec.Struct, frozen=True, gc=False):
    """A planned span of time, ``[starts_at, ends_at)``."""

    starts_at: datetime
    ends_at: datetime


class SignUp(msgspec.Struct, frozen=True, kw_only=True):
    """The wish for a place: who enters it, and when."""

    attendance_id: AttendanceId
    entered_by: ActorId
    now: datetime


class Situation(msgspec.Struct, frozen=True, kw_only=True):
    """All that a sign-up is decided on. ``elsewhere``: the volunteer's other places that might overlap."""

    session: Session | None
    volunteer: Volunteer | None
    within_area: bool
    holds_place: bool
    elsewhere: Sequence[Window]


def overlaps(one: Window, other: Window) -> bool:
    """Whether two spans share any time; one that ends as the other starts does not."""
    return one.starts_at < other.ends_at and other.starts_at < one.ends_at


def decide(command: SignUp, situation: Situation) -> SignedUp | Refusal:
    """A place, or the first reason why not: of the session, of the volunteer, then of the two together."""
    session, volunteer = situation.session, situation.volunteer
    if session is None:
        return Refusal("session_unknown")
    if not situation.within_area:
        return Refusal("outside_area")
    if (refusal := refuse_unpublished(session)) is not None:
        return refusal
    if command.now >= session.facts.ends_at:
        return Refusal("session_closed")
    if volunteer is None:
        return Refusal("volunteer_unknown")
    if (refusal := refuse_inactive(volunteer)) is not None:
        return refusal
    if situation.holds_place:
        return Refusal("already_signed_up")
    window = Window(session.facts.starts_at, session.facts.ends_at)
    if any(overlaps(window, other) for other in situation.elsewhere):
        return Refusal("overlapping_sign_up")
    if session.places_taken >= session.capacity:
        return Refusal("session_full")
    return SignedUp(
        attendance_id=command.attendance_id,
        volunteer_id=volunteer.volunteer_id,
        home_unit=volunteer.home_unit,
        session=session.facts,
        entered_by=command.entered_by,
    )


def evolve(session: Session, event: SignedUp) -> Session:
    """The session with one more place taken."""
    assert event.session.session_id == session.facts.session_id
    assert session.places_taken < session.capacity
    return msgspec.structs.replace(session, places_taken=session.places_taken + 1)
