"""The simulated database does what MongoDB may do to us, and the suite of the real one does not force."""

import asyncio
import random
from collections.abc import Awaitable, Callable

import pytest

from services.eventing.ports import (
    AlreadyExistsError,
    CommitUnknownError,
    ConflictError,
    Document,
    Index,
    StoreUnavailableError,
    Transaction,
)
from tests.support.simulation.documents import stored
from tests.support.simulation.loop import Node, SimulatedLoop
from tests.support.simulation.network import Network
from tests.support.simulation.store import SimulatedStore
from tests.support.simulation.store_server import TRANSACTION_LIFETIME_S, StoreServer

pytestmark = pytest.mark.simulation

Write = Callable[[Transaction], Awaitable[None]]


class World:
    """One database and the clients of two processes."""

    def __init__(self, seed: int = 1) -> None:
        self.loop = SimulatedLoop(seed)
        self.network = Network(self.loop)
        self.server = StoreServer(self.network, "store")
        self.server.prepare(["things", "lanes"], [Index("things", "name", (("name", 1),), unique=True)])
        self.nodes = [Node(self.loop, f"node{i}") for i in range(2)]
        self.stores = [SimulatedStore(self.server, f"process{i}", random.Random(i)) for i in range(2)]

    def run(self, *works: Awaitable[object]) -> list[object]:
        """Runs works beside each other, each in a node of its own, to their ends; errors are results."""

        async def all_of() -> list[object]:
            tasks = [node.spawn(_awaited(work)) for node, work in zip(self.nodes * len(works), works, strict=False)]
            return list(await asyncio.gather(*tasks, return_exceptions=True))

        results: list[object] = self.loop.run_until_complete(all_of())
        return results

    def put(self, *each: str, value: int = 0) -> None:
        assert self.run(self.stores[0].transact(putting(*each, value=value))) == [None]


async def _awaited(work: Awaitable[object]) -> object:
    return await work


def putting(*ids: str, value: int = 0) -> Write:
    async def work(tx: Transaction) -> None:
        await tx.replace("things", [{"_id": each, "name": each, "value": value} for each in ids])

    return work


def test_two_transactions_that_read_what_the_other_writes_both_commit() -> None:
    """Write skew: snapshot isolation does not see it, and neither may our tests' store."""
    world = World()
    world.put("a", "b", value=1)

    def taking(mine: str) -> Write:
        async def work(tx: Transaction) -> None:
            found = await tx.get("things", ["a", "b"])
            await asyncio.sleep(0.1)
            if sum(each["value"] for each in found.values()) >= 2:
                await tx.replace("things", [{**found[mine], "value": 0}])

        return work

    assert world.run(world.stores[0].transact(taking("a")), world.stores[1].transact(taking("b"))) == [None, None]
    assert [each["value"] for each in world.server.now_at_majority("things").values()] == [0, 0]


def test_a_read_outside_transactions_waits_for_the_majority_and_a_failover_takes_the_rest_back() -> None:
    world = World()
    world.put("a", value=1)
    committed: list[int] = []
    world.server.on_majority = lambda name, writes: committed.append(len(writes))
    world.network.weather.rates["lag"] = 1.0

    async def fail_over_between() -> object:
        writing = asyncio.ensure_future(world.stores[0].transact(putting("a", value=2)))
        while world.server.documents.now == world.server.documents.majority:  # noqa: ASYNC110 - virtual time
            await asyncio.sleep(0.001)
        seen = (await world.stores[1].get("things", ["a"]))["a"]["value"]
        if world.server.documents.now == world.server.documents.majority:
            return "too late"
        world.server.fail_over()
        with pytest.raises((CommitUnknownError, StoreUnavailableError)):
            await writing
        return seen

    (seen,) = world.run(fail_over_between())
    assert seen == 1
    assert committed == []
    assert world.server.now_at_majority("things")["a"]["value"] == 1


def test_what_a_failover_takes_back_was_not_read_by_a_committed_transaction() -> None:
    world = World()
    world.put("a", value=1)
    world.server.documents.commit({("things", "a"): stored({"_id": "a", "name": "a", "value": 2})})

    async def read() -> int:
        async def work(tx: Transaction) -> int:
            return int((await tx.get("things", ["a"]))["a"]["value"])

        return await world.stores[0].transact(work)

    world.loop.root.call_later(0.1, world.server.fail_over)
    (result,) = world.run(read())
    assert isinstance(result, CommitUnknownError)


