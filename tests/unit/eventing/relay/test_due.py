"""Due work is done on business time, by the leader alone, again until it has succeeded."""

import asyncio
from datetime import datetime, timedelta

from services.eventing.ports import ConflictError, StoreUnavailableError, Transaction
from services.eventing.relay.lease import LeaseGuard
from services.eventing.relay.loop import DUE_EVERY_S
from tests.support.ports import START
from tests.support.relays import RelayWorld, eventually
from tests.support.simulation.loop import current_node


class Timers:
    """Due work: each timer is a document with the hour at which it is due."""

    name = "timers"

    def __init__(self, world: RelayWorld, *hours: int) -> None:
        self.world = world
        self.runs: list[tuple[str, datetime]] = []
        self.fails: list[Exception] = []
        world.store = type(world.store)()
        world.store.put("timers", *({"_id": f"timer-{hour}", "hour": hour, "done": None} for hour in hours))

    async def run(self, now: datetime, guard: LeaseGuard) -> int:
        self.runs.append((current_node().name, now))
        if self.fails:
            raise self.fails.pop()
        hour = (now - START) / timedelta(hours=1)
        due = await self.world.store.find("timers", {"done": None, "hour": {"$lte": hour}}, limit=1)

        async def work(tx: Transaction) -> int:
            await tx.update("timers", {each["_id"]: {"done": guard.epoch} for each in due})
            return len(due)

        return await guard.transact(work) if due else 0

    def done(self) -> list[str]:
        return [each for each, timer in self.world.store.documents("timers").items() if timer["done"] is not None]


def test_what_is_due_in_business_time_is_done_and_nothing_else() -> None:
    world = RelayWorld()
    timers = Timers(world, 1, 2, 30)
    relay = world.start(due=[timers])

    async def story() -> None:
        await asyncio.sleep(60)
        assert timers.done() == []
        world.clock.move(timedelta(hours=3))
        assert await eventually(lambda: timers.done() == ["timer-1", "timer-2"]) <= DUE_EVERY_S + 0.1

    world.run(story())
    assert relay.witness.counts["timers"] == 2


def test_while_some_is_left_the_next_run_follows_at_once() -> None:
    world = RelayWorld()
    timers = Timers(world, *range(1, 21))
    world.clock.move(timedelta(hours=50))
    world.start(due=[timers])

    async def story() -> None:
        assert await eventually(lambda: len(timers.done()) == 20) < DUE_EVERY_S

    world.run(story())


def test_it_is_looked_for_every_second() -> None:
    world = RelayWorld()
    timers = Timers(world)
    world.start(due=[timers])
    world.run(asyncio.sleep(30))
    assert 25 <= len(timers.runs) <= 32


def test_a_failing_store_only_delays_it() -> None:
    world = RelayWorld()
    timers = Timers(world, 1)
    timers.fails = [StoreUnavailableError(), ConflictError(), StoreUnavailableError()]
    world.clock.move(timedelta(hours=1))
    world.start(due=[timers])
    world.run(eventually_done(timers))


async def eventually_done(timers: Timers) -> None:
    await eventually(lambda: timers.done() == ["timer-1"])


def test_only_the_leader_does_it() -> None:
    world = RelayWorld()
    timers = Timers(world, 1)

    async def story() -> None:
        first = world.start("first", due=[timers])
        await eventually(lambda: first.witness.leading is True)
        world.start("second", due=[timers])
        await asyncio.sleep(5)
        assert {name for name, _ in timers.runs} == {"first"}
        first.node.kill()
        world.clock.move(timedelta(hours=1))
        await eventually(lambda: timers.done() == ["timer-1"])
        assert timers.runs[-1][0] == "second"

    world.run(story())
    assert world.store.documents("timers")["timer-1"]["done"] == 2
