"""Keeps partitioned logs for ever, as a broker does, and one process's idempotent writer to them."""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final, NamedTuple

from aiokafka.partitioner import murmur2

from services.eventing.ports import LogError, Message, TopicPartition
from tests.support.simulation.clocks import EPOCH
from tests.support.simulation.network import Network, Server, UnansweredError

SESSION_TIMEOUT_S: Final = 6.0
"""A member that the broker has not heard of for this long is out of its group, whether it knows or not."""
FETCH_WAIT_S: Final = 1.0
BATCH_MESSAGES_MAX: Final = 4
"""Small, so that a crash may fall between two batches of one append."""
PRODUCE_TRIES_MAX: Final = 3
LATE_S: Final = (2.0, 15.0)
POSITIVE: Final = 0x7FFFFFFF


class LogRecord(NamedTuple):
    """One record of the log; keeps the port ``Record``."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...]
    timestamp: int


@lru_cache(maxsize=4096)
def _hash(key: bytes) -> int:
    hashed: int = murmur2(key) & POSITIVE
    return hashed


class OutOfOrderError(Exception):
    """The broker misses an earlier batch of this producer."""


class FencedError(Exception):
    """The member is not in the group's current generation: its commit is refused (its fetches never are)."""


@dataclass(slots=True)
class Member:
    """What a group knows of one consumer."""

    topics: frozenset[str]
    heard_s: float


@dataclass(slots=True)
class Group:
    """One consumer group."""

    generation: int = 0
    members: dict[str, Member] = field(default_factory=dict)
    committed: dict[TopicPartition, int] = field(default_factory=dict)


class Broker(Server):
    """All topics have the same number of partitions and one partitioner. ``on_append`` hears of every record."""

    def __init__(self, network: Network, name: str, *, partitions: int) -> None:
        super().__init__(network, name)
        self.partitions = partitions
        self.logs: dict[TopicPartition, list[LogRecord]] = {}
        self.groups: dict[str, Group] = {}
        self.on_append: Callable[[LogRecord], None] | None = None
        self._sequences: dict[tuple[str, TopicPartition], int] = {}
        self._waiting: list[tuple[Mapping[TopicPartition, int], int, asyncio.Future[Any]]] = []

    def partition_of(self, key: bytes) -> int:
        """Where a key's records go, in every topic: Kafka's own partitioner."""
        return _hash(key) % self.partitions

    def log(self, partition: TopicPartition) -> list[LogRecord]:
        """All records of one partition, in order."""
        return self.logs.setdefault(partition, [])

    # requests

    def produce(self, producer: str, partition: TopicPartition, first: int, messages: Sequence[Message]) -> None:
        """Appends one batch, once: ``first`` is the producer's own number of its first message in this partition."""
        expected = self._sequences.get((producer, partition), 0)
        if first > expected:
            raise OutOfOrderError(f"{first} after {expected}")
        for message in messages[expected - first :]:
            self._append(partition, message)
        self._sequences[producer, partition] = max(expected, first + len(messages))
        self._answer_fetches(partition)

    def fetch(
        self, positions: Mapping[TopicPartition, int], records_max: int
    ) -> "dict[TopicPartition, list[LogRecord]] | asyncio.Future[dict[TopicPartition, list[LogRecord]]]":
        """Up to ``records_max`` records of each partition from its position on, for anybody; waits a while for one."""
        found = self._read(positions, records_max)
        if found:
            return found
        answer: asyncio.Future[dict[TopicPartition, list[LogRecord]]] = self.loop.create_future()
        waiting = (positions, records_max, answer)
        self._waiting.append(waiting)
        self.node.call_later(FETCH_WAIT_S, self._give_up, waiting)
        return answer

    def bounds(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, tuple[int, int]]:
        """First offset that exists and the offset after the last."""
        bounds: dict[TopicPartition, tuple[int, int]] = {}
        for each in partitions:
            log = self.logs.get(each)
            bounds[each] = (log[0].offset, log[-1].offset + 1) if log else (0, 0)
        return bounds

    def heartbeat(self, group: str, member: str, topics: frozenset[str]) -> tuple[int, frozenset[TopicPartition]]:
        """Joins or stays in a group; the generation and what the member owns in it, as of now."""
        known = self.groups.setdefault(group, Group())
        silent = [name for name, each in known.members.items() if each.heard_s < self.loop.now - SESSION_TIMEOUT_S]
        for name in silent:
            del known.members[name]
        if silent or member not in known.members:
            known.generation += 1
        known.members[member] = Member(topics, self.loop.now)
        order = sorted(known.members)
        mine = {p for p in range(self.partitions) if order[p % len(order)] == member}
        return known.generation, frozenset(TopicPartition(topic, p) for topic in topics for p in mine)

    def leave(self, group: str, member: str) -> None:
        """Leaves a group at once, as a graceful stop does."""
        known = self.groups.setdefault(group, Group())
        if known.members.pop(member, None) is not None:
            known.generation += 1

    def commit(self, group: str, generation: int, offsets: Mapping[TopicPartition, int]) -> None:
        """Takes the group's offsets on record."""
        known = self.groups.setdefault(group, Group())
        if generation != known.generation:
            raise FencedError(f"generation {generation} is not {known.generation}")
        known.committed.update(offsets)

    # what befalls it

    def expel(self, member: str) -> None:
        """Takes a member for dead, as when its heartbeats were lost; it fetches on until it hears of it."""
        for group in self.groups.values():
            if group.members.pop(member, None) is not None:
                group.generation += 1

    # inside

    def _append(self, partition: TopicPartition, message: Message) -> None:
        log = self.log(partition)
        assert message.topic == partition.topic
        at = int((EPOCH.timestamp() + self.loop.now) * 1000)
        offset = log[-1].offset + 1 if log else 0
        record = LogRecord(
            partition.topic, partition.partition, offset, message.key, message.value, message.headers, at
        )
        log.append(record)
        self.loop.note(message.value)
        if self.on_append is not None:
            self.on_append(record)

    def _read(self, positions: Mapping[TopicPartition, int], records_max: int) -> dict[TopicPartition, list[LogRecord]]:
        found: dict[TopicPartition, list[LogRecord]] = {}
        for partition, position in positions.items():
            log = self.logs.get(partition)
            if log and log[-1].offset >= position:
                start = max(position - log[0].offset, 0)
                found[partition] = log[start : start + records_max]
        return found

    def _answer_fetches(self, partition: TopicPartition) -> None:
        still = []
        for waiting in self._waiting:
            positions, records_max, answer = waiting
            found = self._read(positions, records_max) if partition in positions else {}
            if found and not answer.done():
                answer.set_result(found)
            elif not answer.done():
                still.append(waiting)
        self._waiting = still

    def _give_up(self, waiting: tuple[Mapping[TopicPartition, int], int, asyncio.Future[Any]]) -> None:
        if not waiting[2].done():
            waiting[2].set_result({})
            self._waiting = [each for each in self._waiting if each is not waiting]