def test_a_dead_processs_locks_hold_until_its_time_is_up_or_its_session_is_taken_over() -> None:
    async def hang(tx: Transaction) -> None:
        await putting("a")(tx)
        await asyncio.sleep(1000)

    for take_over in (False, True):
        world = World()

        async def dying(world: World = world) -> None:
            await world.stores[0].take_over("owner")
            await world.stores[0].transact(hang, owner="owner")

        async def next_owner(world: World = world, take_over: bool = take_over) -> float:
            await asyncio.sleep(1)
            world.nodes[0].kill()
            began = world.loop.now
            if take_over:
                await world.stores[1].take_over("owner")
            while True:
                try:
                    await world.stores[1].transact(putting("a", value=2))
                except ConflictError:
                    continue
                return world.loop.now - began

        world.nodes[0].spawn(dying())
        waited = world.loop.run_until_complete(world.nodes[1].spawn(next_owner()))
        assert waited < 1 if take_over else TRANSACTION_LIFETIME_S - 2 < waited < TRANSACTION_LIFETIME_S + 2


def test_killing_a_session_does_not_fence_its_owner() -> None:
    world = World()

    async def zombie() -> None:
        await world.stores[0].take_over("owner")
        await world.stores[1].take_over("owner")
        await world.stores[0].transact(putting("a"), owner="owner")

    assert world.run(zombie()) == [None]
    assert "a" in world.server.now_at_majority("things")


def test_a_scan_may_be_torn() -> None:
    """A document that moves ahead of the cursor may be missed, and one behind it is what it was."""
    torn = 0
    for seed in range(40):
        world = World(seed)
        world.put(*"abcdefgh", value=1)
        world.network.weather.rates.update(torn=1.0)

        async def scan(world: World = world) -> list[int]:
            found = await world.stores[0].find("things", {}, limit=100)
            return [each["value"] for each in found]

        async def rewrite(world: World = world) -> None:
            await world.stores[1].transact(putting(*"abcdefgh", value=2))

        values, _ = world.run(scan(), rewrite())
        assert isinstance(values, list)
        assert len(values) == 8
        torn += values == sorted(values) and len(set(values)) == 2
    assert torn > 5


def test_a_new_primary_may_serve_what_was_but_not_to_who_has_seen_more() -> None:
    older = 0
    for seed in range(20):
        world = World(seed)
        for value in range(8):
            world.put("a", value=value)
        world.network.weather.rates["stale"] = 1.0
        world.server.fail_over()

        async def read(which: int, world: World = world) -> int:
            while True:
                try:
                    return int((await world.stores[which].get("things", ["a"]))["a"]["value"])
                except StoreUnavailableError:
                    await asyncio.sleep(0.001)

        knowing, strange = world.run(read(0), read(1))
        assert knowing == 7
        older += strange != 7
    assert older > 3


def test_a_find_inside_a_transaction_is_never_torn() -> None:
    for seed in range(20):
        world = World(seed)
        world.put(*"abcdefgh", value=1)
        world.network.weather.rates.update(torn=1.0)

        async def scan(world: World = world) -> int:
            async def work(tx: Transaction) -> list[int]:
                await tx.get("things", ["a"])
                await asyncio.sleep(0.01)
                return [each["value"] for each in await tx.find("things", {}, limit=100)]

            return len(set(await world.stores[0].transact(work)))

        found, _ = world.run(scan(), world.stores[1].transact(putting(*"abcdefgh", value=2)))
        assert found == 1


def test_a_lost_answer_to_a_commit_repeats_only_the_commit() -> None:
    tries = 0
    for seed in range(60):
        world = World(seed)
        ran: list[int] = []
        world.network.weather.rates["drop"] = 0.25

        async def work(tx: Transaction, ran: list[int] = ran) -> None:
            ran.append(1)
            await tx.insert("things", [{"_id": "a", "name": "a"}])

        (result,) = world.run(world.stores[0].transact(work))
        assert result is None or isinstance(result, CommitUnknownError | StoreUnavailableError)
        tries += len(ran)
        assert result is not None or "a" in world.server.now_at_majority("things")
    assert tries > 60


