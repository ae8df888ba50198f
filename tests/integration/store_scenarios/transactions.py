"""A transaction is seen whole or not at all, and sees one state of the world."""

import asyncio

import pytest

from services.eventing.ports import ConflictError, Transaction
from tests.integration.store_scenarios.frame import OwnError, Stores, all_ids, put, read, scenario, tries_to_put


@scenario
async def own_writes_are_seen(stores: Stores) -> None:
    await put(stores.one, {"_id": "1", "n": 1}, {"_id": "2", "n": 2})

    async def work(tx: Transaction) -> None:
        await tx.insert("things", [{"_id": "3", "n": 3}])
        await tx.update("things", {"2": {"n": 9}})
        await tx.delete("things", ["1"])
        assert await tx.get("things", ["1", "2", "3"]) == {"2": {"_id": "2", "n": 9}, "3": {"_id": "3", "n": 3}}
        assert await tx.find("things", {"n": {"$gt": 2}}, sort=[("n", -1)], limit=9) == [
            {"_id": "2", "n": 9},
            {"_id": "3", "n": 3},
        ]
        await tx.insert("things", [{"_id": "1", "n": 0}])
        await tx.replace("things", [{"_id": "1", "n": 7}])
        assert (await tx.get("things", ["1"]))["1"]["n"] == 7

    await stores.one.transact(work)
    assert {document["_id"]: document["n"] for document in await stores.other.find("things", {}, limit=9)} == {
        "1": 7,
        "2": 9,
        "3": 3,
    }


@scenario
async def nobody_sees_writes_before_the_commit(stores: Stores) -> None:
    async def work(tx: Transaction) -> None:
        await tx.insert("things", [{"_id": "1"}])
        assert await all_ids(stores.other) == []
        assert await stores.other.transact(lambda other: other.get("things", ["1"])) == {}

    await stores.one.transact(work)
    assert await all_ids(stores.other) == ["1"]


@scenario
async def a_transaction_reads_one_snapshot(stores: Stores) -> None:
    await put(stores.one, {"_id": "1", "n": 1}, {"_id": "2", "n": 1})

    async def work(tx: Transaction) -> tuple[int, int, list[str]]:
        first = (await tx.get("things", ["1"]))["1"]["n"]
        await put(stores.other, {"_id": "1", "n": 2}, {"_id": "2", "n": 2}, {"_id": "3", "n": 2})
        second = (await tx.get("things", ["2"]))["2"]["n"]
        return first, second, [document["_id"] for document in await tx.find("things", {}, limit=9)]

    assert await stores.one.transact(work) == (1, 1, ["1", "2"])
    assert await stores.one.transact(lambda tx: tx.get("things", ["2"])) == {"2": {"_id": "2", "n": 2}}


@scenario
async def what_work_raises_undoes_it(stores: Stores) -> None:
    async def work(tx: Transaction) -> None:
        await tx.insert("things", [{"_id": "1"}])
        raise OwnError

    with pytest.raises(OwnError):
        await stores.one.transact(work)
    assert await all_ids(stores.one) == []
    await stores.other.transact(lambda tx: tx.insert("things", [{"_id": "1"}]))


@scenario
async def no_error_of_the_store_but_its_own_is_tried_again(stores: Stores) -> None:
    tries = 0

    async def work(_: Transaction) -> None:
        nonlocal tries
        tries += 1
        raise ConflictError("made up")

    with pytest.raises(ConflictError, match="made up"):
        await stores.one.transact(work)
    assert tries == 1


@scenario
async def a_cancelled_transaction_leaves_nothing_behind(stores: Stores) -> None:
    wrote = asyncio.Event()

    async def work(tx: Transaction) -> None:
        await tx.insert("things", [{"_id": "1", "by": "first"}])
        wrote.set()
        await asyncio.Event().wait()

    task = asyncio.ensure_future(stores.one.transact(work))
    await wrote.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    tries = await tries_to_put(stores.other, {"_id": "1", "by": "second"})
    assert tries == 1
    assert await read(stores.one, "1") == {"_id": "1", "by": "second"}
