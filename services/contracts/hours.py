"""Declares the events that hours owns: what service is worth."""

from datetime import date
from typing import ClassVar, Literal

from services.contracts.event import BrokenPromiseError, Event
from services.contracts.ids import (
    ActivityId,
    AttendanceId,
    Count,
    EntryId,
    EventId,
    Grade,
    Instant,
    KeyField,
    MinutesOfDay,
    Month,
    OrganisationId,
    ServiceType,
    SessionId,
    UnitCode,
    VolunteerId,
)

ENTRIES = "hours.entries"
TIMEOUTS = "hours.timeouts"
NOTICES = "hours.notices"

EntryKind = Literal["credit", "settlement", "reversal"]
"""``credit``: served minutes; ``settlement``: a missed check-out at its lower bound; ``reversal``: takes one back."""


class EntryPosted(Event, frozen=True, kw_only=True, gc=False):
    """An entry was appended to a volunteer's account: minutes moved from an issuing lane; negative in a reversal."""

    TYPE: ClassVar[str] = "hours.entry.posted.v1"
    TOPIC: ClassVar[str] = ENTRIES
    KEY: ClassVar[str] = "volunteer_id"

    entry_id: EntryId
    volunteer_id: VolunteerId
    kind: EntryKind
    minutes: MinutesOfDay
    grade: Grade
    state: Literal["settled", "pending"]
    service_date: date
    booking_month: Month
    recorded_at: Instant
    home_unit: UnitCode
    unit_served: UnitCode
    lane: str
    attendance_id: AttendanceId
    session_id: SessionId
    activity_id: ActivityId
    organiser_id: OrganisationId
    station_id: OrganisationId | None
    service_type: ServiceType
    key_field: KeyField | None
    reverses: EntryId | None
    cause: EventId
    rule: str
    ordinal: Count
    chain_number: Count
    chain_hash: str


def check_reversal(entry: EntryPosted) -> None:
    """Raises ``BrokenPromiseError`` unless an entry says what it reverses exactly if it is a reversal."""
    if (entry.kind == "reversal") != (entry.reverses is not None):
        raise BrokenPromiseError("a reversal without what it reverses, or the other way round")


class AttendanceTimedOut(Event, frozen=True, kw_only=True, gc=False):
    """Nobody checked a volunteer out within 24 hours of the session's end; the interval settles at its lower bound."""

    TYPE: ClassVar[str] = "hours.attendance.timed_out.v1"
    TOPIC: ClassVar[str] = TIMEOUTS
    KEY: ClassVar[str] = "volunteer_id"

    volunteer_id: VolunteerId
    attendance_id: AttendanceId
    due_at: Instant


class NoticeRaised(Event, frozen=True, kw_only=True, gc=False):
    """A volunteer is to be told something; registry alone knows the name and number and delivers it."""

    TYPE: ClassVar[str] = "hours.notice.raised.v1"
    TOPIC: ClassVar[str] = NOTICES
    KEY: ClassVar[str] = "recipient_id"

    recipient_id: VolunteerId
    notice: Literal["check_out_missing_settled"]
    attendance_id: AttendanceId
    service_date: date
    minutes: MinutesOfDay
