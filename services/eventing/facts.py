"""Defines a fact: an event that a transaction wants announced."""

import hashlib
from datetime import datetime

import msgspec

from services.contracts.event import Event
from services.contracts.ids import EventId


class Fact(msgspec.Struct, frozen=True, gc=False):
    """An event with its id and the time its owner accepted it; the outbox adds the sequence."""

    id: EventId
    data: Event
    time: datetime
    traceparent: str | None = None


def derived_id(cause: str, rule: str, ordinal: int) -> str:
    """The name of whatever a processor creates: SHA-256 of cause, rule and ordinal, as 32 hex digits (128 bits).

    The same cause under the same rule always makes the same name, so a repeat is recognised.
    """
    return hashlib.sha256(f"{cause}\x1f{rule}\x1f{ordinal}".encode()).hexdigest()[:32]
