"""Decides the order in which outbox rows are published: no event before its key's predecessor."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple


class Row(NamedTuple):
    """An unmarked outbox document without its events."""

    id: str
    streams: tuple[str, ...]
    """``topic|key|sequence`` of every event."""
    bytes: int


def predecessor(stream: str) -> str | None:
    """``topic|key|n-1`` of ``topic|key|n``; none before the first."""
    head, _, sequence = stream.rpartition("|")
    return f"{head}|{int(sequence) - 1}" if sequence != "1" else None


def missing_predecessors(rows: Mapping[str, Row]) -> list[str]:
    """The predecessors of the rows' events that none of the rows holds, in order of appearance."""
    held = {stream for row in rows.values() for stream in row.streams}
    before = (predecessor(stream) for row in rows.values() for stream in row.streams)
    return list(dict.fromkeys(each for each in before if each is not None and each not in held))


def in_publication_order(rows: Sequence[Row]) -> list[Row]:
    """The same rows, each after every row that holds a predecessor of its events; else as they were.

    Rows have no cycles, because the transactions that count a key's events exclude each other: one that emitted before
    another for one key did so for all.
    """
    holders = {stream: place for place, row in enumerate(rows) for stream in row.streams}
    assert len(holders) == sum(len(row.streams) for row in rows), "a sequence stands in two rows"
    ordered: list[Row] = []
    placed: set[int] = set()
    for place in range(len(rows)):
        _place(place, rows, holders, placed, ordered)
    assert len(ordered) == len(rows)
    return ordered


def _place(place: int, rows: Sequence[Row], holders: Mapping[str, int], placed: set[int], ordered: list[Row]) -> None:
    """Puts one row's unplaced predecessors, then the row, at the end. A stack: chains may be thousands of rows long."""
    if place in placed:
        return
    stack = [(place, _needed(rows[place], place, holders))]
    open_places = {place}
    while stack:
        current, needed = stack[-1]
        step = next((each for each in needed if each not in placed), None)
        if step is None:
            stack.pop()
            open_places.discard(current)
            placed.add(current)
            ordered.append(rows[current])
        else:
            assert step not in open_places, "outbox rows precede each other in a circle"
            open_places.add(step)
            stack.append((step, _needed(rows[step], step, holders)))


def _needed(row: Row, place: int, holders: Mapping[str, int]) -> Iterator[int]:
    """The places of the rows that must come before this one."""
    for stream in row.streams:
        before = predecessor(stream)
        holder = holders.get(before, place) if before is not None else place
        if holder != place:
            yield holder


def in_batches(rows: Iterable[Row], *, events_max: int, bytes_max: int) -> Iterator[list[Row]]:
    """Cuts ordered rows into batches within both limits; a row beyond a limit is a batch of its own."""
    batch: list[Row] = []
    events = size = 0
    for row in rows:
        if batch and (events + len(row.streams) > events_max or size + row.bytes > bytes_max):
            yield batch
            batch, events, size = [], 0, 0
        batch.append(row)
        events += len(row.streams)
        size += row.bytes
    if batch:
        yield batch
