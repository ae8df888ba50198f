"""Old and new schemas: every stored revision reads what is written today, and the other way round."""

import json
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import jsonschema
import pytest

from services.contracts.catalogue import EVENTS
from services.contracts.documents import event_schema, examples, revisions
from services.contracts.event import Event
from services.contracts.topics import TOPICS
from tests.support.schemas import breaking_changes

PERSONAL = {
    "name",
    "phone",
    "mobile",
    "address",
    "id_number",
    "birth_date",
    "photo",
    "track",
    "longitude",
    "latitude",
    "reason",
    "feedback",
}
NAMES_OF_PLACES = {"registry.unit.registered.v1", "registry.organisation.registered.v1"}


@pytest.mark.parametrize("event", EVENTS)
def test_every_example_is_valid_under_every_stored_revision(event: type[Event]) -> None:
    assert revisions(event), "run: make generate"
    for schema in revisions(event):
        for example in examples(event):
            jsonschema.Draft202012Validator(schema).validate(json.loads(example))


@pytest.mark.parametrize("event", EVENTS)
def test_revisions_only_grow(event: type[Event]) -> None:
    for older, newer in pairwise([*revisions(event), event_schema(event)]):
        assert breaking_changes(older, newer) == []


def changed(schema: dict[str, Any], path: tuple[str, ...], value: object) -> dict[str, Any]:
    """A deep copy of a schema with one place changed."""
    copy: dict[str, Any] = json.loads(json.dumps(schema))
    target = copy
    for step in path[:-1]:
        target = target[step]
    target[path[-1]] = value
    return copy


CHECKED_IN = next(event for event in EVENTS if event.TYPE == "activities.attendance.checked_in.v1")
FIELDS = ("$defs", "CheckedIn", "properties")


@pytest.mark.parametrize(
    ("path", "value", "breaks"),
    [
        ((*FIELDS, "tomorrow"), {"type": "string", "default": ""}, []),
        ((*FIELDS, "home_unit"), {"type": "integer"}, ["CheckedIn.home_unit: type"]),
        ((*FIELDS, "entry_mode"), {"enum": ["live"]}, ["CheckedIn.entry_mode: enum"]),
        (("$defs", "CheckedIn", "required"), ["attendance_id"], ["CheckedIn: required"]),
        ((*FIELDS,), {}, ["CheckedIn: properties"]),
    ],
)
def test_the_comparison_sees_what_breaks(path: tuple[str, ...], value: object, breaks: list[str]) -> None:
    schema = event_schema(CHECKED_IN)
    found = breaking_changes(schema, changed(schema, path, value))
    assert [line for line in breaks if not any(entry.startswith(line) for entry in found)] == []
    assert bool(found) == bool(breaks)


def names(schema: object) -> Iterator[str]:
    """Every property name in a schema."""
    if isinstance(schema, dict):
        yield from schema.get("properties", {})
        for value in schema.values():
            yield from names(value)


@pytest.mark.parametrize("event", EVENTS)
def test_no_event_has_a_field_for_personal_data_a_track_or_a_photo(event: type[Event]) -> None:
    assert not (set(names(event_schema(event))) & (PERSONAL - ({"name"} if event.TYPE in NAMES_OF_PLACES else set())))


def test_topics_that_share_a_consumer_have_equal_partition_counts() -> None:
    assert len({topic.partitions for topic in TOPICS}) == 1
