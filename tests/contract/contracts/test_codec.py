"""The codec: what was published decodes for ever, what is wrong is refused with a path and without its value."""

import json
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from services.contracts import codec
from services.contracts.catalogue import BY_TYPE, EVENTS
from services.contracts.documents import examples
from services.contracts.event import Event
from services.contracts.ids import EventId
from services.contracts.topics import BY_NAME

ALL = [
    pytest.param(event, number, id=f"{event.TYPE}-{number}")
    for event in EVENTS
    for number in range(len(examples(event)))
]
BROKEN = "activities.attendance.checked_in.v1"
SECRET = "王秘密"


def published(event: type[Event], number: int = 0) -> dict[str, Any]:
    """One golden example as plain JSON."""
    example: dict[str, Any] = json.loads(examples(event)[number])
    return example


def decode(event_type: str, document: object) -> Any:
    """Decodes plain JSON as the record of a type."""
    return codec.decode(event_type, json.dumps(document).encode())


@pytest.mark.parametrize("event", EVENTS)
def test_every_event_has_a_golden_example(event: type[Event]) -> None:
    assert examples(event)


@pytest.mark.parametrize(("event", "number"), ALL)
def test_every_published_example_still_decodes(event: type[Event], number: int) -> None:
    envelope = codec.decode(event.TYPE, examples(event)[number])
    assert type(envelope.data) is event
    assert envelope.subject == envelope.data.key


@pytest.mark.parametrize(("event", "number"), ALL)
def test_decode_of_encode_is_the_event(event: type[Event], number: int) -> None:
    data = codec.decode(event.TYPE, examples(event)[number]).data
    moment = datetime(2026, 7, 14, 3, 4, 5, 6, tzinfo=UTC)
    value = codec.encode(data, event_id=EventId("e1"), time=moment, sequence=41, traceparent=None)
    envelope = codec.decode(event.TYPE, value)
    assert (envelope.data, envelope.id, envelope.time, int(envelope.sequence)) == (data, "e1", moment, 41)


@pytest.mark.parametrize(("event", "number"), ALL)
def test_unknown_fields_change_nothing(event: type[Event], number: int) -> None:
    document = published(event, number)
    widened = {**document, "tomorrow": 1, "data": {**document["data"], "tomorrow": {"a": [1]}}}
    assert decode(event.TYPE, widened) == decode(event.TYPE, document)


def test_undeclared_type_is_told_apart_from_a_malformed_event() -> None:
    with pytest.raises(codec.UndeclaredTypeError):
        decode("activities.attendance.teleported.v1", {})


@pytest.mark.parametrize(
    ("path", "wrong", "message"),
    [
        (("data", "at"), "2026-07-14T09:00:00", "$.data.at"),
        (("data", "at"), 17, "$.data.at"),
        (("data", "session", "grace_minutes"), -1, "$.data.session.grace_minutes"),
        (("data", "session", "ends_at"), None, "$.data.session.ends_at"),
        (("data", "entry_mode"), SECRET, "$.data.entry_mode"),
        (("data", "proofs", 0, "method"), f"{SECRET}' - at `$.x", "$.data.proofs[0].method"),
        (("time",), SECRET, "$.time"),
        (("type",), "activities.attendance.checked_out.v1", "$.type"),
        (("specversion",), "2.0", "$.specversion"),
    ],
)
def test_wrong_value_is_refused_with_a_path_and_without_the_value(
    path: tuple[Any, ...], wrong: object, message: str
) -> None:
    document = published(BY_TYPE[BROKEN])
    target: Any = document
    for step in path[:-1]:
        target = target[step]
    target[path[-1]] = wrong
    with pytest.raises(codec.MalformedEventError) as refused:
        decode(BROKEN, document)
    assert message in str(refused.value)
    assert SECRET not in str(refused.value)
    assert refused.value.__cause__ is None


@pytest.mark.parametrize("value", [b"", b"{", b"[]", b"null", b'{"id": "\xff\xfe"}', b"[" * 100_000])
def test_bytes_that_are_no_event_are_malformed(value: bytes) -> None:
    with pytest.raises(codec.MalformedEventError):
        codec.decode(BROKEN, value)


def test_missing_field_is_named() -> None:
    document = published(BY_TYPE[BROKEN])
    del document["data"]["home_unit"]
    with pytest.raises(codec.MalformedEventError, match="home_unit"):
        decode(BROKEN, document)


@pytest.mark.parametrize("event", EVENTS)
def test_type_topic_and_key_are_well_formed(event: type[Event]) -> None:
    owner, subject, action, version = event.TYPE.split(".")
    assert subject
    assert action
    assert version.removeprefix("v").isdigit()
    assert BY_NAME[event.TOPIC].owner == owner
    assert event.KEY in {field.name for field in msgspec.structs.fields(event)}


def test_events_are_frozen() -> None:
    event = codec.decode(BROKEN, examples(BY_TYPE[BROKEN])[0]).data
    with pytest.raises(AttributeError):
        event.at = None
