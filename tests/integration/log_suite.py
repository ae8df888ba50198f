"""What every log and its writer must do: one suite for Kafka and for the simulated broker.

A subclass of ``LogSuite`` says how a scenario is run: on which loop, with which two new topics.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import pytest
from aiokafka.partitioner import murmur2

from services.eventing.ports import LogWriter, Message, Record

HEADERS = (("ce_id", b"an-id"), ("ce_sequence", b"000000000001"), ("content-type", b"application/cloudevents+json"))


@dataclass(frozen=True)
class Log:
    """Two topics without a record, of equally many partitions, and how to write, read and measure them."""

    topics: tuple[str, str]
    partitions: int
    writer: Callable[[], LogWriter]
    """Gives a new writer each time, as each process has one."""
    read: Callable[[str], Awaitable[Sequence[Record]]]
    """All records of a topic that are there now, partition by partition."""
    bounds: Callable[[str], Awaitable[Sequence[tuple[int, int]]]]
    """First offset that exists and the offset after the last, by partition."""


Scenario = Callable[[Log], Awaitable[None]]
SCENARIOS: list[Scenario] = []


def scenario(function: Scenario) -> Scenario:
    """Adds a scenario to the suite."""
    SCENARIOS.append(function)
    return function


class LogSuite:
    """The suite; ``run`` is what differs."""

    def run(self, scenario: Scenario) -> None:
        """Runs the scenario to its end."""
        raise NotImplementedError

    @pytest.mark.parametrize("each", SCENARIOS, ids=lambda function: function.__name__)
    def test_log(self, each: Scenario) -> None:
        self.run(each)


def numbered(topic: str, key: str, first: int, last: int) -> list[Message]:
    """A key's messages from one number to another."""
    return [Message(topic, key.encode(), f"{key}|{n}".encode(), HEADERS) for n in range(first, last + 1)]


def mixed(lists: Sequence[Sequence[Message]]) -> list[Message]:
    """Several keys' messages in turns, each key's in its order."""
    turns = max(len(each) for each in lists)
    return [each[turn] for turn in range(turns) for each in lists if turn < len(each)]


def values_of(records: Sequence[Record], key: str) -> list[str]:
    """A key's values in the order of the log."""
    return [(record.value or b"").decode() for record in records if record.key == key.encode()]


@scenario
async def what_is_appended_is_there_when_the_append_returns(log: Log) -> None:
    topic, keys = log.topics[0], [f"key-{n}" for n in range(7)]
    sent = mixed([numbered(topic, key, 1, 5) for key in keys])
    await log.writer().append(sent)
    records = await log.read(topic)
    assert sorted((r.key, r.value, tuple(r.headers)) for r in records) == sorted(
        (m.key, m.value, HEADERS) for m in sent
    )
    assert all(record.timestamp > 0 for record in records)


@scenario
async def offsets_count_from_zero_without_a_gap(log: Log) -> None:
    topic, writer = log.topics[0], log.writer()
    for first in (1, 4):
        await writer.append(mixed([numbered(topic, f"key-{n}", first, first + 2) for n in range(9)]))
    records = await log.read(topic)
    for partition in range(log.partitions):
        offsets = [record.offset for record in records if record.partition == partition]
        assert offsets == list(range(len(offsets)))
        assert (await log.bounds(topic))[partition] == (0, len(offsets))


@scenario
async def an_empty_topic_begins_and_ends_at_zero(log: Log) -> None:
    await log.writer().append([])
    assert list(await log.read(log.topics[0])) == []
    assert list(await log.bounds(log.topics[0])) == [(0, 0)] * log.partitions


@scenario
async def the_order_of_each_key_is_kept_within_and_between_appends(log: Log) -> None:
    topic, writer, keys = log.topics[0], log.writer(), [f"key-{n}" for n in range(12)]
    for first in (1, 6, 11):
        await writer.append(mixed([numbered(topic, key, first, first + 4) for key in keys]))
    records = await log.read(topic)
    for key in keys:
        assert values_of(records, key) == [f"{key}|{n}" for n in range(1, 16)]


@scenario
async def appends_beside_each_other_keep_their_own_orders(log: Log) -> None:
    topic, writer = log.topics[0], log.writer()
    await asyncio.gather(*(writer.append(numbered(topic, f"key-{n}", 1, 10)) for n in range(6)))
    records = await log.read(topic)
    for n in range(6):
        assert values_of(records, f"key-{n}") == [f"key-{n}|{each}" for each in range(1, 11)]


@scenario
async def two_writers_do_not_take_each_others_messages_for_repeats(log: Log) -> None:
    topic = log.topics[0]
    await asyncio.gather(*(log.writer().append(numbered(topic, "key", 1, 5)) for _ in range(2)))
    await log.writer().append(numbered(topic, "key", 1, 5))
    assert sorted(values_of(await log.read(topic), "key")) == sorted([f"key|{n}" for n in range(1, 6)] * 3)


@scenario
async def a_key_has_one_partition_number_in_all_topics(log: Log) -> None:
    writer, keys = log.writer(), [f"王-{n}" for n in range(20)]
    for topic in log.topics:
        await writer.append([message for key in keys for message in numbered(topic, key, 1, 2)])
        for record in await log.read(topic):
            assert record.topic == topic
            assert record.partition == (murmur2(record.key) & 0x7FFFFFFF) % log.partitions


@scenario
async def after_a_cancelled_append_the_same_messages_are_first_seen_in_order(log: Log) -> None:
    topic, writer, keys = log.topics[0], log.writer(), [f"key-{n}" for n in range(5)]
    messages = mixed([numbered(topic, key, 1, 8) for key in keys])
    appending = asyncio.ensure_future(writer.append(messages))
    await asyncio.sleep(0.003)
    appending.cancel()
    await asyncio.wait({appending})
    await writer.append(messages)
    records = await log.read(topic)
    for key in keys:
        assert list(dict.fromkeys(values_of(records, key))) == [f"{key}|{n}" for n in range(1, 9)]
