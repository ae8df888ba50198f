"""Keeps how far a processor has come in each partition: the only truth about it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from services.eventing.ports import Document, Reads, Store, TopicPartition, Transaction

POSITIONS = "positions"


class PositionMoved(Exception):
    """The stored position is not the one this worker expected: another worker has advanced it."""


@dataclass(frozen=True, slots=True)
class Position:
    """``next``: the offset to apply next. ``last_id``: the event id of the record before it, if there was one."""

    next: int
    last_id: str | None
    last_offset: int | None


def position_id(processor: str, partition: TopicPartition) -> str:
    """The id of a position's document, and the name of the session that advances it."""
    return f"{processor}|{partition.topic}|{partition.partition}"


async def load(reads: Reads, processor: str, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, Position]:
    """The positions that exist."""
    ids = {position_id(processor, partition): partition for partition in partitions}
    return {ids[each]: _position(document) for each, document in (await reads.get(POSITIONS, ids)).items()}


async def create(store: Store, processor: str, firsts: Mapping[TopicPartition, int]) -> None:
    """Begins partitions at their first existing offsets; positions that another worker has made stay."""
    wanted = {position_id(processor, partition): first for partition, first in firsts.items()}

    async def work(tx: Transaction) -> None:
        existing = await tx.get(POSITIONS, wanted)
        missing = [_document(each, Position(wanted[each], None, None)) for each in wanted if each not in existing]
        if missing:
            await tx.replace(POSITIONS, missing)  # not insert: a race is then a conflict, which is tried again

    await store.transact(work)


async def expect(tx: Transaction, each: str, expected: Position) -> None:
    """Raises ``PositionMoved`` unless the position of that id is the expected one."""
    document = (await tx.get(POSITIONS, (each,))).get(each)
    if document is None or _position(document) != expected:
        raise PositionMoved(each)


async def advance(tx: Transaction, each: str, position: Position) -> None:
    """Writes the position; together with ``expect`` in one snapshot, only one worker's advance can commit."""
    await tx.replace(POSITIONS, [_document(each, position)])


def _position(document: Document) -> Position:
    return Position(document["next"], document["last_id"], document["last_offset"])


def _document(each: str, position: Position) -> Document:
    return {"_id": each, "next": position.next, "last_id": position.last_id, "last_offset": position.last_offset}
