"""Activities holds no personal data: nothing that names, reaches, tracks or pictures a person has a field here."""

import re
from collections.abc import Iterator
from importlib import import_module
from inspect import getmembers, isclass
from pkgutil import walk_packages
from typing import Any

import msgspec
from pydantic import BaseModel

import services.activities
from services.contracts.activities import ACTIVITIES, ATTENDANCE
from services.contracts.catalogue import EVENTS
from services.contracts.documents import event_schema
from tests.support.activities import World, a_session, at, described

FORBIDDEN = re.compile(
    r"(^|_)(name|phone|mobile|telephone|email|mail|address|birth|born|age|sex|gender|identity|id_number|id_card"
    r"|photo|picture|image|face|track|location|longitude|latitude|geo|remark|note|comment|text)(_|$)"
)
ALLOWED = {"text"}
"""What was read off a card or slip, in memory while it is checked; neither stored nor announced."""


def property_names(schema: Any) -> Iterator[str]:
    """Every property of a JSON Schema, at any depth."""
    if isinstance(schema, dict):
        yield from schema.get("properties", {})
        for part in schema.values():
            yield from property_names(part)
    elif isinstance(schema, list):
        for part in schema:
            yield from property_names(part)


def stored_names(value: Any) -> Iterator[str]:
    """Every field of a document, at any depth."""
    if isinstance(value, dict):
        for name, part in value.items():
            yield name
            yield from stored_names(part)
    elif isinstance(value, list):
        for part in value:
            yield from stored_names(part)


def declared_names() -> Iterator[tuple[str, str]]:
    """Every field of every structure and model that activities declares."""
    for module in walk_packages(services.activities.__path__, "services.activities."):
        if module.name.endswith("__main__"):
            continue
        for _, item in getmembers(import_module(module.name), isclass):
            if item.__module__.startswith("services.activities") and issubclass(item, msgspec.Struct | BaseModel):
                fields = item.__struct_fields__ if issubclass(item, msgspec.Struct) else item.model_fields
                yield from ((f"{item.__module__}.{item.__name__}", field) for field in fields)


def test_the_check_knows_what_it_looks_for() -> None:
    for field in ("name", "phone", "mobile_number", "full_name", "photo", "gps_track", "birth_date", "age_band"):
        assert FORBIDDEN.search(field), field
    for field in ("number", "named_by", "message", "package", "unit_served", "volunteer_id"):
        assert not FORBIDDEN.search(field), field


def test_no_structure_has_a_field_for_it() -> None:
    found = list(declared_names())
    assert len(found) > 150
    assert [each for each in found if FORBIDDEN.search(each[1]) and each[1] not in ALLOWED] == []


def test_no_body_of_the_api_has_a_field_for_it() -> None:
    names = set(property_names(described()))
    assert {"volunteer_id", "title", "number"} <= names
    assert [name for name in names if FORBIDDEN.search(name)] == []


def test_no_event_has_a_field_for_it() -> None:
    events = [event for event in EVENTS if event.TOPIC in {ACTIVITIES, ATTENDANCE}]
    names = {name for event in events for name in property_names(event_schema(event))}
    assert {"volunteer_id", "home_unit"} <= names
    assert [name for name in names if FORBIDDEN.search(name)] == []


async def test_no_document_has_a_field_for_it() -> None:
    """Not even of what registry says about organisations and volunteers is more kept than is needed."""
    world = await World().prepare()
    await world.register(1)
    world.put(a_session())
    await world.post("/v1/sessions/SE-1/sign-ups", {"volunteer_id": "V-1"})
    await world.post("/v1/sessions/SE-1/check-ins", {"volunteer_id": "V-1", "proof": {"method": "leader_list"}})
    row = {"row": 1, "session_id": "SE-1", "number": "N-9", "action": "attended", "proof": None}
    times = {"from": at(9).isoformat(), "to": at(10).isoformat()}
    await world.post("/v1/batches", {"kind": "roster", "leader_id": "L-1", "rows": [{**row, **times}]})
    for collection in ("volunteers", "places", "sessions", "sign_ups", "attendances", "batches"):
        documents = world.store.documents(collection)
        assert documents, collection
        names = set(stored_names(list(documents.values())))
        assert [name for name in names if FORBIDDEN.search(name)] == [], collection
