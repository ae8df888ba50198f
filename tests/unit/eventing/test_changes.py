"""The change feed is ordered, has no gap, and gives the same again for the same cursor."""

from collections.abc import Iterable
from typing import Any

import pytest

from services.eventing.changes import ChangesPage, CursorUnknownError, read_changes
from services.eventing.ports import Document
from services.eventing.relay.marking import mark
from tests.support.memory_store import MemoryStore
from tests.support.outbox import all_changes, outbox_store, rows
from tests.support.relays import RelayWorld


def published(*keys: list[str], epochs: dict[int, list[str]] | None = None) -> tuple[RelayWorld, list[bytes]]:
    """A world whose rows are all marked, by default under one epoch; and the events in publication order."""
    world = RelayWorld()
    documents = rows(*keys)
    world.store.put("outbox", *documents)

    async def story() -> None:
        for row_ids in (epochs or {1: [each["_id"] for each in documents]}).values():
            await mark(world.store, await world.guard(), row_ids)

    world.run(story())
    return world, [event["value"] for document in documents for event in document["events"]]


async def test_nothing_published_is_an_empty_page_and_a_cursor_to_come_back_with() -> None:
    store = outbox_store()
    store.put("outbox", *rows(["a"]))
    page = await read_changes(store, None, 10)
    assert page == ChangesPage([], "0.0")
    assert await read_changes(store, page.next, 10) == page


@pytest.mark.parametrize("limit", [1, 2, 3, 5, 200])
async def test_pages_of_any_size_give_all_events_in_order_once(limit: int) -> None:
    world, events = published(["a", "b", "c"], ["a"], ["b", "b"], ["c"])
    pages = await all_changes(world.store, limit=limit)
    assert [item for page in pages for item in page.items] == events
    assert all(len(page.items) <= limit for page in pages)
    assert pages[-1].next == "1.7"


async def test_a_cursor_gives_the_same_page_again() -> None:
    world, events = published(["a", "b"], ["c"])
    first = await read_changes(world.store, None, 1)
    assert await read_changes(world.store, None, 1) == first
    second = await read_changes(world.store, first.next, 2)
    assert second.items == events[1:]
    assert await read_changes(world.store, first.next, 2) == second


async def test_a_cursor_names_the_epoch_of_the_event_it_stands_behind() -> None:
    world, events = published(["a"], ["b", "c"], epochs={1: ["row-01"], 2: ["row-02"]})
    assert [(await read_changes(world.store, None, n)).next for n in (1, 2, 3)] == ["1.1", "2.2", "2.3"]
    assert (await read_changes(world.store, "1.1", 5)).items == events[1:]


@pytest.mark.parametrize(
    "cursor", ["2.1", "1.3", "1.9", "0.1", "7.0", "", "1", "x.y", "1.-1", "1.1.1", "²." + "1", "1." + "9" * 40]
)
async def test_a_cursor_of_another_history_or_none_at_all_is_refused(cursor: str) -> None:
    world, _ = published(["a"], ["b"], epochs={1: ["row-01"], 2: ["row-02"]})
    with pytest.raises(CursorUnknownError):
        await read_changes(world.store, cursor, 10)


class TornStore(MemoryStore):
    """Its scans do not see one row that they should."""

    unseen = ""

    async def find(self, *args: Any, **kwargs: Any) -> list[Document]:
        found = await super().find(*args, **kwargs)
        return [document for document in found if document["_id"] != self.unseen]


async def test_a_scan_that_misses_a_row_ends_the_page_before_the_gap() -> None:
    world, events = published(["a"], ["b"], ["c"])
    store = TornStore()
    store.put("outbox", *world.store.documents("outbox").values())
    store.unseen = "row-02"
    page = await read_changes(store, None, 10)
    assert page.items == events[:1]
    assert await read_changes(store, page.next, 10) == ChangesPage([], page.next)
    store.unseen = ""
    assert (await read_changes(store, page.next, 10)).items == events[1:]


class OlderStore(MemoryStore):
    """Its second read shows some rows as they were before they were numbered, or not at all."""

    older: dict[str, Document | None] = {}  # noqa: RUF012

    async def get(self, collection: str, ids: Iterable[str]) -> dict[str, Document]:
        found = await super().get(collection, ids)
        return {key: before for key, row in found.items() if (before := self.older.get(key, row)) is not None}


@pytest.mark.parametrize("before", [None, {"_id": "row-02", "state": "unmarked"}])
async def test_a_row_that_the_second_read_shows_as_it_was_before_ends_the_page(before: Document | None) -> None:
    world, events = published(["a"], ["b"], ["c"])
    store = OlderStore(collections=("outbox",))
    store.put("outbox", *(await world.store.find("outbox", {}, limit=10)))
    store.older = {"row-02": before}
    page = await read_changes(store, None, 10)
    assert page == ChangesPage(events[:1], "1.1")
    store.older = {}
    assert (await read_changes(store, page.next, 10)).items == events[1:]


async def test_unmarked_rows_are_not_told() -> None:
    world, events = published(["a"], ["b"], epochs={1: ["row-01"]})
    assert (await read_changes(world.store, None, 10)).items == events[:1]
