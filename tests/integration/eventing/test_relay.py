"""The sending half on a real database and a real broker: everything arrives, in order, also after a leader's death."""

import asyncio
import os
import random
from collections.abc import AsyncIterator, Iterator, Mapping
from itertools import count
from time import monotonic
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from deploy.local.broker import Broker
from services.contracts.activities import ATTENDANCE
from services.contracts.topics import PARTITIONS
from services.eventing.changes import read_changes
from services.eventing.outbox import COLLECTIONS, INDEXES, OUTBOX
from services.eventing.ports import Message, Ports
from services.eventing.relay import lease
from services.eventing.relay.kafka_writer import KafkaLogWriter
from services.eventing.relay.lease import acquire
from services.eventing.relay.loop import run_relay
from services.eventing.topics_tool import create_topics
from services.runtime.clock import SystemClock
from services.runtime.ids import SystemIds
from services.runtime.mongo import MongoStore
from tests.support.outbox import announce, assert_no_event_came_before_its_predecessor, sequences
from tests.support.witness import Witness

DATABASES = (f"relay_test_{number}" for number in count())
WITHIN_S = 60


@pytest.fixture(scope="module")
def kafka_bootstrap(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A broker of this module's own: what it announces on the city's topics is nothing the platform could apply."""
    broker = Broker(tmp_path_factory.mktemp("relay") / "broker")
    try:
        broker.start()
        yield broker.bootstrap
    finally:
        broker.stop()


@pytest.fixture
def run_id() -> str:
    """Keeps the keys of one test apart from those of another on the shared topic."""
    return f"{os.getpid()}-{next(RUNS)}"


RUNS = count()


@pytest.fixture
async def store(mongodb_uris: Mapping[str, str]) -> AsyncIterator[MongoStore]:
    opened = MongoStore.open(mongodb_uris["activities"], next(DATABASES), random.Random(1))
    await opened.prepare((*COLLECTIONS, *lease.COLLECTIONS), INDEXES)
    yield opened
    await opened.close()


def ports(store: MongoStore) -> Ports:
    return Ports(store, SystemClock(), SystemClock(), SystemIds(), random.Random(2))


class Running:
    """A relay in this process, with its own producer."""

    def __init__(self, store: MongoStore, bootstrap: str, holder: str) -> None:
        self.writer = KafkaLogWriter(bootstrap, client_id=holder)
        self.witness = Witness()
        self.stop = asyncio.Event()
        self.task = asyncio.create_task(
            run_relay(ports(store), self.writer, self.witness, (), holder=holder, stop=self.stop)
        )

    async def end(self) -> float:
        """Stops it; returns how long that took."""
        begun = monotonic()
        self.stop.set()
        await self.task
        await self.writer.close()
        return monotonic() - begun


async def all_marked(store: MongoStore) -> None:
    deadline = monotonic() + WITHIN_S
    while await store.find(OUTBOX, {"state": "unmarked"}, limit=1, fields=("state",)):
        assert monotonic() < deadline, "rows stay unmarked"
        await asyncio.sleep(0.02)


async def read(bootstrap: str, prefix: str, *, until: int) -> list[Message]:
    """What stands in the topic of keys with this prefix, at least ``until`` messages."""
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, auto_offset_reset="earliest")
    await consumer.start()
    try:
        consumer.assign([TopicPartition(ATTENDANCE, each) for each in range(PARTITIONS)])
        found: list[Message] = []
        deadline = monotonic() + WITHIN_S
        while len(found) < until and monotonic() < deadline:
            for records in (await consumer.getmany(timeout_ms=200)).values():
                found += [as_message(each) for each in records if each.key.decode().startswith(prefix)]
        return found
    finally:
        await consumer.stop()


def as_message(record: Any) -> Message:
    return Message(record.topic, record.key, record.value, tuple(record.headers))


async def test_concurrent_commands_are_published_in_order_and_can_be_read_again(
    store: MongoStore, kafka_bootstrap: str, run_id: str
) -> None:
    create_topics(kafka_bootstrap)
    relay = Running(store, kafka_bootstrap, "relay-0")
    keys = [f"{run_id}-{n}" for n in range(5)]
    rng = random.Random(3)

    async def client(name: str) -> None:
        for n in range(10):
            await announce(store, *rng.sample(keys, 2), row_id=f"{name}-{n}")

    await asyncio.gather(*(client(f"client-{n}") for n in range(4)))
    await all_marked(store)
    messages = await read(kafka_bootstrap, run_id, until=80)
    assert_no_event_came_before_its_predecessor(messages)
    rows = await store.find(OUTBOX, {}, limit=100)
    announced = {event["value"] for row in rows for event in row["events"]}
    assert {message.value for message in messages} == announced
    assert relay.witness.counts["published"] == 80
    page = await read_changes(store, None, 200)
    assert sorted(page.items) == sorted(announced)
    assert page.next == "1.80"
    assert await relay.end() < 5


async def test_one_command_is_published_soon(store: MongoStore, kafka_bootstrap: str, run_id: str) -> None:
    create_topics(kafka_bootstrap)
    relay = Running(store, kafka_bootstrap, "relay-0")
    await announce(store, f"{run_id}-first", row_id="first")
    await all_marked(store)
    waits = []
    for n in range(10):
        begun = monotonic()
        await announce(store, f"{run_id}-{n}", row_id=f"row-{n}")
        await all_marked(store)
        waits.append(monotonic() - begun)
    assert sorted(waits)[5] < 1
    await relay.end()


async def test_a_large_row_and_a_long_chain_are_published(store: MongoStore, kafka_bootstrap: str, run_id: str) -> None:
    create_topics(kafka_bootstrap)
    await announce(store, *(f"{run_id}-{n % 600}" for n in range(1_000)), row_id="large")
    for n in range(60):
        await announce(store, f"{run_id}-0", row_id=f"chain-{60 - n:02}")
    relay = Running(store, kafka_bootstrap, "relay-0")
    await all_marked(store)
    await relay.end()
    messages = await read(kafka_bootstrap, run_id, until=1_060)
    assert_no_event_came_before_its_predecessor(messages)
    assert len(sequences(messages)) == 600
    assert sequences(messages)[ATTENDANCE, f"{run_id}-0".encode()] == list(range(1, 63))


async def test_an_open_transaction_of_a_dead_leader_does_not_keep_the_next_from_leading(
    store: MongoStore, mongodb_uris: Mapping[str, str], kafka_bootstrap: str, run_id: str
) -> None:
    create_topics(kafka_bootstrap)
    dead = MongoStore.open(mongodb_uris["activities"], store._database.name, random.Random(4))
    guard = await acquire(dead, SystemClock(), "dead")
    assert guard is not None
    holding = asyncio.Event()

    async def freeze(tx: Any) -> None:
        holding.set()
        await asyncio.Event().wait()

    frozen = asyncio.create_task(guard.transact(freeze))
    await holding.wait()
    document = (await store.get("lease", ["relay"]))["relay"]
    ended = {**document, "until": "2026-01-01T00:00:00.000000Z"}
    await store.transact(lambda tx: tx.replace("lease", [ended]))
    relay = Running(store, kafka_bootstrap, "next")
    await announce(store, f"{run_id}-a", row_id="row")
    await all_marked(store)
    assert (await store.get(OUTBOX, ["row"]))["row"]["epoch"] == 2
    await relay.end()
    frozen.cancel()
    await asyncio.wait({frozen})
    await dead.close()
