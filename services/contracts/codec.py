"""Turns events into CloudEvents bytes and back: the one codec of the platform."""

import re
from collections.abc import Callable
from datetime import datetime
from functools import lru_cache
from typing import Any

import msgspec

from services.contracts.catalogue import BY_TYPE
from services.contracts.event import Envelope, Event
from services.contracts.ids import EventId

SEQUENCE_DIGITS = 12


class UndeclaredTypeError(Exception):
    """The type is in nobody's catalogue: a newer publisher, or not ours."""


class MalformedEventError(Exception):
    """The bytes are not the event that the record's type names; the message holds the field's path, never a value."""


_QUOTED_VALUE = re.compile(r"value (['\"]).*\1(?= - at `|$)", re.DOTALL)
_ENCODE = msgspec.json.Encoder().encode
_DECODE: dict[str, Callable[[bytes], Envelope[Any]]] = {
    event.TYPE: msgspec.json.Decoder(Envelope[event]).decode  # type: ignore[valid-type]
    for event in BY_TYPE.values()
}


def _without_value(message: str) -> str:
    """The decoder quotes what it found; that may be personal, so only the path stays."""
    return _QUOTED_VALUE.sub("value", message)


def schema_uri(event_type: str) -> str:
    """The relative URI of a type's JSON Schema in ``services/contracts/schemas``."""
    return f"/schemas/{event_type}.json"


@lru_cache(maxsize=1024)
def _source_and_schema(event_type: str) -> tuple[str, str]:
    return "/" + event_type.partition(".")[0], schema_uri(event_type)


def encode(data: Event, *, event_id: EventId, time: datetime, sequence: int, traceparent: str | None = None) -> bytes:
    """The structured-mode CloudEvents JSON of one event; ``sequence`` counts from 1 per topic and key."""
    assert sequence > 0
    assert time.tzinfo is not None
    kind = data.TYPE
    source, schema = _source_and_schema(kind)
    return _ENCODE(
        Envelope(
            id=event_id,
            source=source,
            type=kind,
            subject=data.key,
            time=time,
            sequence=f"{sequence:0{SEQUENCE_DIGITS}d}",
            data=data,
            dataschema=schema,
            specversion="1.0",
            traceparent=traceparent,
        )
    )


def decode(event_type: str, value: bytes) -> Envelope[Any]:
    """The typed envelope of a record whose header names ``event_type``.

    Unknown fields are ignored. Raises ``UndeclaredTypeError`` or ``MalformedEventError`` (wrong type or value, with the
    path to the field; or an envelope that contradicts the header).
    """
    decoder = _DECODE.get(event_type)
    if decoder is None:
        raise UndeclaredTypeError(event_type)
    try:
        envelope = decoder(value)
    except msgspec.DecodeError as error:
        raise MalformedEventError(_without_value(str(error))) from None
    except (UnicodeDecodeError, RecursionError) as error:
        raise MalformedEventError(type(error).__name__) from None
    if envelope.type != event_type:
        raise MalformedEventError("type differs from the record's header - at `$.type`")
    return envelope
