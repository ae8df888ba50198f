"""Laws of batches: the same rows one by one, the same bytes once, and no body that breaks the door."""

import json
from typing import Any

from fastapi.exceptions import RequestValidationError
from hypothesis import given, settings
from hypothesis import strategies as st

from services.activities.batches.handlers import Batch
from services.activities.batches.routes import KIOSK_EXAMPLE, ROSTER_EXAMPLE, parse
from tests.support.activities import World, a_session, at, slip

PROOFS = st.sampled_from(
    [
        None,
        {"method": "one_time_code", "code": slip(1)},
        {"method": "one_time_code", "code": slip(2)},
        {"method": "one_time_code", "code": "0001-000000"},
    ]
)
CARDS = st.sampled_from([None, {"method": "personal_card", "card": "N-1"}, {"method": "personal_card", "card": "N-2"}])
SESSIONS = st.sampled_from(["SE-1", "SE-1", "SE-1", "SE-2", "DRAFT", "SE-9"])
"""Mostly the same one, so that rows meet."""
NUMBERS = st.sampled_from(["N-1", "N-2", "N-1", "N-2", "N-3", "N-9"])
TIMES = st.sampled_from([at(8, 50), at(9), at(10), at(11), at(11, 10), at(12)]).map(lambda moment: moment.isoformat())
EARLY = st.sampled_from([at(9), at(10), at(8)]).map(lambda moment: moment.isoformat())
LATE = st.sampled_from([at(11), at(10), at(13)]).map(lambda moment: moment.isoformat())
ROSTER_ROWS = st.fixed_dictionaries(
    {
        "session_id": SESSIONS,
        "number": NUMBERS,
        "action": st.just("attended"),
        "from": EARLY,
        "to": LATE,
        "proof": PROOFS,
    }
)
KIOSK_ROWS = st.fixed_dictionaries(
    {
        "session_id": SESSIONS,
        "number": NUMBERS,
        "action": st.sampled_from(["check_in", "check_out"]),
        "at": TIMES,
        "proof": CARDS,
    }
)
BODIES = st.one_of(
    st.lists(ROSTER_ROWS, min_size=1, max_size=10).map(
        lambda rows: {"kind": "roster", "leader_id": "L-1", "rows": rows}
    ),
    st.lists(KIOSK_ROWS, min_size=1, max_size=10).map(lambda rows: {"kind": "kiosk", "device_id": "K-1", "rows": rows}),
)


async def a_world() -> World:
    """Two sessions that overlap, a draft, two volunteers, one who paused."""
    world = await World().prepare()
    await world.register(1, 2, 3)
    world.store.put("volunteers", {**world.store.documents("volunteers")["V-3"], "state": "paused"})
    world.put(a_session("SE-1"), a_session("SE-2", at(10), at(12)), a_session("DRAFT"))
    world.store.put("sessions", {**world.store.documents("sessions")["DRAFT"], "published": False})
    world.clock.at = at(20)
    return world


def numbered(body: dict[str, Any], rows: list[dict[str, Any]], first: int) -> dict[str, Any]:
    return {**body, "rows": [{"row": number, **row} for number, row in enumerate(rows, first)]}


def without_batch(value: Any) -> Any:
    """What is stored, but for the batch it came in and the counters of ids."""
    if isinstance(value, dict):
        return {name: without_batch(part) for name, part in value.items() if name != "batch_id"}
    return [without_batch(part) for part in value] if isinstance(value, list) else value


@settings(max_examples=40)
@given(BODIES)
async def test_a_batch_is_its_rows_one_by_one(body: dict[str, Any]) -> None:
    whole, single = await a_world(), await a_world()
    rows = body["rows"]
    receipt = (await whole.post("/v1/batches", numbered(body, rows, 1))).json
    receipts = [
        (await single.post("/v1/batches", numbered(body, [row], number))).json for number, row in enumerate(rows, 1)
    ]
    assert receipt["accepted"] == sum(each["accepted"] for each in receipts)
    assert receipt["refused"] == [refused for each in receipts for refused in each["refused"]]
    for collection in ("attendances", "slips"):
        one, other = whole.store.documents(collection), single.store.documents(collection)
        assert without_batch(one) == without_batch(other)
    announced = [[_of(event.data) for event in world.announced()] for world in (whole, single)]
    assert announced[0] == announced[1]


def _of(event: Any) -> tuple[Any, ...]:
    return type(event), event.attendance_id, event.at, event.proofs


@settings(max_examples=20)
@given(BODIES)
async def test_the_same_bytes_change_nothing(body: dict[str, Any]) -> None:
    world = await a_world()
    raw = json.dumps(numbered(body, body["rows"], 1)).encode()
    json_type = {"content-type": "application/json"}
    first = await world.post("/v1/batches", raw, headers=json_type)
    before = {name: world.store.documents(name) for name in ("attendances", "slips", "batches", "outbox", "streams")}
    again = await world.post("/v1/batches", raw, headers=json_type, subject="another")
    assert again.json == first.json
    assert before == {name: world.store.documents(name) for name in before}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda parts: st.lists(parts, max_size=3) | st.dictionaries(st.text(max_size=8), parts, max_size=3),
    max_leaves=8,
)
NAMES = st.sampled_from(["row", "session_id", "number", "action", "at", "from", "to", "proof", "name"])


@st.composite
def bent_bodies(draw: st.DrawFn) -> Any:
    """A sound body, of which something was replaced by anything."""
    body = json.loads(json.dumps(draw(st.sampled_from([KIOSK_EXAMPLE, ROSTER_EXAMPLE]))))
    where = draw(st.sampled_from(["body", "row", "rows"]))
    if where == "body":
        body[draw(st.sampled_from(["kind", "device_id", "leader_id", "rows"]))] = draw(JSON)
    elif where == "row":
        body["rows"][0][draw(NAMES)] = draw(JSON)
    else:
        body["rows"].append(draw(JSON))
    return body


def read(raw: bytes) -> Batch | RequestValidationError:
    """What the door makes of a body; anything else that is raised fails the test."""
    try:
        return parse(raw, batch_id="b")
    except RequestValidationError as error:
        return error


@settings(max_examples=300)
@given(bent_bodies() | JSON)
def test_whatever_comes_is_read_or_refused(body: Any) -> None:
    outcome = read(json.dumps(body).encode())
    if isinstance(outcome, Batch):
        assert len(outcome.rows) >= 1
        assert len(outcome.rows) + len(outcome.unreadable) == len(body["rows"])
    else:
        assert all(each["loc"][0] == "body" for each in outcome.errors())


@given(st.binary(max_size=200))
def test_whatever_bytes_come_are_read_or_refused(raw: bytes) -> None:
    outcome = read(raw)
    assert isinstance(outcome, Batch) or outcome.errors()