def test_two_transactions_that_claim_one_unique_value_never_both_commit() -> None:
    outcomes = set()
    for seed in range(30):
        world = World(seed)

        def claiming(each: str) -> Write:
            async def work(tx: Transaction) -> None:
                await tx.insert("things", [{"_id": each, "name": "same"}])

            return work

        results = world.run(*(s.transact(claiming(i)) for s, i in zip(world.stores, "ab", strict=True)))
        assert sorted(map(str, map(type, results))) == sorted(map(str, [type(None), AlreadyExistsError]))
        outcomes.add(results[0] is None)
    assert outcomes == {True, False}


def test_a_unique_value_that_was_given_up_may_be_taken() -> None:
    world = World()
    world.put("a")

    async def work(tx: Transaction) -> None:
        await tx.delete("things", ["a"])
        await tx.insert("things", [{"_id": "b", "name": "a"}])

    assert world.run(world.stores[0].transact(work)) == [None]
    assert list(world.server.now_at_majority("things")) == ["b"]


def test_a_failover_gives_unique_values_back() -> None:
    world = World()
    world.put("a")
    world.server.documents.commit({("things", "a"): None})
    world.server.fail_over()

    async def work(tx: Transaction) -> None:
        await tx.insert("things", [{"_id": "b", "name": "a"}])

    async def later() -> None:
        await asyncio.sleep(10)
        await world.stores[0].transact(work)

    (result,) = world.run(later())
    assert isinstance(result, AlreadyExistsError)


def test_wakeups_come_late_and_may_be_missed() -> None:
    for missed, heard in ((0.0, True), (1.0, False)):
        world = World()
        woken: list[float] = []

        async def listen(world: World = world, woken: list[float] = woken) -> None:
            async with world.stores[0].wakeups("things") as wakeups:
                if await wakeups.wait(5):
                    woken.append(world.loop.now)

        async def write(world: World = world, missed: float = missed) -> None:
            await asyncio.sleep(1)
            world.network.weather.rates["missed"] = missed
            await world.stores[1].transact(putting("a"))

        world.run(listen(), write())
        assert bool(woken) is heard
        assert all(at > 1 for at in woken)


def test_what_a_client_does_to_its_documents_changes_nothing_stored() -> None:
    world = World()

    async def work(tx: Transaction) -> None:
        document: Document = {"_id": "a", "name": "a", "inside": {"list": [1]}}
        await tx.replace("things", [document])
        document["inside"] = None
        (await tx.get("things", ["a"]))["a"]["inside"]["list"].append(2)

    world.run(world.stores[0].transact(work))
    assert world.server.now_at_majority("things")["a"]["inside"] == {"list": [1]}


def test_a_collection_that_was_not_prepared_fails() -> None:
    world = World()

    async def work(tx: Transaction) -> None:
        await tx.replace("unknown", [{"_id": "a"}])

    (result,) = world.run(world.stores[0].transact(work))
    assert isinstance(result, AssertionError)


@pytest.mark.parametrize("seed", range(10))
def test_counters_under_every_mishap_count_every_acknowledged_increment(seed: int) -> None:
    world = World(seed)
    rates = {"drop": 0.05, "slow": 0.1, "stall": 0.02, "lag": 0.2}
    world.network.weather.rates.update(rates)
    acknowledged: list[str] = []

    def once(name: str) -> Write:
        async def work(tx: Transaction) -> None:
            lane = (await tx.get("lanes", ["l"])).get("l", {"_id": "l", "done": []})
            if name not in lane["done"]:
                await tx.replace("lanes", [{"_id": "l", "done": [*lane["done"], name]}])

        return work

    async def client(which: int) -> None:
        for each in range(8):
            name = f"{which}.{each}"
            while name not in acknowledged:
                try:
                    await world.stores[which].transact(once(name))
                except (ConflictError, StoreUnavailableError, CommitUnknownError):
                    await asyncio.sleep(0.1)
                else:
                    acknowledged.append(name)

    world.loop.root.call_later(3, world.server.fail_over)
    world.loop.root.call_later(11, world.server.fail_over)
    world.run(client(0), client(1))
    done = world.server.now_at_majority("lanes")["l"]["done"]
    assert sorted(done) == sorted(acknowledged)
