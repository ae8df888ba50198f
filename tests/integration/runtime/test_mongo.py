"""The MongoDB adapter keeps the store's promises on a real server, and when that server fails it."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from pymongo import AsyncMongoClient
from pymongo.errors import DocumentTooLarge, OperationFailure

from deploy.local.database import CACHE_SIZE, Database
from deploy.local.server_process import free_ports
from services.eventing.ports import (
    CommitUnknownError,
    ConflictError,
    Document,
    Index,
    StoreError,
    StoreUnavailableError,
    Transaction,
)
from services.runtime import mongo_commands, mongo_transactions
from services.runtime.mongo import OWNERS, MongoStore
from tests.integration.store_suite import COLLECTIONS, INDEXES, Scenario, Stores, StoreSuite

DATABASES = (f"store_suite_{number}" for number in count())
MEBIBYTE = 1024 * 1024
ALWAYS = "alwaysOn"
Fail = Callable[..., Any]


class FailingDatabase(Database):
    """A server that fails commands on demand, as MongoDB does with the same switch."""

    def _command(self) -> list[str]:
        large_cache = ["1G" if part == CACHE_SIZE else part for part in super()._command()]
        return [*large_cache, "--enable-test-commands"]


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    server = FailingDatabase("the store suite", tmp_path_factory.mktemp("store"))
    server.start()
    yield server
    server.stop()


class TestMongoStore(StoreSuite):
    @pytest.fixture(autouse=True)
    def _server(self, database: Database) -> None:
        self.uri = database.uri

    def run(self, scenario: Scenario) -> None:
        async def with_two_clients() -> None:
            name = next(DATABASES)
            one, other = (MongoStore.open(self.uri, name, random.Random(seed)) for seed in (1, 2))
            try:
                await one.prepare(COLLECTIONS, INDEXES)
                await scenario(Stores(one, other))
            finally:
                await asyncio.gather(one.close(), other.close())

        asyncio.run(with_two_clients())


@pytest.fixture
def retries() -> list[str]:
    return []


@pytest.fixture
async def store(database: Database, retries: list[str]) -> AsyncIterator[MongoStore]:
    opened = MongoStore.open(database.uri, next(DATABASES), random.Random(1), on_retry=retries.append)
    await opened.prepare(COLLECTIONS, INDEXES)
    yield opened
    await opened.close()


@pytest.fixture
async def fail(database: Database) -> AsyncIterator[Fail]:
    """Makes the server fail the next commands of a name, some times or always, until the test ends."""
    client = AsyncMongoClient[Document](database.uri)

    async def order(command: str, times: int | str = 1, **how: object) -> None:
        mode = times if isinstance(times, str) else {"times": times}
        await client.admin.command(
            {"configureFailPoint": "failCommand", "mode": mode, "data": {"failCommands": [command], **how}}
        )

    yield order
    await client.admin.command({"configureFailPoint": "failCommand", "mode": "off"})
    await client.close()


async def insert_one(tx: Transaction) -> None:
    await tx.insert("things", [{"_id": "1"}])


async def ids(store: MongoStore) -> list[str]:
    return [document["_id"] for document in await store.find("things", {}, limit=100)]


# ----------------------------------------------------------------------------------------------- commits


async def test_a_commit_whose_answer_is_lost_is_sent_again(store: MongoStore, fail: Fail, retries: list[str]) -> None:
    await fail("commitTransaction", times=3, closeConnection=True)
    await store.transact(insert_one)
    assert await ids(store) == ["1"]
    assert retries == []


async def test_a_commit_that_is_never_answered_is_unknown(store: MongoStore, fail: Fail) -> None:
    await store.take_over("owner")
    await fail("commitTransaction", ALWAYS, closeConnection=True)
    with pytest.raises(CommitUnknownError):
        await store.transact(insert_one, owner="owner")
    await fail("commitTransaction", 0)
    await store.transact(lambda tx: tx.insert("things", [{"_id": "2"}]), owner="owner")
    assert "2" in await ids(store)


async def test_a_commit_with_an_unknown_write_concern_result_is_sent_again(store: MongoStore, fail: Fail) -> None:
    await fail(
        "commitTransaction", times=2, writeConcernError={"code": 64, "errmsg": "waiting for replication timed out"}
    )
    await store.transact(insert_one)
    assert await ids(store) == ["1"]


async def test_a_commit_of_a_transaction_the_server_does_not_know_is_unknown(store: MongoStore, fail: Fail) -> None:
    await fail("commitTransaction", errorCode=251, errorLabels=["TransientTransactionError"])
    tries = 0

    async def work(tx: Transaction) -> None:
        nonlocal tries
        tries += 1
        await insert_one(tx)

    with pytest.raises(CommitUnknownError):
        await store.transact(work)
    assert tries == 1


async def test_a_commit_that_conflicts_runs_the_work_again(store: MongoStore, fail: Fail, retries: list[str]) -> None:
    await fail("commitTransaction", errorCode=112, errorLabels=["TransientTransactionError"])
    await store.transact(insert_one)
    assert await ids(store) == ["1"]
    assert retries == ["ConflictError"]


# ----------------------------------------------------------------------------------------------- commands


@pytest.mark.parametrize("command", ["find", "insert", "update", "delete"])
async def test_a_lost_answer_inside_a_transaction_runs_the_work_again(
    store: MongoStore, fail: Fail, retries: list[str], command: str
) -> None:
    async def work(tx: Transaction) -> None:
        await tx.insert("things", [{"_id": "0"}])
        await tx.get("things", ["1"])
        await tx.update("things", {"0": {"n": 1}})
        await tx.delete("things", ["0"])
        await insert_one(tx)

    await fail(command, closeConnection=True)
    await store.transact(work)
    assert await ids(store) == ["1"]
    assert retries == ["StoreUnavailableError"]


async def test_a_lost_answer_to_a_read_is_asked_for_again(store: MongoStore, fail: Fail) -> None:
    await store.transact(insert_one)
    await fail("find", closeConnection=True)
    assert await ids(store) == ["1"]


@pytest.mark.parametrize("code", [50, 189, 262])
async def test_a_server_without_time_is_unavailable(
    store: MongoStore, fail: Fail, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    monkeypatch.setattr(mongo_transactions, "TRY_FOR_S", 0.1)
    await fail("find", ALWAYS, errorCode=code)
    with pytest.raises(StoreUnavailableError):
        await store.find("things", {}, limit=1)
    with pytest.raises(StoreUnavailableError):
        await store.transact(lambda tx: tx.get("things", ["1"]))


async def test_a_conflict_without_end_is_given_up(
    store: MongoStore, fail: Fail, retries: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mongo_transactions, "TRIES_MAX", 5)
    await fail("insert", ALWAYS, errorCode=112, errorLabels=["TransientTransactionError"])
    with pytest.raises(ConflictError):
        await store.transact(insert_one)
    assert retries == ["ConflictError"] * 4


async def test_an_error_nobody_could_act_on_is_raised_as_it_is(store: MongoStore, fail: Fail) -> None:
    await fail("insert", errorCode=13)  # Unauthorized
    with pytest.raises(OperationFailure):
        await store.transact(insert_one)
    await fail("find", errorCode=13)
    with pytest.raises(OperationFailure):
        await ids(store)


async def test_the_servers_words_on_a_duplicate_are_not_passed_on(store: MongoStore) -> None:
    person = {"_id": "1", "name": "canary-name"}
    await store.transact(lambda tx: tx.insert("named", [person]))
    with pytest.raises(StoreError) as caught:
        await store.transact(lambda tx: tx.insert("named", [{**person, "_id": "2"}]))
    assert "canary" not in str(caught.value)
    assert caught.value.__suppress_context__


async def test_other_operators_are_refused_before_they_are_sent(store: MongoStore) -> None:
    for where in ({"$or": [{"a": 1}]}, {"a": {"$regex": "x"}}, {"a": {"$gt": 1, "$where": "1"}}):
        with pytest.raises(AssertionError):
            await store.find("things", where, limit=1)


async def test_more_than_fits_into_a_command_is_written_and_read(store: MongoStore, retries: list[str]) -> None:
    large = [{"_id": f"{number}", "bytes": bytes([number]) * (5 * MEBIBYTE)} for number in range(4)]
    await store.transact(lambda tx: tx.insert("things", large))
    assert set(retries) == {"DocumentTooLarge"}
    assert await store.find("things", {}, limit=9) == large
    assert await store.transact(lambda tx: tx.get("things", "0123")) == {each["_id"]: each for each in large}


async def test_a_document_too_large_for_the_server_is_a_bug(store: MongoStore) -> None:
    with pytest.raises(DocumentTooLarge):
        await store.transact(lambda tx: tx.insert("things", [{"_id": "1", "bytes": bytes(17 * MEBIBYTE)}]))
    await store.transact(insert_one)


# ----------------------------------------------------------------------------------------------- owners


async def test_a_session_ended_is_no_longer_on_record(store: MongoStore) -> None:
    for _ in range(5):
        await store.take_over("owner")
    (record,) = await store.find(OWNERS, {}, limit=9)
    assert len(record["sessions"]) == 1


async def test_an_owner_who_did_not_take_over_is_a_bug(store: MongoStore) -> None:
    with pytest.raises(AssertionError):
        await store.transact(insert_one, owner="nobody")


# ----------------------------------------------------------------------------------------------- servers that are away


async def every_call(store: MongoStore) -> None:
    """Call all that asks the server; each must find it away."""
    calls = (
        store.ping(),
        store.get("things", ["1"]),
        store.find("things", {}, limit=1),
        store.transact(insert_one),
        store.take_over("owner"),
        store.prepare(["things"], [Index("things", "n", (("n", 1),))]),
    )
    for call in calls:
        with pytest.raises(StoreUnavailableError):
            await call


async def test_a_closed_store_is_unavailable(database: Database) -> None:
    store = MongoStore.open(database.uri, next(DATABASES), random.Random(1))
    await store.prepare(COLLECTIONS, INDEXES)
    await store.take_over("before")
    await store.close()
    await every_call(store)
    with pytest.raises(StoreUnavailableError):
        await store.transact(insert_one, owner="before")


async def test_a_server_that_is_not_there_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mongo_commands, "SERVER_SELECTION_TIMEOUT_MS", 100)
    monkeypatch.setattr(mongo_transactions, "TRY_FOR_S", 0.3)
    (port,) = free_ports(1)
    uri = f"mongodb://127.0.0.1:{port}/?replicaSet=secantus&directConnection=true"
    store = MongoStore.open(uri, next(DATABASES), random.Random(1))
    await every_call(store)
    await store.close()


async def test_what_was_committed_survives_a_kill(tmp_path: Path) -> None:
    server = Database("the kill test", tmp_path)
    server.start()
    store = MongoStore.open(server.uri, "kill", random.Random(1))
    await store.prepare(COLLECTIONS, INDEXES)
    await store.take_over("owner")
    try:
        async with store.wakeups("things") as wakeups:
            for number in range(1, 4):
                await store.transact(lambda tx, number=number: put_numbers(tx, number), owner="owner")  # type: ignore[misc]
                server.kill()
                server.start()
                assert len(await store.find("things", {"number": number}, limit=100)) == 50
            await store.take_over("owner")
            await heard_again(store, wakeups.wait)
    finally:
        await store.close()
        server.stop()


async def put_numbers(tx: Transaction, number: int) -> None:
    await tx.replace("things", [{"_id": f"{each}", "number": number} for each in range(50)])


async def heard_again(store: MongoStore, wait: Callable[[float], Any]) -> None:
    while await wait(0.5):  # reopening wakes for nothing
        pass
    for number in range(100):
        await store.transact(lambda tx, number=number: tx.insert("things", [{"_id": f"new {number}"}]))  # type: ignore[misc]
        if await wait(0.5):
            return
    pytest.fail("a hundred writes and no wake-up")


async def test_listening_can_begin_and_end_at_any_moment(store: MongoStore) -> None:
    for number in range(25):
        async with store.wakeups("things") as wakeups:
            await wakeups.wait(0.001 * number)
            await store.transact(lambda tx, number=number: tx.replace("things", [{"_id": "1", "n": number}]))  # type: ignore[misc]


async def test_listening_to_a_server_that_forbids_it_is_an_error(store: MongoStore, fail: Fail) -> None:
    await fail("aggregate", ALWAYS, errorCode=13)
    with pytest.raises(OperationFailure):
        await listen_for_ever(store)


async def listen_for_ever(store: MongoStore) -> None:
    async with store.wakeups("things") as wakeups:
        while True:
            await wakeups.wait(0.1)
