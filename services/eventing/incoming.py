"""Reads what a record says of itself (key, id, sequence) and the event in it, without ever showing a value."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import msgspec

from services.contracts.catalogue import BY_TYPE
from services.contracts.codec import MalformedEventError, decode
from services.contracts.event import Envelope, Event
from services.eventing.ports import Record

Reason = Literal["undeclared_type", "malformed", "contradicts_headers", "decision_failed", "behind"]
"""Why a record is parked; ``behind`` waits for an earlier record of its key."""

_PATH = re.compile(r" - at `([^`]*)`$")
_NO_TYPE = b""


class UnreadableRecordError(Exception):
    """A record without a readable key, id or sequence cannot be counted as anybody's. Stops the process."""


class Flaw(msgspec.Struct, frozen=True, gc=False):
    """Why an event cannot be read: a code and the path to the field, never a value."""

    reason: Reason
    path: str | None = None


class Incoming(msgspec.Struct, frozen=True, gc=False):
    """One record as the processor handles it. ``content``: its event, or its flaw, or ``None`` if it is of no use."""

    key: str
    sequence: int
    event_id: str
    content: Envelope[Any] | Flaw | None
    record: Record


class IncomingReader:
    """Reads records for a processor that uses some of the declared types; the others are not even decoded.

    ``mended``: by event id, what stands in for a record, or ``None`` where nothing does; for rebuilds, which meet again
    what operators have repaired and discarded. It may grow.
    """

    def __init__(self, uses: frozenset[type[Event]], mended: Mapping[str, Envelope[Any] | None] | None = None) -> None:
        self._uses = uses
        self._mended = mended if mended is not None else {}
        self._used: dict[bytes, str] = {event.TYPE.encode(): event.TYPE for event in uses}
        self._of_no_use = frozenset(kind.encode() for kind in BY_TYPE) - self._used.keys()

    def read(self, records: Sequence[Record]) -> list[Incoming]:
        """The records in their order. Raises ``UnreadableRecordError``; all else that is wrong becomes a flaw."""
        used, of_no_use, mended = self._used, self._of_no_use, self._mended
        found: list[Incoming] = []
        append = found.append
        for record in records:  # hot: about a microsecond a record besides the decoding
            headers = dict(record.headers)
            try:
                key = str(record.key, "utf-8")  # type: ignore[arg-type]  # no key is a TypeError
                event_id = str(headers["ce_id"], "utf-8")
                sequence = int(headers["ce_sequence"])
            except (KeyError, TypeError, ValueError):
                raise _unreadable(record) from None  # the original error would show the value
            if sequence < 1 or not key or not event_id:
                raise _unreadable(record)
            kind = headers.get("ce_type", _NO_TYPE)
            content: Envelope[Any] | Flaw | None
            if mended and event_id in mended:
                stands_in = mended[event_id]
                content = stands_in if stands_in is not None and type(stands_in.data) in self._uses else None
            elif (event_type := used.get(kind)) is not None:
                content = _event(event_type, record.value, event_id, key)
            else:
                content = None if kind in of_no_use else Flaw("undeclared_type")
            append(Incoming(key, sequence, event_id, content, record))
        return found


def id_of(record: Record) -> str:
    """The event id in a record's headers. Raises ``UnreadableRecordError``."""
    try:
        return str(dict(record.headers)["ce_id"], "utf-8")
    except (KeyError, TypeError, ValueError):
        raise _unreadable(record) from None


def type_of(record: Record) -> str:
    """The event type in a record's headers, as far as it is text; empty if there is none."""
    return dict(record.headers).get("ce_type", _NO_TYPE).decode(errors="replace")


def _event(event_type: str, value: bytes | None, event_id: str, key: str) -> Envelope[Any] | Flaw:
    """The event, or its flaw. Text that is no UTF-8 and JSON nested too deep come as errors of their own."""
    if value is None:
        return Flaw("malformed")
    try:
        envelope = decode(event_type, value)
    except MalformedEventError as error:
        return Flaw("malformed", _path_in(str(error)))
    except (UnicodeDecodeError, RecursionError):
        return Flaw("malformed")
    if envelope.id != event_id:
        return Flaw("contradicts_headers", "$.id")
    if envelope.subject != key:
        return Flaw("contradicts_headers", "$.subject")
    return envelope


def _path_in(message: str) -> str | None:
    """The path at the end of a decoder's message; the rest of it may hold a value."""
    found = _PATH.search(message)
    return found.group(1) if found else None


def _unreadable(record: Record) -> UnreadableRecordError:
    where = f"{record.topic}|{record.partition} at offset {record.offset}"
    return UnreadableRecordError(f"no readable key, ce_id and ce_sequence on {where}")
