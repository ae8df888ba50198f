"""How a process starts, says that it is ready, and ends."""

import asyncio
from collections.abc import Coroutine, Sequence
from datetime import timedelta
from typing import Any

import pytest

from services.eventing.ports import Index, StoreUnavailableError
from services.eventing.relay.lease import LEASE, RELAY_ID
from services.eventing.times import to_text
from services.runtime import process
from services.runtime.metrics import Metrics
from services.runtime.operations import failure_of
from services.runtime.process import LEASE_OVERDUE_S, prepared, relay_check
from services.runtime.serving import EXIT_UNEXPECTED, run_to_end
from tests.support.canaries import CANARIES, logged
from tests.support.memory_store import MemoryStore
from tests.support.notes_process import SERVICE
from tests.support.ports import START, make_ports


def lease_until(seconds: float) -> dict[str, Any]:
    return {"_id": RELAY_ID, "holder": "another", "epoch": 1, "until": to_text(START + timedelta(seconds=seconds))}


@pytest.mark.parametrize(
    ("lease", "leading", "ready"),
    [
        (None, False, False),
        (None, True, True),
        (lease_until(5), False, True),
        (lease_until(-1), False, True),
        (lease_until(-LEASE_OVERDUE_S - 1), False, False),
        (lease_until(-LEASE_OVERDUE_S - 1), True, True),
    ],
)
async def test_a_relay_is_ready_if_it_leads_or_sees_somebody_lead(
    lease: dict[str, Any] | None, leading: bool, ready: bool
) -> None:
    store, metrics = MemoryStore(), Metrics("notes", "relay")
    if lease is not None:
        store.put(LEASE, lease)
    metrics.relay_state(leading=leading)
    assert (await failure_of(relay_check(make_ports(store), metrics)) is None) == ready


async def test_a_relay_that_cannot_read_the_lease_is_not_ready() -> None:
    def fail(_: str) -> None:
        raise StoreUnavailableError("away")

    metrics = Metrics("notes", "relay")
    metrics.relay_state(leading=True)
    assert await failure_of(relay_check(make_ports(MemoryStore(fault=fail)), metrics)) == "leads_or_stands_by"


async def test_a_check_that_never_returns_has_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    async def never() -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr("services.runtime.operations.READINESS_TIMEOUT_S", 0.01)
    assert await failure_of(never) == "never"


class StartingDatabase:
    """Is away for the first few times; keeps the port ``StoreAdmin``."""

    def __init__(self, away: int) -> None:
        self.away = away
        self.collections: Sequence[str] = ()
        self.indexes: Sequence[Index] = ()

    async def prepare(self, collections: Sequence[str], indexes: Sequence[Index]) -> None:
        if self.away:
            self.away -= 1
            raise StoreUnavailableError("starting")
        self.collections, self.indexes = collections, indexes


async def test_a_database_that_is_still_starting_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "STARTUP_RETRY_S", 0.0)
    database = StartingDatabase(3)
    assert await prepared(SERVICE, database, asyncio.Event())
    assert set(database.collections) >= {"notes", "units", "outbox", "streams", "positions", "parking", "lease"}
    assert {"idempotency", "changes"} <= set(database.collections)
    assert len(database.collections) == len(set(database.collections))
    assert {index.collection for index in database.indexes} >= {"outbox", "idempotency", "parking"}


async def test_a_database_that_never_starts_ends_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "STARTUP_RETRY_S", 0.0)
    monkeypatch.setattr(process, "STARTUP_TIMEOUT_S", 0.02)
    with pytest.raises(StoreUnavailableError):
        await prepared(SERVICE, StartingDatabase(10**9), asyncio.Event())


async def test_a_process_asked_to_stop_while_it_starts_does_not_go_on() -> None:
    stop = asyncio.Event()
    stop.set()
    assert not await prepared(SERVICE, StartingDatabase(10**9), stop)


def test_work_that_ends_is_exit_code_0() -> None:
    async def work() -> None:
        await asyncio.sleep(0)

    with logged() as log:
        assert run_to_end(work()) == 0
    assert log.lines[-1]["event"] == "process stopped"


async def fails() -> None:
    raise ValueError(CANARIES["citizen_id"])


async def fails_beside_others() -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(asyncio.sleep(10))
        group.create_task(fails())


@pytest.mark.parametrize("work", [fails, fails_beside_others])
def test_an_unexpected_error_is_exit_code_75_and_one_line_that_says_where(work: Any) -> None:
    failing: Coroutine[Any, Any, None] = work()
    with logged() as log:
        assert run_to_end(failing) == EXIT_UNEXPECTED
    (line,) = log.lines
    assert (line["event"], line["exit_code"]) == ("process ends unexpectedly", 75)
    assert line["error"] == "builtins.ValueError"
    assert any("fails" in frame for frame in line["frames"])
