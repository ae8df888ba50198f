"""The simulated broker does to us what Kafka may do, and the suite of the real one does not force."""

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from services.eventing.ports import LogError, Message, TopicPartition
from tests.support.simulation.log import (
    LATE_S,
    SESSION_TIMEOUT_S,
    Broker,
    FencedError,
    OutOfOrderError,
    SimulatedLogWriter,
)
from tests.support.simulation.loop import Node, SimulatedLoop
from tests.support.simulation.network import Network
from tests.support.simulation.worker import SimulatedReader

pytestmark = pytest.mark.simulation

ONE, TWO = TopicPartition("one", 0), TopicPartition("one", 1)
TOPICS = frozenset({"one", "other"})


class World:
    """A broker and one node that uses it."""

    def __init__(self, seed: int = 1) -> None:
        self.loop = SimulatedLoop(seed)
        self.network = Network(self.loop)
        self.broker = Broker(self.network, "broker", partitions=2)
        self.node = Node(self.loop, "process")

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.loop.run_until_complete(self.node.spawn(work))

    def values(self, *partitions: TopicPartition) -> list[bytes | None]:
        return [record.value for each in partitions or (ONE, TWO) for record in self.broker.log(each)]


def numbered(count: int, key: str = "key") -> list[Message]:
    return [Message("one", key.encode(), str(n).encode(), ()) for n in range(1, count + 1)]


def test_a_repeat_after_a_lost_acknowledgement_is_recognised() -> None:
    for seed in range(30):
        world = World(seed)
        world.network.weather.rates["drop"] = 0.2

        async def append(world: World = world) -> bool:
            try:
                await SimulatedLogWriter(world.broker, "writer").append(numbered(10))
            except LogError:
                return False
            return True

        if world.run(append()):
            assert world.values() == [str(n).encode() for n in range(1, 11)]


def test_what_an_append_gave_up_may_land_late_and_twice_but_never_before_its_predecessor() -> None:
    twice = 0
    for seed in range(40):
        world = World(seed)
        world.network.weather.rates["late"] = 0.3

        async def append_until_acknowledged(world: World = world) -> None:
            writer = SimulatedLogWriter(world.broker, "writer")
            while True:
                try:
                    await writer.append(numbered(8))
                except LogError:
                    await asyncio.sleep(1)
                else:
                    break
            world.network.weather.clear()
            await asyncio.sleep(LATE_S[1])

        world.run(append_until_acknowledged())
        values = world.values()
        assert list(dict.fromkeys(values)) == [str(n).encode() for n in range(1, 9)]
        twice += len(values) > 8
    assert twice > 20


def test_a_producers_batch_without_the_one_before_is_refused() -> None:
    broker = World().broker
    broker.produce("writer", ONE, 0, numbered(2))
    broker.produce("writer", ONE, 0, numbered(2))
    assert len(broker.log(ONE)) == 2
    with pytest.raises(OutOfOrderError):
        broker.produce("writer", ONE, 3, numbered(1))


def test_equal_numbers_of_all_topics_go_to_one_member() -> None:
    broker = World().broker
    broker.heartbeat("group", "a", TOPICS)
    broker.heartbeat("group", "b", TOPICS)
    _, a = broker.heartbeat("group", "a", TOPICS)
    _, b = broker.heartbeat("group", "b", TOPICS)
    assert {each.partition for each in a} == {0}
    assert {each.partition for each in b} == {1}
    assert {each.topic for each in a} == TOPICS


def test_a_silent_member_is_out_and_hears_of_it_last() -> None:
    world = World()
    broker = world.broker
    first, everything = broker.heartbeat("group", "a", TOPICS)
    assert len(everything) == 4
    world.loop.now += SESSION_TIMEOUT_S + 1
    second, taken = broker.heartbeat("group", "b", TOPICS)
    assert (second, taken) == (first + 1, everything)
    broker.produce("writer", ONE, 0, numbered(1))
    assert broker.fetch({ONE: 0}, 10), "a zombie's fetches are not fenced"
    with pytest.raises(FencedError):
        broker.commit("group", first, {ONE: 1})


def test_an_expelled_member_is_replaced_at_the_others_next_heartbeat() -> None:
    broker = World().broker
    for member in "ab":
        broker.heartbeat("group", member, TOPICS)
    broker.expel("a")
    _, everything = broker.heartbeat("group", "b", TOPICS)
    assert len(everything) == 4
    broker.heartbeat("group", "a", TOPICS)
    assert len(broker.heartbeat("group", "b", TOPICS)[1]) == 2


def test_a_fetch_waits_for_records_and_gives_up() -> None:
    world = World()

    async def fetch() -> list[int]:
        nothing = await world.broker.ask(world.broker.fetch, {ONE: 0}, 10)
        fetching = asyncio.ensure_future(world.broker.ask(world.broker.fetch, {ONE: 0}, 10))
        await asyncio.sleep(0.3)
        world.broker.produce("writer", ONE, 0, numbered(3))
        return [len(nothing), len((await fetching)[ONE])]

    assert world.run(fetch()) == [0, 3]


def test_a_reader_seeks_only_what_it_was_assigned_and_owns_nothing_in_a_rebalance() -> None:
    world = World()
    world.broker.produce("writer", ONE, 0, numbered(5))
    reader = SimulatedReader(world.broker)

    async def read() -> list[bytes | None]:
        with pytest.raises(LogError):
            await reader.seek({ONE: 0})
        reader.assign(frozenset({ONE}))
        assert reader.assignment() == frozenset()
        reader.flowing = True
        assert reader.assignment() == {ONE}
        assert await reader.bounds([ONE, TWO]) == {ONE: (0, 5), TWO: (0, 0)}
        await reader.seek({ONE: 3})
        return [record.value for record in (await reader.fetch())[ONE]]

    assert world.run(read()) == [b"4", b"5"]
