"""Declares the events that activities owns: what was offered, who came."""

from typing import ClassVar, Literal

import msgspec

from services.contracts.event import Event
from services.contracts.ids import (
    ActivityId,
    ActorId,
    AttendanceId,
    GraceMinutes,
    Instant,
    KeyField,
    OrganisationId,
    Places,
    ServiceType,
    SessionId,
    UnitCode,
    VolunteerId,
)

ACTIVITIES = "activities.activities"
ATTENDANCE = "activities.attendance"

ProofMethod = Literal[
    "station_code", "personal_card", "one_time_code", "served_confirmation", "leader_list", "self_report"
]
"""How presence was proved. The first four can be independent; the last two are one side's word."""
ProofSide = Literal["volunteer", "leader", "station", "served", "other_organisation"]
"""On whose side the giver of a proof stands."""
EntryMode = Literal["live", "kiosk_batch", "roster_batch", "back_office"]
"""The door through which an attendance came in; ``back_office`` is always grade 0."""


class Proof(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One piece of evidence: how, and who gave it. Independent only if the giver neither entered nor approved."""

    method: ProofMethod
    given_by: ActorId
    side: ProofSide


class SessionFacts(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What a consumer of an attendance must know of its session, as it was then."""

    session_id: SessionId
    activity_id: ActivityId
    starts_at: Instant
    ends_at: Instant
    grace_minutes: GraceMinutes
    unit_served: UnitCode
    organiser_id: OrganisationId
    station_id: OrganisationId | None
    service_type: ServiceType
    key_field: KeyField | None


class ActivityPublished(Event, frozen=True, kw_only=True, gc=False):
    """An activity passed its review and is open."""

    TYPE: ClassVar[str] = "activities.activity.published.v1"
    TOPIC: ClassVar[str] = ACTIVITIES
    KEY: ClassVar[str] = "activity_id"

    activity_id: ActivityId
    title: str
    unit_served: UnitCode
    organiser_id: OrganisationId
    brand_id: OrganisationId | None
    service_type: ServiceType
    key_field: KeyField | None


class SessionPublished(Event, frozen=True, kw_only=True, gc=False):
    """A session of a published activity can be signed up to."""

    TYPE: ClassVar[str] = "activities.session.published.v1"
    TOPIC: ClassVar[str] = ACTIVITIES
    KEY: ClassVar[str] = "activity_id"

    activity_id: ActivityId
    session: SessionFacts
    capacity: Places


class SignedUp(Event, frozen=True, kw_only=True, gc=False):
    """A volunteer holds a place in a session."""

    TYPE: ClassVar[str] = "activities.attendance.signed_up.v1"
    TOPIC: ClassVar[str] = ATTENDANCE
    KEY: ClassVar[str] = "volunteer_id"

    attendance_id: AttendanceId
    volunteer_id: VolunteerId
    home_unit: UnitCode
    session: SessionFacts
    entered_by: ActorId


class CheckedIn(Event, frozen=True, kw_only=True, gc=False):
    """A volunteer came: ``at`` is when it happened, the envelope's time is when it was accepted."""

    TYPE: ClassVar[str] = "activities.attendance.checked_in.v1"
    TOPIC: ClassVar[str] = ATTENDANCE
    KEY: ClassVar[str] = "volunteer_id"

    attendance_id: AttendanceId
    volunteer_id: VolunteerId
    home_unit: UnitCode
    session: SessionFacts
    at: Instant
    proofs: tuple[Proof, ...]
    entered_by: ActorId
    approved_by: ActorId | None
    entry_mode: EntryMode
    batch_id: str | None = None


class CheckedOut(Event, frozen=True, kw_only=True, gc=False):
    """A volunteer left: ``at`` is when it happened, the envelope's time is when it was accepted."""

    TYPE: ClassVar[str] = "activities.attendance.checked_out.v1"
    TOPIC: ClassVar[str] = ATTENDANCE
    KEY: ClassVar[str] = "volunteer_id"

    attendance_id: AttendanceId
    volunteer_id: VolunteerId
    home_unit: UnitCode
    session: SessionFacts
    at: Instant
    proofs: tuple[Proof, ...]
    entered_by: ActorId
    approved_by: ActorId | None
    entry_mode: EntryMode
    batch_id: str | None = None
