"""Waiting ends when nothing moves and nothing waits, and not before."""

from collections.abc import Callable, Mapping

import httpx
import pytest

from deploy.history import catch_up
from deploy.history.catch_up import SERVICES, CatchUp, parse
from deploy.history.gateway_client import LoadFailed
from services.eventing.ports import TopicPartition
from services.runtime.metrics import Metrics

LOOKS = 6
ADDRESSES = {
    f"{service}-{kind}": f"http://{service}-{kind}" for service in SERVICES for kind in ("api", "relay", "processor")
}


class Processes:
    """Twelve processes that have caught up; tests change what they say."""

    def __init__(self) -> None:
        self.metrics = {name: Metrics(*name.split("-")) for name in ADDRESSES}
        self.away: set[str] = set()
        self.looks = 0
        self.before_look: Callable[[int], None] = lambda _: None
        for service in SERVICES:
            self.metrics[f"{service}-relay"].relay_state(leading=True)

    def answer(self, request: httpx.Request) -> httpx.Response:
        name = request.url.host
        assert not name.endswith("-api"), "only relays and processors say what waits"
        if name == "registry-relay":
            self.looks += 1
            self.before_look(self.looks)
        if name in self.away:
            raise httpx.ConnectError("away")
        return httpx.Response(200, content=self.metrics[name].text())

    def watch(self) -> CatchUp:
        return CatchUp(ADDRESSES, httpx.MockTransport(self.answer))


@pytest.fixture
def processes(monkeypatch: pytest.MonkeyPatch) -> Processes:
    monkeypatch.setattr(catch_up, "POLL_S", 0.001)
    monkeypatch.setattr(catch_up, "QUIET_S", 0.01)
    monkeypatch.setattr(catch_up, "QUIET_AT_END_S", 0.02)
    monkeypatch.setattr(catch_up, "PATIENCE_S", 30.0)
    return Processes()


def test_samples_are_found_by_their_declared_names() -> None:
    metrics = Metrics("hours", "processor")
    metrics.batch_committed(TopicPartition("t", 1), records=5, applied=5, seconds=0.1)
    metrics.lag(TopicPartition("t", 1), 4, 0.5)
    values: Mapping[str, list[catch_up.Value]] = parse(metrics.text().decode())
    assert values["events_applied_total"] == [(frozenset({("topic", "t"), ("partition", "1")}), 5.0)]
    assert values["lag_records"] == [(frozenset({("topic", "t"), ("partition", "1")}), 4.0)]


async def test_quiet_processes_have_settled(processes: Processes) -> None:
    async with processes.watch() as watch:
        snapshot = await watch.settled()
    assert snapshot.waiting() == {}
    assert snapshot.parked == 0


async def test_settling_waits_while_something_moves(processes: Processes) -> None:
    def publish(look: int) -> None:
        if look <= LOOKS:
            processes.metrics["hours-relay"].relay_published(1)

    processes.before_look = publish
    async with processes.watch() as watch:
        snapshot = await watch.settled()
    assert processes.looks > LOOKS
    assert snapshot.total("hours-relay", ["events_published_total"]) == LOOKS


@pytest.mark.parametrize("what", ["outbox", "lag", "stands by", "away"])
async def test_settling_waits_while_something_waits(processes: Processes, what: str) -> None:
    relay, processor = processes.metrics["hours-relay"], processes.metrics["hours-processor"]
    partition = TopicPartition("activities.attendance", 3)

    def change(look: int) -> None:
        waits = look <= LOOKS
        match what:
            case "outbox":
                relay.outbox(1 if waits else 0, 0.0)
            case "lag":
                processor.lag(partition, 1 if waits else 0, 0.0)
            case "stands by":
                relay.relay_state(leading=not waits)
            case _:
                processes.away = {"hours-processor"} if waits else set()

    processes.before_look = change
    async with processes.watch() as watch:
        await watch.settled()
    assert processes.looks > LOOKS


async def test_a_barrier_does_not_wait_for_gauges_that_are_old(processes: Processes) -> None:
    processes.metrics["hours-relay"].outbox(1, 0.0)
    async with processes.watch() as watch:
        assert (await watch.barrier()).waiting() == {"hours-relay": 1}


async def test_events_are_awaited_by_their_number(processes: Processes) -> None:
    partition = TopicPartition("registry.volunteers", 0)

    def apply(look: int) -> None:
        if look == LOOKS:
            processes.metrics["activities-processor"].batch_committed(partition, records=7, applied=7, seconds=0.1)
            processes.metrics["activities-processor"].events_ignored(partition, 3)

    processes.before_look = apply
    # Something always waits, so only the number can end this.
    processes.metrics["hours-relay"].outbox(1, 0.0)
    async with processes.watch() as watch:
        await watch.taken("activities", ["registry.volunteers"], 10)
    assert processes.looks == LOOKS


async def test_a_counter_that_a_restart_set_back_does_not_stop_the_load(processes: Processes) -> None:
    async with processes.watch() as watch:
        await watch.taken("activities", ["registry.volunteers"], 10)


async def test_what_never_settles_is_reported(processes: Processes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catch_up, "PATIENCE_S", 0.1)
    processes.metrics["hours-processor"].lag(TopicPartition("registry.volunteers", 0), 12, 1.0)
    async with processes.watch() as watch:
        with pytest.raises(LoadFailed, match="hours-processor"):
            await watch.settled()
