"""Defines an entry of the ledger and the hash chain that binds an account's entries."""

import hashlib
from collections.abc import Iterable

import msgspec

from services.contracts.activities import SessionFacts
from services.contracts.hours import EntryKind
from services.contracts.ids import Grade

FORMAT = "v1"
"""Names the fields below and their canonical form; a change of either is a new format beside this one."""
GENESIS = "0" * 64


class Entry(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One row of the ledger: inserted once, never updated or deleted.

    The fields stand in alphabetical order and hold only text, integers and null, so that encoding them in order is
    their canonical JSON (RFC 8785, JSON Canonicalization Scheme). Times are UTC text with six digits of fraction.
    """

    activity_id: str
    attendance_id: str
    booking_month: str
    cause: str
    chain_number: int
    entry_id: str
    format: str
    grade: Grade
    home_unit: str
    key_field: str | None
    kind: EntryKind
    lane: str
    minutes: int
    ordinal: int
    organiser_id: str
    recorded_at: str
    reverses: str | None
    rule: str
    service_date: str
    service_type: str
    session_id: str
    state: str
    station_id: str | None
    unit_served: str
    volunteer_id: str


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

    session_id: str
    activity_id: str
    unit_served: str
    organiser_id: str
    station_id: str | None
    service_type: str
    key_field: str | None

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
