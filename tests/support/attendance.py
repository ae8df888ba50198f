"""Builds attendance events with defaults, so that every argument shown in a test matters to it."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from services.contracts.activities import CheckedIn, CheckedOut, EntryMode, Proof, SessionFacts
from services.contracts.codec import decode, encode
from services.contracts.event import Envelope, Event
from services.contracts.hours import AttendanceTimedOut
from services.contracts.ids import (
    ActivityId,
    ActorId,
    AttendanceId,
    EventId,
    OrganisationId,
    SessionId,
    UnitCode,
    VolunteerId,
)

SHANGHAI = timezone(timedelta(hours=8))
LISTED = (Proof(method="leader_list", given_by=ActorId("leader"), side="leader"),)
CARD = (Proof(method="personal_card", given_by=ActorId("v1"), side="volunteer"),)
SERVED = (*CARD, Proof(method="served_confirmation", given_by=ActorId("elder-home"), side="served"))
PROOFS_BY_GRADE = {1: LISTED, 2: CARD, 3: SERVED}


def at(hour: int, minute: int = 0, *, day: int = 14, second: int = 0, month: int = 7) -> datetime:
    """A moment of 2026 by Shanghai's clock, in UTC as the doors make it; hours of 24 and more lie on the next day."""
    midnight = datetime(2026, month, day, tzinfo=SHANGHAI)
    return (midnight + timedelta(hours=hour, minutes=minute, seconds=second)).astimezone(UTC)


def session(
    starts_at: datetime | None = None, ends_at: datetime | None = None, *, number: int = 1, unit_served: str = "340802"
) -> SessionFacts:
    """A session from 9 to 11 on 14 July unless said otherwise."""
    return SessionFacts(
        session_id=SessionId(f"s{number}"),
        activity_id=ActivityId("a1"),
        starts_at=starts_at or at(9),
        ends_at=ends_at or at(11),
        grace_minutes=15,
        unit_served=UnitCode(unit_served),
        organiser_id=OrganisationId("team-1"),
        station_id=OrganisationId("station-1"),
        service_type="health",
        key_field="health_care",
    )


def _fields(facts: SessionFacts, volunteer: str, grade: int, home_unit: str) -> dict[str, Any]:
    return {
        "attendance_id": AttendanceId(f"{facts.session_id}-{volunteer}"),
        "volunteer_id": VolunteerId(volunteer),
        "home_unit": UnitCode(home_unit),
        "session": facts,
        "proofs": PROOFS_BY_GRADE.get(grade, ()),
        "entered_by": ActorId("leader"),
        "approved_by": ActorId("second") if grade == 0 else None,
        "entry_mode": _MODES[grade],
    }


_MODES: dict[int, EntryMode] = {0: "back_office", 1: "roster_batch", 2: "kiosk_batch", 3: "live"}


def checked_in(
    moment: datetime, facts: SessionFacts, *, volunteer: str = "v1", grade: int = 2, home_unit: str = "340802"
) -> CheckedIn:
    """A check-in with the proofs of a grade."""
    return CheckedIn(at=moment, **_fields(facts, volunteer, grade, home_unit))


def checked_out(
    moment: datetime, facts: SessionFacts, *, volunteer: str = "v1", grade: int = 2, home_unit: str = "340802"
) -> CheckedOut:
    """A check-out with the proofs of a grade."""
    return CheckedOut(at=moment, **_fields(facts, volunteer, grade, home_unit))


def timed_out(facts: SessionFacts, *, volunteer: str = "v1") -> AttendanceTimedOut:
    """The time-out of a session's attendance."""
    return AttendanceTimedOut(
        volunteer_id=VolunteerId(volunteer),
        attendance_id=AttendanceId(f"{facts.session_id}-{volunteer}"),
        due_at=facts.ends_at + timedelta(hours=24),
    )


def envelope(event: Event, *, identity: str, time: datetime | None = None, sequence: int = 1) -> Envelope[Any]:
    """An event as a consumer decodes it."""
    accepted = time or at(12)
    return decode(event.TYPE, encode(event, event_id=EventId(identity), time=accepted, sequence=sequence))
