"""Declares the events by which a service's operators mend what its processor has parked."""

from collections.abc import Mapping
from typing import ClassVar, Final, Literal, NamedTuple

import msgspec

from services.contracts.event import Event
from services.contracts.ids import ActorId, Count, EventId
from services.contracts.topics import Service

ParkingAction = Literal["repair", "redrive", "discard"]
"""``repair``: one record gets another value; ``redrive``: the key's records are tried again in order; ``discard``: one
record will never be applied."""
ParkingReason = Literal[
    "publisher_mended", "consumer_mended", "recorded_wrongly", "recorded_twice", "not_ours", "trial_record"
]
"""Why an operator acts: a code, never words."""
ParkingOutcome = Literal["done", "still_failing", "refused"]
ParkingRefusal = Literal[
    "nothing_parked", "record_not_parked", "record_waits_only", "correction_invalid", "not_redrivable", "queue_full"
]
"""Why the owner of a queue did nothing: since the request was made, the queue has changed."""
ParkedFlaw = Literal["undeclared_type", "malformed", "contradicts_headers", "decision_failed"]


class ParkedRecord(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One record by its place in the log, and the event it is."""

    topic: str
    partition: Count
    offset: Count
    event_id: EventId


class ParkingRequested(Event, frozen=True, kw_only=True, gc=False):
    """Operators asked for a repair, a redrive or a discard; ``corrected`` is the whole event that a repair puts in."""

    KEY: ClassVar[str] = "parked_key"

    request_id: str
    parked_id: str
    parked_key: str
    action: ParkingAction
    record: ParkedRecord | None
    corrected: str | None
    reason_code: ParkingReason
    requested_by: ActorId
    confirmed_by: ActorId | None


class ParkingExecuted(Event, frozen=True, kw_only=True, gc=False):
    """The owner of a parked key's queue did what was asked, as far as it went, or refused.

    ``applied``: records that a redrive applied; ``remaining``: records that still wait; ``failing``: the first of them,
    if a redrive ended at it, and ``flaw`` why. ``corrected``: what stands in for the record, so that a rebuild from the
    topics alone meets what was applied.
    """

    KEY: ClassVar[str] = "parked_key"

    request_id: str
    parked_id: str
    parked_key: str
    action: ParkingAction
    record: ParkedRecord | None
    corrected: str | None
    reason_code: ParkingReason
    requested_by: ActorId
    confirmed_by: ActorId | None
    outcome: ParkingOutcome
    refusal: ParkingRefusal | None
    applied: Count
    remaining: Count
    failing: ParkedRecord | None
    flaw: ParkedFlaw | None


class RegistryParkingRequested(ParkingRequested, frozen=True, kw_only=True, gc=False):
    """Operators asked for a repair, a redrive or a discard of what registry has parked."""

    TYPE: ClassVar[str] = "registry.parking.requested.v1"
    TOPIC: ClassVar[str] = "registry.operations"


class RegistryParkingExecuted(ParkingExecuted, frozen=True, kw_only=True, gc=False):
    """The owner of a key's queue in registry did what operators asked, as far as it went, or refused."""

    TYPE: ClassVar[str] = "registry.parking.executed.v1"
    TOPIC: ClassVar[str] = "registry.operations"


class ActivitiesParkingRequested(ParkingRequested, frozen=True, kw_only=True, gc=False):
    """Operators asked for a repair, a redrive or a discard of what activities has parked."""

    TYPE: ClassVar[str] = "activities.parking.requested.v1"
    TOPIC: ClassVar[str] = "activities.operations"


class ActivitiesParkingExecuted(ParkingExecuted, frozen=True, kw_only=True, gc=False):
    """The owner of a key's queue in activities did what operators asked, as far as it went, or refused."""

    TYPE: ClassVar[str] = "activities.parking.executed.v1"
    TOPIC: ClassVar[str] = "activities.operations"


class HoursParkingRequested(ParkingRequested, frozen=True, kw_only=True, gc=False):
    """Operators asked for a repair, a redrive or a discard of what hours has parked."""

    TYPE: ClassVar[str] = "hours.parking.requested.v1"
    TOPIC: ClassVar[str] = "hours.operations"


class HoursParkingExecuted(ParkingExecuted, frozen=True, kw_only=True, gc=False):
    """The owner of a key's queue in hours did what operators asked, as far as it went, or refused."""

    TYPE: ClassVar[str] = "hours.parking.executed.v1"
    TOPIC: ClassVar[str] = "hours.operations"


class AssessmentParkingRequested(ParkingRequested, frozen=True, kw_only=True, gc=False):
    """Operators asked for a repair, a redrive or a discard of what assessment has parked."""

    TYPE: ClassVar[str] = "assessment.parking.requested.v1"
    TOPIC: ClassVar[str] = "assessment.operations"


class AssessmentParkingExecuted(ParkingExecuted, frozen=True, kw_only=True, gc=False):
    """The owner of a key's queue in assessment did what operators asked, as far as it went, or refused."""

    TYPE: ClassVar[str] = "assessment.parking.executed.v1"
    TOPIC: ClassVar[str] = "assessment.operations"


class Operations(NamedTuple):
    """The two events of one service's operations topic."""

    requested: type[ParkingRequested]
    executed: type[ParkingExecuted]

    @property
    def topic(self) -> str:
        """The topic both stand on."""
        return self.requested.TOPIC


OPERATIONS: Final[Mapping[Service, Operations]] = {
    "registry": Operations(RegistryParkingRequested, RegistryParkingExecuted),
    "activities": Operations(ActivitiesParkingRequested, ActivitiesParkingExecuted),
    "hours": Operations(HoursParkingRequested, HoursParkingExecuted),
    "assessment": Operations(AssessmentParkingRequested, AssessmentParkingExecuted),
}
