"""The store in memory keeps the promises of the port, so that what is tested on it means something."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from services.eventing.ports import (
    AlreadyExistsError,
    ConflictError,
    Index,
    Store,
    StoreAdmin,
    StoreUnavailableError,
    Transaction,
)
from tests.support.memory_store import MemoryStore

STREAMS = Index("outbox", "streams", (("streams", 1),), unique=True)


def test_it_is_a_store_for_the_type_checker() -> None:
    """The assignments are the test: mypy compares the fake with both ports."""
    memory = MemoryStore()
    store: Store = memory
    admin: StoreAdmin = memory
    assert [store, admin] == [memory, memory]


async def test_a_transaction_reads_its_snapshot_and_its_own_writes() -> None:
    store = MemoryStore()
    store.put("a", {"_id": "1", "n": 1})

    async def work(tx: Transaction) -> list[Any]:
        before = await tx.get("a", ["1", "2"])
        store.put("a", {"_id": "1", "n": 2}, {"_id": "2", "n": 2})
        await tx.insert("a", [{"_id": "3", "n": 3}])
        return [before, await tx.get("a", ["1", "2"]), await tx.find("a", {}, limit=9)]

    assert await store.transact(work) == [
        {"1": {"_id": "1", "n": 1}},
        {"1": {"_id": "1", "n": 1}},
        [{"_id": "1", "n": 1}, {"_id": "3", "n": 3}],
    ]


async def test_the_first_writer_wins_and_the_other_runs_again() -> None:
    store = MemoryStore()
    store.put("a", {"_id": "1", "n": 0})

    async def add(tx: Transaction) -> None:
        document = (await tx.get("a", ["1"]))["1"]
        await tx.replace("a", [{"_id": "1", "n": document["n"] + 1}])

    await asyncio.gather(*(store.transact(add) for _ in range(8)))
    assert store.documents("a") == {"1": {"_id": "1", "n": 8}}
    assert store.conflicts > 0


async def test_transactions_that_write_different_documents_do_not_conflict() -> None:
    """Write skew is possible, as in MongoDB: who must exclude each other writes a common document."""
    store = MemoryStore()

    async def take(name: str) -> None:
        async def work(tx: Transaction) -> None:
            if not await tx.find("doctors", {"on_call": False}, limit=1):
                await tx.replace("doctors", [{"_id": name, "on_call": False}])

        await store.transact(work)

    await asyncio.gather(take("1"), take("2"))
    assert len(store.documents("doctors")) == 2
    assert store.conflicts == 0


async def test_a_document_written_after_the_snapshot_conflicts_for_ever() -> None:
    store = MemoryStore()
    store.put("a", {"_id": "1", "n": 0})

    async def work(tx: Transaction) -> None:
        seen = (await tx.get("a", ["1"]))["1"]
        store.put("a", {"_id": "1", "n": seen["n"] + 1})
        await tx.update("a", {"1": {"n": 100}})

    with pytest.raises(ConflictError):
        await store.transact(work)
    assert store.documents("a")["1"]["n"] < 100


async def test_an_error_of_the_work_leaves_nothing() -> None:
    store = MemoryStore()

    async def work(tx: Transaction) -> None:
        await tx.insert("a", [{"_id": "1"}])
        raise KeyError

    with pytest.raises(KeyError):
        await store.transact(work)
    assert store.documents("a") == {}


async def insert_twice(tx: Transaction) -> None:
    await tx.insert("outbox", [{"_id": "1", "streams": ["t|k|1", "t|k|2"]}])
    await tx.insert("outbox", [{"_id": "1", "streams": []}])


async def insert_unique_twice(tx: Transaction) -> None:
    await tx.insert("outbox", [{"_id": "1", "streams": ["t|k|1", "t|k|2"]}])
    await tx.insert("outbox", [{"_id": "2", "streams": ["t|k|2"]}])


@pytest.mark.parametrize("work", [insert_twice, insert_unique_twice])
async def test_what_exists_is_not_inserted_again(work: Callable[[Transaction], Awaitable[None]]) -> None:
    store = MemoryStore([STREAMS])
    with pytest.raises(AlreadyExistsError):
        await store.transact(work)
    assert store.documents("outbox") == {}


async def test_a_unique_value_is_held_across_transactions_until_it_is_given_up() -> None:
    store = MemoryStore([STREAMS])
    store.put("outbox", {"_id": "1", "streams": ["t|k|1"]})

    async def other(tx: Transaction) -> None:
        await tx.insert("outbox", [{"_id": "2", "streams": ["t|k|1"]}])

    with pytest.raises(AlreadyExistsError):
        await store.transact(other)
    store.put("outbox", {"_id": "1", "streams": ["t|k|9"]})
    await store.transact(other)
    assert set(store.documents("outbox")) == {"1", "2"}


async def test_two_transactions_race_for_a_unique_value_and_one_gets_it() -> None:
    store = MemoryStore([STREAMS])

    async def insert(name: str) -> None:
        await store.transact(lambda tx: tx.insert("outbox", [{"_id": name, "streams": ["t|k|1"]}]))

    results = await asyncio.gather(insert("1"), insert("2"), return_exceptions=True)
    assert [type(each) for each in results if each is not None] == [AlreadyExistsError]
    assert len(store.documents("outbox")) == 1


async def test_a_missing_document_is_updated_only_as_an_upsert() -> None:
    store = MemoryStore()
    with pytest.raises(AssertionError):
        await store.transact(lambda tx: tx.update("a", {"1": {"n": 1}}))
    await store.transact(lambda tx: tx.update("a", {"1": {"n": 1}}, upsert=True))
    await store.transact(lambda tx: tx.update("a", {"1": {"m": None}}))
    assert store.documents("a") == {"1": {"_id": "1", "n": 1, "m": None}}


async def test_a_new_holder_of_an_owner_name_aborts_the_old_ones_transaction() -> None:
    store = MemoryStore()
    reached, go = asyncio.Event(), asyncio.Event()
    runs = 0

    async def frozen(tx: Transaction) -> None:
        nonlocal runs
        runs += 1
        await tx.replace("a", [{"_id": "1", "by": "old"}])
        reached.set()
        await go.wait()

    task = asyncio.create_task(store.transact(frozen, owner="p0"))
    await reached.wait()
    await store.take_over("p0")
    await store.transact(lambda tx: tx.replace("a", [{"_id": "1", "by": "new"}]), owner="p0")
    go.set()
    await task
    assert runs == 2


async def test_a_collection_that_nobody_prepared_fails_the_test() -> None:
    store = MemoryStore()
    await store.prepare(["outbox"], [STREAMS])
    with pytest.raises(AssertionError, match="not prepared"):
        await store.transact(lambda tx: tx.insert("strange", [{"_id": "1"}]))


async def test_a_planned_fault_is_raised_before_or_after_the_commit() -> None:
    store = MemoryStore()
    for step, expected in (("commit", 0), ("committed", 1)):

        def fault(name: str, step: str = step) -> None:
            if name == step:
                raise StoreUnavailableError

        store.fault = fault
        with pytest.raises(StoreUnavailableError):
            await store.transact(lambda tx: tx.insert("a", [{"_id": "1"}]))
        assert len(store.documents("a")) == expected


async def test_a_listener_hears_of_writes_to_its_collection() -> None:
    store = MemoryStore()
    async with store.wakeups("a") as wakeups:
        assert not await wakeups.wait(0.001)
        store.put("b", {"_id": "1"})
        assert not await wakeups.wait(0.001)
        store.put("a", {"_id": "1"})
        assert await wakeups.wait(0.001)
        assert not await wakeups.wait(0.001)


def test_values_come_back_as_a_database_gives_them() -> None:
    store = MemoryStore()
    at = datetime(2026, 7, 1, 0, 0, 0, 123456, tzinfo=UTC)
    store.put("a", {"_id": "1", "pair": (1, 2), "value": b"x", "at": at})
    milliseconds = at.replace(microsecond=123000)
    assert store.documents("a")["1"] == {"_id": "1", "pair": [1, 2], "value": b"x", "at": milliseconds}


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ({"n": 1}, ["1"]),
        ({"n": {"$gt": 1}}, ["2", "3"]),
        ({"n": {"$gte": 2, "$lt": 3}}, ["2"]),
        ({"n": {"$lte": 1}}, ["1"]),
        ({"n": {"$in": [1, 3]}}, ["1", "3"]),
        ({"n": {"$ne": 1}}, ["2", "3", "4"]),
        ({"n": {"$exists": False}}, ["4"]),
        ({"n": None}, ["4"]),
        ({"n": "1"}, []),
        ({"n": True}, []),
        ({"tags": "x"}, ["1", "2"]),
        ({"tags": {"$in": ["y", "z"]}}, ["2"]),
        ({"tags": {"$ne": "x"}}, ["3", "4"]),
        ({"inner.list.deep": 7}, ["4"]),
        ({"inner.name": "a", "n": {"$exists": True}}, ["3"]),
        ({"_id": {"$gt": "2"}}, ["3", "4"]),
    ],
)
async def test_filters_are_read_as_mongodb_reads_them(where: dict[str, Any], expected: list[str]) -> None:
    store = MemoryStore()
    store.put(
        "a",
        {"_id": "1", "n": 1, "tags": ["x"]},
        {"_id": "2", "n": 2, "tags": ["x", "y"]},
        {"_id": "3", "n": 3, "inner": {"name": "a"}},
        {"_id": "4", "inner": {"name": "a", "list": [{"deep": 7}]}},
    )
    assert [each["_id"] for each in await store.find("a", where, limit=9)] == expected


async def test_a_query_is_sorted_limited_and_cut_to_its_fields() -> None:
    store = MemoryStore()
    store.put(
        "a", {"_id": "1", "n": 2, "m": 0}, {"_id": "2", "n": 1, "m": 0}, {"_id": "3", "n": 2, "m": 0}, {"_id": "4"}
    )
    found = await store.find("a", {}, sort=(("n", -1), ("_id", 1)), limit=3, fields=["n"])
    assert found == [{"_id": "1", "n": 2}, {"_id": "3", "n": 2}, {"_id": "2", "n": 1}]
    assert (await store.find("a", {}, sort=(("n", 1),), limit=1))[0]["_id"] == "4"