@dataclass(slots=True)
class Producer:
    """One life of a producer: its numbers by partition, and who sends to a partition now."""

    name: str
    numbers: dict[TopicPartition, int] = field(default_factory=dict)
    turns: dict[TopicPartition, asyncio.Lock] = field(default_factory=dict)
    over: bool = False
    """A batch failed or nobody waits for it: its number may be taken, so nothing else may be sent under it."""


class SimulatedLogWriter:
    """Keeps the port ``LogWriter`` for one process.

    Numbers its batches, so that a repeat after a lost acknowledgement is recognised. After a failed or cancelled append
    it starts as a new producer, as the real writer does: what was still on its way may land late and twice.
    """

    def __init__(self, broker: Broker, process: str) -> None:
        self._broker = broker
        self._process = process
        self._lives = 0
        self._producer = Producer(f"{process}:0")

    async def append(self, messages: Sequence[Message]) -> None:
        by_partition: dict[TopicPartition, list[Message]] = {}
        for each in messages:
            place = TopicPartition(each.topic, self._broker.partition_of(each.key))
            by_partition.setdefault(place, []).append(each)
        producer = self._producer
        sending = [asyncio.ensure_future(self._send_all(producer, *each)) for each in by_partition.items()]
        for task in sending:
            task.add_done_callback(_seen)
        try:
            await asyncio.gather(*sending)
        except (UnansweredError, OutOfOrderError) as error:
            raise LogError(str(error)) from error
        except asyncio.CancelledError:
            producer.over = True
            raise
        finally:
            if producer.over and self._producer is producer:
                self._lives += 1
                self._producer = Producer(f"{self._process}:{self._lives}")

    async def _send_all(self, producer: Producer, place: TopicPartition, messages: Sequence[Message]) -> None:
        rng = self._broker.network.rng
        async with producer.turns.setdefault(place, asyncio.Lock()):
            done = 0
            while done < len(messages):
                if producer.over:
                    raise UnansweredError("an earlier batch of this producer failed")
                batch = messages[done : done + rng.randint(1, BATCH_MESSAGES_MAX)]
                first = producer.numbers.get(place, 0)
                try:
                    await self._send(producer.name, place, first, batch)
                except BaseException:  # cancelled as well: what was asked for may be done all the same
                    producer.over = True
                    raise
                producer.numbers[place] = first + len(batch)
                done += len(batch)

    async def _send(self, producer: str, place: TopicPartition, first: int, batch: Sequence[Message]) -> None:
        broker = self._broker
        if broker.network.chance("late"):
            low, high = LATE_S
            delay_s = low + broker.network.rng.random() * (high - low)
            broker.node.call_later(delay_s, _land, broker, producer, place, first, batch)
            raise UnansweredError("the batch is on its way and nobody waits for it")
        for tried in range(1, PRODUCE_TRIES_MAX + 1):
            try:
                await broker.ask(broker.produce, producer, place, first, batch)
            except UnansweredError:
                if tried == PRODUCE_TRIES_MAX:
                    raise
            else:
                return


def _land(broker: Broker, producer: str, place: TopicPartition, first: int, batch: Sequence[Message]) -> None:
    """A batch arrives that its sender has given up."""
    try:
        broker.produce(producer, place, first, batch)
    except OutOfOrderError:
        return


def _seen(task: "asyncio.Task[None]") -> None:
    """A batch that failed after its append had already failed is no news."""
    if not task.cancelled():
        task.exception()
