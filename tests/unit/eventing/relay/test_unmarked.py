"""What is unmarked is found by state, with everything that must go before it."""

import pytest

from services.eventing.relay import unmarked
from services.eventing.relay.unmarked import load, look_up, scan, with_predecessors
from tests.support.memory_store import MemoryStore
from tests.support.outbox import outbox_store, rows
from tests.support.records import NOON


def marked(store: MemoryStore, *ids: str) -> None:
    documents = store.documents("outbox")
    store.put("outbox", *({**documents[each], "state": "marked"} for each in ids))


def stored(*keys: list[str]) -> MemoryStore:
    store = outbox_store()
    store.put("outbox", *rows(*keys))
    return store


async def test_a_scan_finds_what_is_unmarked_however_old_it_is() -> None:
    store = stored(["a"], ["b"], ["c"])
    marked(store, "row-02", "row-03")
    assert [row.id for row in await scan(store)] == ["row-01"]


async def test_a_scan_is_cut_by_rows_and_by_events(monkeypatch: pytest.MonkeyPatch) -> None:
    store = stored(["a", "b"], ["c"], ["d"], ["e"])
    monkeypatch.setattr(unmarked, "SCAN_ROWS_MAX", 3)
    assert [row.id for row in await scan(store)] == ["row-01", "row-02", "row-03"]
    monkeypatch.setattr(unmarked, "SCAN_EVENTS_MAX", 3)
    assert [row.id for row in await scan(store)] == ["row-01", "row-02"]
    monkeypatch.setattr(unmarked, "SCAN_EVENTS_MAX", 1)
    assert [row.id for row in await scan(store)] == ["row-01"]


async def test_a_look_up_finds_unmarked_rows_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unmarked, "LOOK_UP_STREAMS_MAX", 1)
    store = stored(["a"], ["b"], ["a", "b"])
    marked(store, "row-01")
    topic = "activities.attendance"
    found = await look_up(store, [f"{topic}|a|1", f"{topic}|b|1", f"{topic}|b|2", f"{topic}|a|2"])
    assert [row.id for row in found] == ["row-02", "row-03"]


async def test_predecessors_are_found_recursively_down_to_what_is_marked() -> None:
    store = stored(["a"], ["a"], ["a", "b"], ["b", "c"], ["d"])
    marked(store, "row-01")
    (last,) = [row for row in await scan(store) if row.id == "row-04"]
    assert {row.id for row in await with_predecessors(store, [last])} == {"row-02", "row-03", "row-04"}


async def test_a_chain_beyond_the_limit_is_begun_at_its_early_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unmarked, "CLOSURE_EVENTS_MAX", 3)
    store = stored(*([["a"]] * 10))
    (last,) = [row for row in await scan(store) if row.id == "row-10"]
    closed = {row.id for row in await with_predecessors(store, [last])}
    assert "row-01" in closed
    assert len(closed) <= 3
    assert closed == {f"row-{n:02}" for n in range(1, len(closed) + 1)}


async def test_whole_rows_are_loaded_in_order_but_for_those_marked_meanwhile() -> None:
    store = stored(["a"], ["b"], ["c"])
    scanned = (await scan(store))[::-1]
    marked(store, "row-02")
    store.remove("outbox", "row-03")
    loaded = await load(store, scanned)
    assert [document["_id"] for document in loaded] == ["row-01"]
    assert loaded[0]["events"][0]["key"] == "a"
    assert loaded[0]["created_at"].startswith(str(NOON.date()))
