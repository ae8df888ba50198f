"""A process that runs with traps passes every named point, in the order in which work does."""

import random
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pymongo import MongoClient
from pymongo.asynchronous.pool import AsyncConnection

from services.contracts.hours import NoticeRaised
from services.eventing import processor
from services.eventing.door import faust_door
from services.eventing.outbox import COLLECTIONS, INDEXES, emit
from services.eventing.ports import Message, Ports, Transaction
from services.eventing.relay import kafka_writer, lease, marking
from services.eventing.relay.lease import LeaseGuard
from services.registry import wiring
from services.runtime import mongo_transactions, process
from services.runtime.clock import SystemClock
from services.runtime.commands import Command
from services.runtime.ids import SystemIds
from services.runtime.mongo import MongoStore
from services.runtime.mongo_transactions import Transactions
from tests.support.chaos import struck
from tests.support.chaos.points import POINTS
from tests.support.outbox import facts
from tests.support.processing import Processing
from tests.support.records import NOON

CHANGED = (
    (mongo_transactions, "MongoTransaction"),
    (Transactions, "_commit"),
    (AsyncConnection, "receive_message"),
    (faust_door, "Engine"),
    (kafka_writer, "KafkaLogWriter"),
    (marking, "mark"),
    (LeaseGuard, "_renew"),
    (Command, "run"),
    (process, "open_ports"),
)
SEEN_WITHIN_S = 20.0
TRANSACTION = ["transaction_open", "written_1", "written_2", "commit_sent", "commit_acknowledged"]


@pytest.fixture
def passed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The points that are passed; all that traps change is put back at the end."""
    for owner, name in CHANGED:
        monkeypatch.setattr(owner, name, getattr(owner, name))
    return []


@pytest.fixture
async def store(mongodb_uris: Mapping[str, str]) -> AsyncIterator[MongoStore]:
    made = MongoStore.open(mongodb_uris["hours"], "traps", random.Random(1))
    await made.prepare(["a", *COLLECTIONS, *lease.COLLECTIONS], INDEXES)
    yield made
    await made.close()


async def test_a_transaction_passes_its_points(passed: list[str], store: MongoStore) -> None:
    struck.set_transaction_traps(passed.append)

    async def work(tx: Transaction) -> None:
        await tx.get("a", ["1"])
        await tx.replace("a", [{"_id": "1"}])
        await tx.update("a", {"1": {"x": 1}})

    await store.transact(work)
    assert passed == TRANSACTION


async def test_a_commit_that_was_sent_is_carried_out_whether_or_not_the_answer_is_read(
    passed: list[str], store: MongoStore, mongodb_uris: Mapping[str, str]
) -> None:
    seen: list[str] = []

    def look(point: str) -> None:
        if point != "commit_sent":
            return
        give_up_at = time.monotonic() + SEEN_WITHIN_S
        with MongoClient[dict[str, Any]](mongodb_uris["hours"]) as other:
            while not other["traps"]["a"].find_one({"_id": "sent"}):
                assert time.monotonic() < give_up_at
        seen.append(point)

    async def work(tx: Transaction) -> None:
        await tx.replace("a", [{"_id": "sent"}])

    struck.set_transaction_traps(look)
    await store.transact(work)
    assert seen == ["commit_sent"]


async def test_a_relay_passes_its_points(passed: list[str], store: MongoStore, monkeypatch: pytest.MonkeyPatch) -> None:
    async def append(writer: object, messages: list[Message]) -> None:
        assert messages

    monkeypatch.setattr(kafka_writer.KafkaLogWriter, "append", append)
    await store.transact(lambda tx: emit(tx, facts("k"), row_id="trap", at=NOON))
    guard = await lease.acquire(store, SystemClock(), "holder")
    assert guard is not None
    struck.set_transaction_traps(passed.append)
    struck.set_relay_traps(passed.append)
    writer = kafka_writer.KafkaLogWriter("nowhere:1", client_id="traps")
    await writer.append([Message("t", b"k", b"v", ())])
    assert await marking.mark(store, guard, ["trap"]) == 1
    await guard._renew()
    await writer.close()
    assert set(passed) == set(POINTS["relay"])
    assert [point for point in passed if point in {"published", "marked", "lease_renewed"}] == [
        "published",
        "marked",
        "lease_renewed",
    ]


async def test_a_processor_passes_its_points(passed: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    struck.set_processor_traps(passed.append)
    monkeypatch.setattr(processor, "Engine", vars(faust_door)["Engine"])
    registry = await Processing(wiring).prepare()
    told: dict[str, Any] = {
        "recipient_id": "v1",
        "notice": "check_out_missing_settled",
        "attendance_id": "a1",
        "service_date": NOON.date(),
        "minutes": 0,
    }
    await registry.take(NoticeRaised(**told))
    assert passed == ["received", "decoded", "decided"]


async def test_a_request_passes_its_points(passed: list[str]) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        passed.append("app")

    layer = struck._AtRequest(app, passed.append)
    await layer({"type": "http", "method": "GET"}, None, None)
    await layer({"type": "http", "method": "POST"}, None, None)
    assert passed == ["app", "received", "app"]

    async def run(command: Command, work: Any) -> Any:
        return await work(None)

    async def work(tx: Any) -> str:
        return "outcome"

    Command.run = run  # type: ignore[method-assign,assignment]  # put back by the fixture
    passed.clear()
    struck.set_command_traps(passed.append)
    command: Any = Command.__new__(Command)
    assert await command.run(work) == "outcome"
    assert passed == ["decoded", "decided"]


def test_a_clock_is_wrong_for_as_long_as_there_is_a_file(tmp_path: Path) -> None:
    class Fixed:
        def now(self) -> datetime:
            return datetime(2026, 7, 1, tzinfo=UTC)

    file = tmp_path / "hours-relay.clock"
    clock = struck.WrongClock(Fixed(), file)
    assert clock.now() == datetime(2026, 7, 1, tzinfo=UTC)
    file.write_text("-60")
    assert clock.now() == datetime(2026, 6, 30, 23, 59, tzinfo=UTC)
    file.unlink()
    assert clock.now() == datetime(2026, 7, 1, tzinfo=UTC)


async def test_both_clocks_of_a_process_follow_the_file(passed: list[str], store: MongoStore, tmp_path: Path) -> None:
    @asynccontextmanager
    async def opened(*_: Any) -> AsyncIterator[tuple[Ports, MongoStore]]:
        yield Ports(store=store, clock=SystemClock(), wall=SystemClock(), ids=SystemIds(), rng=random.Random(1)), store

    process.open_ports = opened  # type: ignore[assignment]  # put back by the fixture
    struck.with_wrong_clock(tmp_path / "clock")
    (tmp_path / "clock").write_text("3600")
    async with process.open_ports(None, None) as (ports, _):  # type: ignore[arg-type]
        right = SystemClock().now()
        assert (ports.clock.now() - right).total_seconds() > 3000
        assert (ports.wall.now() - right).total_seconds() > 3000
