"""A relay leads, publishes in order, marks what is acknowledged, comes back after failures, stops in time."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from services.eventing.outbox import OUTBOX
from services.eventing.ports import (
    CommitUnknownError,
    ConflictError,
    LogError,
    Message,
    StoreUnavailableError,
    Wakeups,
)
from services.eventing.relay import loop
from services.eventing.relay.lease import LEASE_S
from services.eventing.relay.loop import BACK_OFF_MAX_S, POLL_EVERY_S, STANDBY_EVERY_S, STOP_S, BackOff, Relay
from services.eventing.relay.order import Row
from tests.support.memory_store import MemoryStore
from tests.support.outbox import (
    all_changes,
    announce,
    assert_no_event_came_before_its_predecessor,
    failing,
    id_of,
    rows,
)
from tests.support.relays import RelayProcess, RelayWorld, eventually

AT_ONCE_S = 0.5


def world_with(*keys: list[str]) -> RelayWorld:
    world = RelayWorld()
    world.store.put(OUTBOX, *rows(*keys))
    return world


# publishing


def test_what_is_announced_is_published_and_marked() -> None:
    world = world_with(["a", "b"], ["a"])
    relay = world.start()
    world.run(world.marked())
    assert world.log.ids == ["row-01-0", "row-01-1", "row-02-0"]
    assert relay.witness.counts["published"] == 3
    assert relay.witness.leading is True


def test_a_new_row_is_published_at_once() -> None:
    world = RelayWorld()
    world.start()

    async def story() -> None:
        await asyncio.sleep(POLL_EVERY_S / 2)
        await announce(world.store, "a", row_id="r")
        assert await eventually(lambda: world.log.ids == ["r-0"]) < AT_ONCE_S

    world.run(story())


class DeafWakeups:
    """Never hears anything."""

    async def wait(self, timeout_s: float) -> bool:
        await asyncio.sleep(timeout_s)
        return False


class DeafStore(MemoryStore):
    @asynccontextmanager
    async def wakeups(self, collection: str) -> AsyncIterator[Wakeups]:  # type: ignore[override]
        yield DeafWakeups()


def test_a_row_that_no_wakeup_told_of_is_found_by_the_poll() -> None:
    world = RelayWorld()
    world.store = DeafStore()
    world.start()

    async def story() -> None:
        await asyncio.sleep(1)
        await announce(world.store, "a", row_id="r")
        assert await eventually(lambda: world.log.ids == ["r-0"]) <= POLL_EVERY_S

    world.run(story())


class LastRowFirst(Relay):
    """A torn scan: it has seen the newest row and none before it."""

    async def scan(self) -> list[Row]:
        return (await super().scan())[-1:]


def test_a_row_waits_for_the_rows_before_it_even_if_the_scan_has_not_seen_them() -> None:
    world = world_with(["a"], ["a", "b"], ["c"], ["b"])
    world.start(relay=LastRowFirst)
    world.run(world.marked())
    assert world.log.ids.index("row-01-0") < world.log.ids.index("row-02-0") < world.log.ids.index("row-04-0")
    assert_no_event_came_before_its_predecessor(world.log.messages)


def test_large_backlogs_go_in_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "BATCH_EVENTS_MAX", 4)
    world = world_with(*(["a", "b", "c"] for _ in range(5)))
    world.start()
    world.run(world.marked())
    assert world.log.appends == 5
    assert_no_event_came_before_its_predecessor(world.log.messages)


# failures


def test_nothing_is_marked_before_it_is_acknowledged() -> None:
    world = world_with(["a"], ["b"])
    seen: list[str] = []

    async def look(message: Message) -> None:
        seen.extend(world.states())

    world.log.before = look
    world.start()
    world.run(world.marked())
    assert set(seen) == {"unmarked"}


def test_after_a_failed_append_everything_unmarked_is_sent_again() -> None:
    world = world_with(["a", "b"], ["a"])
    world.log.before = failing(3)
    world.start()
    world.run(world.marked())
    assert_no_event_came_before_its_predecessor(world.log.messages)
    assert world.log.appends == 4


@pytest.mark.parametrize(
    ("step", "error"),
    [
        *((step, StoreUnavailableError) for step in ("get", "find", "update", "replace", "commit", "take_over")),
        *((step, ConflictError) for step in ("update", "replace", "commit")),
        ("commit", CommitUnknownError),
        ("committed", CommitUnknownError),
    ],
)
def test_a_store_that_fails_at_any_step_only_costs_time(step: str, error: type[Exception]) -> None:
    world = world_with(["a"], ["a", "b"])
    left = 3

    def fault(name: str) -> None:
        nonlocal left
        if name == step and left:
            left -= 1
            raise error

    world.store.fault = fault
    world.start()

    async def story() -> None:
        await world.marked()
        pages = await all_changes(world.store, limit=200)
        assert len([item for page in pages for item in page.items]) == 3
        assert pages[-1].next.endswith(".3")

    world.run(story())
    assert left == 0
    assert_no_event_came_before_its_predecessor(world.log.messages)


def test_a_bug_ends_the_process() -> None:
    world = world_with(["a"])

    async def burst(message: Message) -> None:
        raise ZeroDivisionError

    world.log.before = burst
    relay = world.start()

    async def story() -> None:
        await asyncio.wait({relay.task})

    world.run(story())
    error = relay.task.exception()
    assert isinstance(error, ExceptionGroup)
    assert error.subgroup(ZeroDivisionError) is not None
    assert error.split(ZeroDivisionError)[1] is None


def test_waits_grow_to_a_limit_and_begin_anew_after_a_success() -> None:
    world = RelayWorld()
    back_off = BackOff(world.ports().rng)

    async def waited() -> float:
        begun = world.loop.now
        await back_off.wait()
        return world.loop.now - begun

    async def story() -> None:
        waits = [await waited() for _ in range(12)]
        assert waits[0] <= loop.BACK_OFF_FIRST_S
        assert BACK_OFF_MAX_S / 2 <= waits[-1] <= BACK_OFF_MAX_S
        back_off.reset()
        assert await waited() <= loop.BACK_OFF_FIRST_S

    world.run(story())


# the lease


def test_one_relay_leads_and_the_other_takes_over_when_it_dies() -> None:
    world = RelayWorld()

    async def story() -> None:
        first = world.start("first")
        await eventually(lambda: first.witness.leading is True)
        second = world.start("second")
        await announce(world.store, "a", row_id="r1")
        await world.marked()
        assert second.witness.leading is False
        first.node.kill()
        await announce(world.store, "a", row_id="r2")
        assert await eventually(lambda: second.witness.leading is True) <= LEASE_S + STANDBY_EVERY_S + AT_ONCE_S
        await world.marked()

    world.run(story())
    assert world.log.ids == ["r1-0", "r2-0"]
    assert [row["epoch"] for row in world.store.documents(OUTBOX).values()] == [1, 2]


def test_a_leader_that_cannot_renew_stops_publishing_at_once_and_comes_back() -> None:
    world = world_with(["a"])
    cancelled: list[str] = []

    async def hang(message: Message) -> None:
        try:
            await asyncio.sleep(1_000)
        except asyncio.CancelledError:
            cancelled.append(id_of(message))
            raise

    world.log.before = hang

    async def story() -> None:
        relay = world.start()
        await eventually(lambda: world.log.appends == 1)
        world.store.fault = unavailable
        assert await eventually(lambda: relay.witness.leading is False) <= LEASE_S
        assert cancelled == ["row-01-0"]
        world.store.fault = None
        world.log.before = None
        await world.marked()
        assert relay.witness.leading is True

    world.run(story())


def unavailable(name: str) -> None:
    raise StoreUnavailableError


def test_a_frozen_leader_that_thaws_marks_nothing() -> None:
    world = world_with(["a"], ["b"])
    reached, thawed = asyncio.Event(), asyncio.Event()

    class Frozen(Relay):
        async def mark(self, *args: Any) -> None:
            reached.set()
            await thawed.wait()
            await super().mark(*args)

    async def story() -> None:
        frozen = world.start("frozen", relay=Frozen)
        await reached.wait()
        frozen.node.pause()
        next_one = world.start("next")
        await world.marked()
        assert next_one.witness.leading is True
        numbered = world.store.documents(OUTBOX)
        thawed.set()
        frozen.node.resume()
        await eventually(lambda: frozen.witness.leading is False)
        assert world.store.documents(OUTBOX) == numbered
        assert {row["epoch"] for row in numbered.values()} == {2}

    world.run(story())


# stopping


async def stopped(world: RelayWorld, relay: RelayProcess) -> float:
    """Stops a relay; returns how long that took."""
    begun = world.loop.now
    relay.stop.set()
    await relay.task
    return world.loop.now - begun


def test_an_idle_relay_stops_at_once_and_leaves_the_lease_to_others() -> None:
    world = RelayWorld()

    async def story() -> None:
        first = world.start("first")
        await eventually(lambda: first.witness.leading is True)
        second = world.start("second")
        await asyncio.sleep(STANDBY_EVERY_S)
        assert await stopped(world, first) < AT_ONCE_S
        assert first.witness.leading is False
        assert await eventually(lambda: second.witness.leading is True) <= STANDBY_EVERY_S
        assert await stopped(world, second) < AT_ONCE_S

    world.run(story())


def test_a_relay_that_stands_by_stops_at_once() -> None:
    world = RelayWorld()

    async def story() -> None:
        await world.guard("somebody else")
        relay = world.start()
        await asyncio.sleep(1)
        assert await stopped(world, relay) < AT_ONCE_S

    world.run(story())


def test_what_is_in_flight_is_finished_and_marked_before_the_stop() -> None:
    world = world_with(["a"], ["b"])

    async def slow(message: Message) -> None:
        await asyncio.sleep(STOP_S / 4)

    world.log.before = slow

    async def story() -> None:
        relay = world.start()
        await eventually(lambda: world.log.appends == 1)
        assert await stopped(world, relay) <= STOP_S

    world.run(story())
    assert world.states() == ["marked", "marked"]


def test_what_does_not_finish_is_cut_off() -> None:
    world = world_with(["a"])

    async def hang(message: Message) -> None:
        await asyncio.sleep(1_000)

    world.log.before = hang

    async def story() -> None:
        relay = world.start()
        await eventually(lambda: world.log.appends == 1)
        assert await stopped(world, relay) <= STOP_S + AT_ONCE_S

    world.run(story())
    assert world.states() == ["unmarked"]


def test_a_relay_stops_although_the_store_does_not_answer() -> None:
    world = RelayWorld()

    async def story() -> None:
        relay = world.start()
        await eventually(lambda: relay.witness.leading is True)
        world.store.fault = unavailable
        await asyncio.sleep(1)
        assert await stopped(world, relay) <= STOP_S + AT_ONCE_S

    world.run(story())


# what is told


def test_what_waits_in_the_outbox_is_told_with_its_age_in_real_time() -> None:
    world = world_with(["a"], ["b"])

    async def never(message: Message) -> None:
        raise LogError("no broker")

    world.log.before = never

    async def story() -> None:
        relay = world.start()
        await asyncio.sleep(60)
        assert relay.witness.unmarked is not None
        count, age = relay.witness.unmarked
        assert count == 2
        assert 50 <= age <= 60
        world.log.before = None
        await world.marked()
        await eventually(lambda: relay.witness.unmarked == (0, 0.0))

    world.run(story())


def test_a_relay_that_stands_by_tells_what_waits_too() -> None:
    world = world_with(["a"])

    async def story() -> None:
        await world.guard("a leader that hangs")
        relay = world.start()
        await eventually(lambda: relay.witness.unmarked is not None)
        assert relay.witness.unmarked == (1, 0.0)

    world.run(story())


def test_conflicts_are_counted() -> None:
    world = world_with(["a"])
    left = 100

    def fault(name: str) -> None:
        nonlocal left
        if name == "commit" and left:
            left -= 1
            raise ConflictError

    world.store.fault = fault
    relay = world.start()
    world.run(world.marked())
    assert relay.witness.counts["retried"] > 0
