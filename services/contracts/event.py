"""Defines the base of every event's data and the CloudEvents envelope around it."""

from typing import ClassVar, Generic, Literal, TypeVar

import msgspec

from services.contracts.ids import (
    EventId,
    Instant,
)


class BrokenPromiseError(Exception):
    """An event contradicts what its owner promised; the record is parked. The message holds no value."""


class Event(msgspec.Struct, frozen=True, kw_only=True, gc=False, omit_defaults=False):
    """One past fact as its owner published it: frozen, versioned, self-sufficient, without personal data.

    Every subclass names its CloudEvents type (``{owner}.{subject}.{action}.v{N}``), its topic, and the field whose
    value is the record's key. Contracts only grow: a new field is optional with a default; anything else is a new
    version.
    """

    TYPE: ClassVar[str]
    TOPIC: ClassVar[str]
    KEY: ClassVar[str]

    @property
    def key(self) -> str:
        """The record's key: the id of the subject whose order is kept."""
        key: str = getattr(self, self.KEY)
        return key


D = TypeVar("D", bound=Event)


class Envelope(msgspec.Struct, Generic[D], frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """A CloudEvents 1.0 event in structured JSON, with the ``sequence`` and ``traceparent`` extensions.

    ``sequence`` counts the events of one topic and key from 1 without a gap, as twelve decimal digits so that it also
    orders as a string (CloudEvents sequence extension).
    """

    id: EventId
    source: str
    type: str
    subject: str
    time: Instant
    sequence: str
    data: D
    dataschema: str
    specversion: Literal["1.0"]
    datacontenttype: Literal["application/json"] = "application/json"
    traceparent: str | None = None
