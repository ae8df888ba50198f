"""Reads the outbox rows that still have to be published, with all that must go before them."""

from collections.abc import Iterable, Sequence

from services.eventing.outbox import OUTBOX, UNMARKED
from services.eventing.ports import Document, Reads
from services.eventing.relay.order import Row, in_batches, missing_predecessors

SCAN_ROWS_MAX = 100
SCAN_EVENTS_MAX = 20_000
SCAN_BYTES_MAX = 64_000_000
LOOK_UP_STREAMS_MAX = 1_000
CLOSURE_EVENTS_MAX = 100_000

_FIELDS = ("streams", "bytes")


def _row(document: Document) -> Row:
    return Row(document["_id"], tuple(document["streams"]), document["bytes"])


async def scan(store: Reads) -> list[Row]:
    """Some unmarked rows, the oldest first, by state alone; none only if there are none.

    Never "what came after the last one": ids and times are made before the commit, so that a row may turn up behind any
    such mark. Nor is the scan's order enough: rows that commit while it runs may be seen without those before them.
    """
    documents = await store.find(
        OUTBOX, {"state": UNMARKED}, sort=(("created_at", 1),), limit=SCAN_ROWS_MAX, fields=_FIELDS
    )
    rows = (_row(document) for document in documents)
    return next(in_batches(rows, events_max=SCAN_EVENTS_MAX, bytes_max=SCAN_BYTES_MAX), [])


async def look_up(store: Reads, streams: Sequence[str]) -> list[Row]:
    """The unmarked rows among those that hold these ``topic|key|sequence``.

    Read after the rows that follow them, outside any transaction, at majority: a sequence commits only after the one
    before it, so what is not found is marked.
    """
    found: dict[str, Row] = {}
    for start in range(0, len(streams), LOOK_UP_STREAMS_MAX):
        some = list(streams[start : start + LOOK_UP_STREAMS_MAX])
        where = {"streams": {"$in": some}, "state": UNMARKED}
        documents = await store.find(OUTBOX, where, limit=len(some), fields=_FIELDS)
        found.update((document["_id"], _row(document)) for document in documents)
    return list(found.values())


async def with_predecessors(store: Reads, rows: Iterable[Row]) -> list[Row]:
    """The rows and, recursively, every unmarked row that holds a predecessor of their events.

    If that is more than ``CLOSURE_EVENTS_MAX``, only the last found and what must go before those: the rest is still
    unmarked when they are done.
    """
    closed = {row.id: row for row in rows}
    while missing := missing_predecessors(closed):
        found = {row.id: row for row in await look_up(store, missing)}
        if not found:
            break
        all_of_them = {**found, **closed}
        closed = all_of_them if _events(all_of_them.values()) <= CLOSURE_EVENTS_MAX else found
    return list(closed.values())


def _events(rows: Iterable[Row]) -> int:
    return sum(len(row.streams) for row in rows)


async def load(store: Reads, rows: Sequence[Row]) -> list[Document]:
    """The whole documents, in the same order, but for those that were marked meanwhile."""
    documents = await store.get(OUTBOX, [row.id for row in rows])
    loaded = [documents[row.id] for row in rows if row.id in documents]
    return [document for document in loaded if document["state"] == UNMARKED]
