"""A new holder of an owner name ends what the earlier one left open, at once."""

import asyncio

import pytest

from services.eventing.ports import AlreadyExistsError, CommitUnknownError, ConflictError, Transaction
from tests.integration.store_scenarios.frame import (
    AT_ONCE_S,
    OwnError,
    Stores,
    all_ids,
    put,
    read,
    scenario,
    tries_to_put,
)


@scenario
async def take_over_ends_the_earlier_holders_transaction_at_once(stores: Stores) -> None:
    await put(stores.one, {"_id": "position", "next": 1})
    clock = asyncio.get_running_loop().time
    wrote, taken = asyncio.Event(), asyncio.Event()
    seen = []

    async def earlier(tx: Transaction) -> None:
        seen.append((await tx.get("things", ["position"]))["position"]["next"])
        await tx.replace("things", [{"_id": f"result of try {len(seen)}"}])
        if seen[-1] != 1:
            raise OwnError
        await tx.replace("things", [{"_id": "position", "next": 2}])
        wrote.set()
        await taken.wait()

    await stores.one.take_over("processor|topic|0")
    running = asyncio.ensure_future(stores.one.transact(earlier, owner="processor|topic|0"))
    await wrote.wait()
    began = clock()
    await stores.other.take_over("processor|topic|0")

    async def later(tx: Transaction) -> None:
        assert (await tx.get("things", ["position"]))["position"]["next"] == 1
        await tx.replace("things", [{"_id": "position", "next": 5}])

    await stores.other.transact(later, owner="processor|topic|0")
    assert clock() - began < AT_ONCE_S
    taken.set()
    with pytest.raises((OwnError, ConflictError, CommitUnknownError)):
        await running
    assert await stores.one.find("things", {}, limit=9) == [{"_id": "position", "next": 5}]


@scenario
async def take_over_by_the_same_process_ends_its_own_transaction(stores: Stores) -> None:
    wrote = asyncio.Event()

    async def abandoned(tx: Transaction) -> None:
        await tx.replace("things", [{"_id": "1", "by": "abandoned"}])
        wrote.set()
        await asyncio.Event().wait()

    await stores.one.take_over("owner")
    task = asyncio.ensure_future(stores.one.transact(abandoned, owner="owner"))
    await wrote.wait()
    await stores.one.take_over("owner")
    assert await tries_to_put(stores.other, {"_id": "1", "by": "another"}) == 1
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await read(stores.one, "1") == {"_id": "1", "by": "another"}


@scenario
async def take_over_leaves_other_owners_alone(stores: Stores) -> None:
    wrote, taken = asyncio.Event(), asyncio.Event()
    tries = 0

    async def work(tx: Transaction) -> None:
        nonlocal tries
        tries += 1
        await tx.replace("things", [{"_id": "1"}])
        wrote.set()
        await taken.wait()

    await stores.one.take_over("a")
    running = asyncio.ensure_future(stores.one.transact(work, owner="a"))
    await wrote.wait()
    await stores.other.take_over("b")
    taken.set()
    await running
    assert tries == 1


@scenario
async def an_owner_goes_on_after_errors_and_cancellation(stores: Stores) -> None:
    await put(stores.one, {"_id": "1"})
    await stores.one.take_over("owner")

    async def fails(tx: Transaction) -> None:
        await tx.insert("things", [{"_id": "2"}])
        raise OwnError

    with pytest.raises(OwnError):
        await stores.one.transact(fails, owner="owner")
    with pytest.raises(AlreadyExistsError):
        await stores.one.transact(lambda tx: tx.insert("things", [{"_id": "1"}]), owner="owner")
    await stores.one.transact(lambda tx: tx.insert("things", [{"_id": "3"}]), owner="owner")
    await stores.one.transact(lambda tx: tx.insert("things", [{"_id": "4"}]), owner="owner")
    assert await all_ids(stores.other) == ["1", "3", "4"]


@scenario
async def transactions_of_one_owner_run_side_by_side(stores: Stores) -> None:
    await stores.one.take_over("api")
    both = asyncio.Barrier(2)

    async def insert(name: str) -> int:
        tries = 0

        async def work(tx: Transaction) -> None:
            nonlocal tries
            tries += 1
            await tx.insert("things", [{"_id": name}])
            await both.wait()

        await stores.one.transact(work, owner="api")
        return tries

    assert set(await asyncio.gather(insert("1"), insert("2"))) == {1}
    assert await all_ids(stores.one) == ["1", "2"]


@scenario
async def take_over_ends_all_transactions_of_the_earlier_holder(stores: Stores) -> None:
    await stores.one.take_over("api")
    wrote = asyncio.Barrier(4)

    async def abandoned(name: str) -> None:
        async def work(tx: Transaction) -> None:
            await tx.insert("things", [{"_id": name, "by": "the earlier"}])
            await wrote.wait()
            await asyncio.Event().wait()

        await stores.one.transact(work, owner="api")

    tasks = [asyncio.ensure_future(abandoned(name)) for name in "123"]
    await wrote.wait()
    await stores.other.take_over("api")
    assert await tries_to_put(stores.other, *({"_id": name, "by": "the later"} for name in "123")) == 1
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert [document["by"] for document in await stores.one.find("things", {}, limit=9)] == ["the later"] * 3
