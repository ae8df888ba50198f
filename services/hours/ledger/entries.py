"""Defines an entry of the ledger and the hash chain that binds an account's entries."""

import hashlib
from collections.abc import Iterable
from typing import Literal

import msgspec

from services.contracts.activities import SessionFacts
from services.contracts.hours import EntryKind
from services.contracts.ids import (
    ActivityId,
    AttendanceId,
    EntryId,
    EventId,
    Grade,
    KeyField,
    Month,
    OrganisationId,
    ServiceType,
    SessionId,
    UnitCode,
    VolunteerId,
)

FORMAT = "v1"
"""Names the fields below and their canonical form; a change of either is a new format beside this one."""
GENESIS = "0" * 64


class Entry(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One row of the ledger: inserted once, never updated or deleted.

    The fields stand in alphabetical order and hold only text, integers and null, so that encoding them in order is
    their canonical JSON (RFC 8785, JSON Canonicalization Scheme). Times are UTC text with six digits of fraction.
    """

    activity_id: ActivityId
    attendance_id: AttendanceId
    booking_month: Month
    cause: EventId
    chain_number: int
    entry_id: EntryId
    format: str
    grade: Grade
    home_unit: UnitCode
    key_field: KeyField | None
    kind: EntryKind
    lane: str
    minutes: int
    ordinal: int
    organiser_id: OrganisationId
    recorded_at: str
    reverses: EntryId | None
    rule: str
    service_date: str
    service_type: ServiceType
    session_id: SessionId
    state: Literal["settled", "pending"]
    station_id: OrganisationId | None
    unit_served: UnitCode
    volunteer_id: VolunteerId


_CANONICAL = msgspec.json.Encoder().encode


def chained(previous: str, entry: Entry) -> str:
    """The SHA-256 (hex) that binds an entry to all before it: over the previous hash and the canonical JSON."""
    return hashlib.sha256(previous.encode() + _CANONICAL(entry)).hexdigest()


def first_misfit(entries: Iterable[tuple[Entry, str]], *, head: str = GENESIS, number: int = 0) -> str | None:
    """The id of the first entry whose number or hash does not follow, or ``None``. Pairs of entry and stored hash."""
    for entry, stored in entries:
        number, head = number + 1, chained(head, entry)
        if entry.chain_number != number or stored != head:
            return entry.entry_id
    return None


class Service(msgspec.Struct, frozen=True, gc=False):
    """What an entry says of the session that was served, as it was then."""

    session_id: SessionId
    activity_id: ActivityId
    unit_served: UnitCode
    organiser_id: OrganisationId
    station_id: OrganisationId | None
    service_type: ServiceType
    key_field: KeyField | None

    @classmethod
    def of(cls, session: SessionFacts) -> "Service":
        """The part of an event's session that the ledger keeps."""
        return cls(
            session.session_id,
            session.activity_id,
            session.unit_served,
            session.organiser_id,
            session.station_id,
            session.service_type,
            session.key_field,
        )
