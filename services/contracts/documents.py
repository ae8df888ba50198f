"""Describes the contracts for other people's tools: JSON Schemas, the AsyncAPI 3 document, the event catalogue page."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from services.contracts.catalogue import EVENTS
from services.contracts.codec import schema_uri
from services.contracts.event import Envelope, Event
from services.contracts.topics import BY_NAME, TOPICS, Topic

HERE = Path(__file__).parent
SCHEMAS = HERE / "schemas"
EXAMPLES = HERE / "examples"
Json = dict[str, Any]


def event_schema(event: type[Event]) -> Json:
    """The JSON Schema (2020-12) of one event type, envelope included, without references outside itself."""
    (_, components) = msgspec.json.schema_components([Envelope[event]], ref_template="#/$defs/{name}")  # type: ignore[valid-type]
    (envelope_name,) = (name for name in components if name.startswith("Envelope"))
    envelope = dict(components.pop(envelope_name))
    envelope["properties"] = envelope["properties"] | {"type": {"const": event.TYPE}, "sequence": _SEQUENCE}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": schema_uri(event.TYPE),
        **envelope,
        "title": event.TYPE,
        "description": _summary(event),
        "$defs": {name: _tidy(schema) for name, schema in components.items()},
    }


_SEQUENCE = {
    "type": "string",
    "pattern": "^[0-9]{12}$",
    "description": "Counts the events of a topic and key from 1, gapless.",
}


def _tidy(schema: Json) -> Json:
    return {**schema, "description": schema["description"].splitlines()[0]} if "description" in schema else schema


def _summary(event: type[Event]) -> str:
    return (event.__doc__ or "").strip().splitlines()[0]


def revisions(event: type[Event]) -> list[Json]:
    """Every schema this type ever had, oldest first; the last is the current one."""
    return [json.loads(path.read_text()) for path in sorted((SCHEMAS / event.TYPE).glob("*.json"))]


def examples(event: type[Event]) -> list[bytes]:
    """Every example of this type that was ever published; kept for ever."""
    return [path.read_bytes() for path in sorted((EXAMPLES / event.TYPE).glob("*.json"))]


def schema_files() -> dict[Path, str]:
    """The schema files as they should be: a schema that changed adds a revision beside the old ones, which stay."""
    files: dict[Path, str] = {}
    for event in EVENTS:
        current, stored = event_schema(event), revisions(event)
        number = len(stored) if stored and stored[-1] == current else len(stored) + 1
        files[SCHEMAS / event.TYPE / f"{number:03d}.json"] = to_text(current)
    return files


def asyncapi() -> Json:
    """The AsyncAPI 3.0 document of all topics and events."""
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Silver service events",
            "version": "1.0.0",
            "description": "CloudEvents 1.0 in structured JSON; each topic keeps the order of its keys, for ever.",
        },
        "defaultContentType": "application/cloudevents+json",
        "channels": {topic.name: _channel(topic) for topic in TOPICS},
        "operations": dict(_operations()),
        "components": {"messages": {event.TYPE: _message(event) for event in EVENTS}},
    }


def _channel(topic: Topic) -> Json:
    events = [event for event in EVENTS if topic.name == event.TOPIC]
    return {
        "address": topic.name,
        "description": f"Owned by {topic.owner}; key: {topic.key}; consumed by {_readers(topic)}.",
        "messages": {event.TYPE: {"$ref": f"#/components/messages/{event.TYPE}"} for event in events},
        "bindings": {"kafka": {"topic": topic.name, "partitions": topic.partitions, "bindingVersion": "0.5.0"}},
    }


def _readers(topic: Topic) -> str:
    return ", ".join(topic.consumers) or "front ends and exchange"


def _operations() -> Iterable[tuple[str, Json]]:
    for topic in TOPICS:
        channel = {"$ref": f"#/channels/{topic.name}"}
        yield f"{topic.owner} sends {topic.name}", {"action": "send", "channel": channel}
        for consumer in topic.consumers:
            yield f"{consumer} receives {topic.name}", {"action": "receive", "channel": channel}


def _message(event: type[Event]) -> Json:
    return {
        "name": event.TYPE,
        "summary": _summary(event),
        "contentType": "application/cloudevents+json",
        "headers": {
            "type": "object",
            "required": ["ce_id", "ce_type", "ce_sequence"],
            "properties": {
                name: {"type": "string"} for name in ("ce_id", "ce_type", "ce_sequence", "content-type", "traceparent")
            },
        },
        "payload": {"schemaFormat": "application/schema+json;version=draft-2020-12", "schema": event_schema(event)},
        "examples": [{"payload": json.loads(example)} for example in examples(event)],
        "bindings": {"kafka": {"key": {"type": "string", "description": event.KEY}, "bindingVersion": "0.5.0"}},
    }


def catalogue_page() -> str:
    """The event catalogue as a Markdown page: every topic, its events, their fields."""
    lines = [
        "# Events",
        "",
        "Made by `make generate` from `services/contracts`; do not edit. Every event is a CloudEvents 1.0 JSON",
        "document; `sequence` counts the events of one topic and key from 1 without a gap. Schemas and examples stand",
        "beside the code in `services/contracts/schemas` and `services/contracts/examples`.",
    ]
    for topic in TOPICS:
        lines += ["", f"## `{topic.name}`", ""]
        lines += [
            f"Owner: {topic.owner}. Key: {topic.key}. Partitions: {topic.partitions}. Read by: {_readers(topic)}."
        ]
        if not any(topic.name == event.TOPIC for event in EVENTS):
            lines += ["", "No event yet: the topic is there so that its partitions and key stand fast."]
        for event in (event for event in EVENTS if topic.name == event.TOPIC):
            lines += ["", f"### `{event.TYPE}`", "", _summary(event), *_table(event, event.__name__)]
    lines += ["", "## Parts of events"]
    parts = {name: event for event in EVENTS for name in event_schema(event)["$defs"] if name != event.__name__}
    for name, event in sorted(parts.items()):
        lines += ["", f"### `{name}`", "", event_schema(event)["$defs"][name]["description"], *_table(event, name)]
    return "\n".join(lines) + "\n"


def _table(event: type[Event], name: str) -> list[str]:
    definition = event_schema(event)["$defs"][name]
    required = definition["required"]
    rows = [_row(field, schema, required=field in required) for field, schema in definition["properties"].items()]
    return ["", "| Field | Type | Required |", "|---|---|---|", *rows]


def _row(name: str, schema: Json, *, required: bool) -> str:
    return f"| `{name}` | {_kind(schema)} | {'yes' if required else 'no'} |"


def _kind(schema: Json) -> str:
    """A field's type as a reader says it."""
    if "$ref" in schema:
        return f"`{schema['$ref'].rpartition('/')[2]}`"
    if "anyOf" in schema:
        return " or ".join(_kind(choice) for choice in schema["anyOf"])
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    if schema["type"] == "array":
        return f"list of {_kind(schema['items'])}"
    return str(schema.get("format", schema["type"]))


def to_text(document: Mapping[str, Any]) -> str:
    """JSON as it is committed: readable, stable, Chinese as it is."""
    return json.dumps(document, ensure_ascii=False, indent=2) + "\n"


def contract_files(root: Path) -> dict[Path, str]:
    """All generated contract files below the repository's root, by path."""
    assert set(BY_NAME) == {topic.name for topic in TOPICS}
    return {
        **schema_files(),
        root / "docs" / "asyncapi.json": to_text(asyncapi()),
        root / "docs" / "events.md": catalogue_page(),
    }
