"""Positions begin once, whoever comes first, and are read as they were written."""

from services.contracts.activities import ATTENDANCE
from services.eventing import positions
from services.eventing.ports import TopicPartition
from services.eventing.positions import POSITIONS, Position, position_id
from tests.support.memory_store import MemoryStore

P0, P1 = TopicPartition(ATTENDANCE, 0), TopicPartition(ATTENDANCE, 1)


async def test_partitions_begin_at_their_first_offsets() -> None:
    store = MemoryStore()
    await positions.create(store, "hours", {P0: 0, P1: 7})
    assert await positions.load(store, "hours", [P0, P1]) == {P0: Position(0, None, None), P1: Position(7, None, None)}
    assert await positions.load(store, "assessment", [P0]) == {}


async def test_a_position_that_exists_stays() -> None:
    store = MemoryStore()
    await positions.create(store, "hours", {P0: 0})
    await store.transact(lambda tx: positions.advance(tx, position_id("hours", P0), Position(5, "event-5", 4)))
    await positions.create(store, "hours", {P0: 0, P1: 0})
    assert (await positions.load(store, "hours", [P0, P1]))[P0] == Position(5, "event-5", 4)


async def test_of_two_that_create_at_the_same_time_both_find_one_position() -> None:
    store = MemoryStore()
    came = False

    def rival(step: str) -> None:
        nonlocal came
        if step == "replace" and not came:
            came = True
            store.put(POSITIONS, {"_id": position_id("hours", P0), "next": 3, "last_id": "event-3", "last_offset": 2})

    store.fault = rival
    await positions.create(store, "hours", {P0: 0})
    assert await positions.load(store, "hours", [P0]) == {P0: Position(3, "event-3", 2)}
