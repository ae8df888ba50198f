"""Writes wake who listens; a database can be prepared, and asked whether it answers."""

import asyncio

import pytest

from services.eventing.ports import Index
from tests.integration.store_scenarios.frame import AT_ONCE_S, COLLECTIONS, INDEXES, Stores, put, refused, scenario


@scenario
async def a_write_wakes_who_listens(stores: Stores) -> None:
    async with stores.one.wakeups("outbox") as wakeups:
        for number in range(100):  # listening may begin a little late, and a wake-up may be missed
            row = {"_id": f"{number}", "streams": [f"t|k|{number}"]}
            await stores.other.transact(lambda tx, row=row: tx.insert("outbox", [row]))  # type: ignore[misc]
            if await wakeups.wait(1):
                break
        else:
            pytest.fail("a hundred writes and no wake-up")


@scenario
async def without_writes_a_wait_ends_at_its_time_out(stores: Stores) -> None:
    clock = asyncio.get_running_loop().time
    async with stores.one.wakeups("outbox") as wakeups:
        for _ in range(100):  # it may wake for nothing
            began = clock()
            if not await wakeups.wait(0.2):
                assert 0.19 < clock() - began < AT_ONCE_S
                return
    pytest.fail("a hundred wake-ups for nothing")


@scenario
async def several_can_listen(stores: Stores) -> None:
    async with stores.one.wakeups("outbox") as first, stores.other.wakeups("outbox") as second:
        heard = [False, False]
        for number in range(100):
            row = {"_id": f"{number}", "streams": [f"t|k|{number}"]}
            await stores.other.transact(lambda tx, row=row: tx.insert("outbox", [row]))  # type: ignore[misc]
            woken = await asyncio.gather(first.wait(1), second.wait(1))
            heard = [before or now for before, now in zip(heard, woken, strict=True)]
            if all(heard):
                return
    pytest.fail("a hundred writes, and not both heard one")


@scenario
async def preparing_twice_at_once_is_safe(stores: Stores) -> None:
    more = [*COLLECTIONS, "more", "and_more"]
    indexes = [*INDEXES, Index("more", "by_name", (("name", 1), ("n", -1)), unique=True)]
    await asyncio.gather(*(store.prepare(more, indexes) for store in (stores.one, stores.other) for _ in range(2)))
    await stores.one.prepare(more, indexes)
    await put(stores.one, {"_id": "1", "name": "Li", "n": 1}, {"_id": "2", "name": "Li", "n": 2}, collection="more")
    await refused(stores.one, lambda tx: tx.insert("more", [{"_id": "3", "name": "Li", "n": 2}]))


@scenario
async def a_store_that_answers_says_so(stores: Stores) -> None:
    await stores.one.ping()
