"""Reads what a service has published, in order, without a gap, again and again: the change feed."""

from typing import NamedTuple

from services.eventing.outbox import OUTBOX
from services.eventing.ports import Document, Reads

CHANGES_PAGE_EVENTS_MAX = 200
START = "0.0"

_FIELDS = ("change_from", "change_to", "epoch")


class CursorUnknownError(ValueError):
    """The cursor is not one of ours, or of a history that was lost (the number was given again under another epoch)."""


class ChangesPage(NamedTuple):
    """Some changes in order and the cursor behind the last of them."""

    items: list[bytes]
    """Each the CloudEvents JSON of one event, as it was published."""
    next: str
    """The same as before if there was nothing yet."""


class Change(NamedTuple):
    """One change: the cursor behind it, and the CloudEvents JSON of its event."""

    cursor: str
    value: bytes


def number_of(cursor: str) -> int:
    """How many changes lie before a cursor. Raises ``CursorUnknownError`` if it is none."""
    return _parse(cursor).number


class _Place(NamedTuple):
    """Behind which change a page begins: its number, and the epoch it was numbered in."""

    epoch: int
    number: int


async def read_changes(store: Reads, after: str | None, limit: int) -> ChangesPage:
    """Up to ``limit`` events behind the cursor ``after`` (from the first change if none).

    ``store`` is read outside of a transaction: only what a majority holds is told. Raises ``CursorUnknownError``.
    """
    changes = await list_changes(store, after, limit)
    place = _parse(after if after is not None else START)
    return ChangesPage(
        [change.value for change in changes], changes[-1].cursor if changes else f"{place.epoch}.{place.number}"
    )


async def list_changes(store: Reads, after: str | None, limit: int) -> list[Change]:
    """As ``read_changes``, each change with the cursor behind it."""
    assert 1 <= limit <= CHANGES_PAGE_EVENTS_MAX
    place = _parse(after if after is not None else START)
    rows = await _rows_from(store, place, limit)
    documents = await store.get(OUTBOX, [row["_id"] for row in rows])
    changes: list[Change] = []
    for row in rows:
        document = documents.get(row["_id"], {})
        if document.get("change_from") != row["change_from"]:
            break  # this second read shows an older state than the first: the next page will have it
        first = place.number + len(changes)
        some = _events_behind(document, first, limit - len(changes))
        changes += [Change(f"{row['epoch']}.{number}", value) for number, value in enumerate(some, start=first + 1)]
    return changes


async def latest_cursor(store: Reads) -> str:
    """The cursor behind the last change there is."""
    rows = await store.find(
        OUTBOX, {"change_to": {"$gte": 1}}, sort=(("change_to", -1),), limit=1, fields=("change_to", "epoch")
    )
    return f"{rows[0]['epoch']}.{rows[0]['change_to']}" if rows else START


def _parse(cursor: str) -> _Place:
    epoch, dot, number = cursor.partition(".")
    digits = epoch.isascii() and epoch.isdigit() and number.isascii() and number.isdigit()
    if not (dot and digits and len(cursor) <= len("2147483647.9223372036854775807")):
        raise CursorUnknownError("not a cursor of this feed")
    return _Place(int(epoch), int(number))


async def _rows_from(store: Reads, place: _Place, limit: int) -> list[Document]:
    """The rows, without their events, that hold the change at the cursor and up to ``limit`` behind it."""
    where = {"change_to": {"$gte": max(place.number, 1)}}
    rows = await store.find(OUTBOX, where, sort=(("change_to", 1),), limit=limit + 1, fields=_FIELDS)
    if place.number:
        _check(rows[0] if rows else None, place)
    elif place.epoch:
        raise CursorUnknownError("the first change has no epoch")
    return _without_gap(rows, place.number, limit)


def _check(row: Document | None, place: _Place) -> None:
    """The change at the cursor must be the one the reader was given; else its history is not ours any more."""
    if row is None or row["change_from"] > place.number or row["epoch"] != place.epoch:
        raise CursorUnknownError("the change at the cursor is not the one that was read")


def _without_gap(rows: list[Document], number: int, limit: int) -> list[Document]:
    """The rows that a page needs, up to the first number that is not there.

    Numbers are committed in order, but a query that runs meanwhile may see a row without the one before it; the next
    read gives both.
    """
    needed: list[Document] = []
    reached = number
    for row in rows:
        if row["change_from"] > reached + 1 or reached >= number + limit:
            break
        reached = row["change_to"]
        needed.append(row)
    return needed


def _events_behind(document: Document, number: int, limit: int) -> list[bytes]:
    skip = number + 1 - document["change_from"]
    assert skip >= 0
    return [event["value"] for event in document["events"][skip : skip + limit]]
