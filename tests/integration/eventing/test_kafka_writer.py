"""The Kafka writer against a real broker, also one that freezes or dies."""

import asyncio
import gc
import logging
import os
import signal
from collections.abc import Iterator, Sequence
from pathlib import Path
from time import monotonic
from typing import Any

import pytest
from aiokafka.partitioner import murmur2
from kafka import KafkaConsumer, TopicPartition

from deploy.local.broker import Broker
from deploy.local.server_process import free_ports
from services.contracts.topics import PARTITIONS, Topic
from services.eventing.ports import LogError, Message
from services.eventing.relay import kafka_writer
from services.eventing.relay.kafka_writer import KafkaLogWriter
from services.eventing.topics_tool import create_topics

# kafka-python leaves a socket whose connection was refused to the collector.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")

TOPIC = "kafka-writer-test"
HEADERS = (("ce_id", b"an-id"), ("content-type", b"application/cloudevents+json"))
READ_TIMEOUT_S = 20
SILENCE_S = 1.0


def message(key: str, value: str) -> Message:
    return Message(TOPIC, key.encode(), value.encode(), HEADERS)


def numbered(key: str, count: int, first: int = 1) -> list[Message]:
    return [message(key, f"{key}|{n}") for n in range(first, first + count)]


def read(bootstrap: str, keys: Sequence[str], *, until: int) -> list[Any]:
    """The records of these keys, once there are ``until`` of them and then no more for a while."""
    consumer = KafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False)
    partitions = [TopicPartition(TOPIC, each) for each in range(PARTITIONS)]
    consumer.assign(partitions)
    consumer.seek_to_beginning(*partitions)
    wanted = {each.encode() for each in keys}
    found: list[Any] = []
    deadline = monotonic() + READ_TIMEOUT_S
    quiet_since = monotonic()
    while monotonic() < deadline and (len(found) < until or monotonic() - quiet_since < SILENCE_S):
        for records in consumer.poll(timeout_ms=100).values():
            found += [record for record in records if record.key in wanted]
            quiet_since = monotonic()
    consumer.close()
    return found


def values(records: Sequence[Any]) -> list[str]:
    return [record.value.decode() for record in records]


def first_seen(seen: Sequence[str]) -> list[str]:
    """What a consumer that knows sequences is left with: each value where it came first."""
    return list(dict.fromkeys(seen))


@pytest.fixture(scope="module")
def bootstrap(kafka_bootstrap: str) -> str:
    create_topics(kafka_bootstrap, topics=[Topic(TOPIC, "hours", "key", ())])
    return kafka_bootstrap


@pytest.fixture(autouse=True)
def sockets_that_the_client_forgets() -> Iterator[None]:
    """Collects them while their warning is ignored; a log record would keep the exception, and that the socket."""
    client = logging.getLogger("kafka")
    level = client.level
    client.setLevel(logging.CRITICAL + 1)
    yield
    client.setLevel(level)
    gc.collect()


@pytest.fixture
def own_broker(tmp_path: Path) -> Iterator[Broker]:
    """A broker that the test may freeze and kill."""
    broker = Broker(tmp_path / "broker")
    broker.start()
    create_topics(broker.bootstrap, topics=[Topic(TOPIC, "hours", "key", ())])
    try:
        yield broker
    finally:
        if broker.is_running:
            os.kill(broker.pid, signal.SIGCONT)
            broker.kill()


async def test_bytes_headers_and_partition_are_as_every_client_has_them(bootstrap: str) -> None:
    writer = KafkaLogWriter(bootstrap, client_id="test")
    keys = [f"shape-{n}-王" for n in range(20)]
    await writer.append([message(key, f"value of {key}") for key in keys])
    await writer.close()
    records = {record.key.decode(): record for record in read(bootstrap, keys, until=20)}
    assert set(records) == set(keys)
    for key, record in records.items():
        assert record.value == f"value of {key}".encode()
        assert tuple(record.headers) == HEADERS
        assert record.partition == (murmur2(key.encode()) & 0x7FFFFFFF) % PARTITIONS


async def test_the_order_of_each_key_is_kept_within_and_between_appends(bootstrap: str) -> None:
    writer = KafkaLogWriter(bootstrap, client_id="test")
    keys = [f"order-{n}" for n in range(50)]
    for first in (1, 6, 11):
        await writer.append(
            [each for turn in range(first, first + 5) for key in keys for each in numbered(key, 1, turn)]
        )
    await writer.close()
    seen = values(read(bootstrap, keys, until=50 * 15))
    for key in keys:
        assert [each for each in seen if each.startswith(f"{key}|")] == [f"{key}|{n}" for n in range(1, 16)]


async def test_a_topic_that_does_not_exist_is_a_log_error_within_the_time_out(bootstrap: str) -> None:
    writer = KafkaLogWriter(bootstrap, client_id="test")
    started = monotonic()
    with pytest.raises(LogError):
        await writer.append([Message("kafka-writer-test-missing", b"k", b"v", ())])
    assert monotonic() - started < kafka_writer.METADATA_TIMEOUT_MS / 1000 + kafka_writer.CLOSE_S + 3
    await writer.append([message("after-missing", "1")])
    await writer.close()


async def test_a_broker_that_is_not_there_is_a_log_error_every_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kafka_writer, "BOOTSTRAP_TIMEOUT_MS", 200)
    (nobody,) = free_ports(1)
    writer = KafkaLogWriter(f"127.0.0.1:{nobody}", client_id="test")
    for _ in range(3):
        with pytest.raises(LogError):
            await writer.append([message("k", "v")])
    await writer.close()


async def test_a_frozen_broker_fails_the_append_in_time_and_nothing_is_overtaken(
    own_broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kafka_writer, "ACKNOWLEDGED_S", 2.0)
    writer = KafkaLogWriter(own_broker.bootstrap, client_id="test")
    await writer.append(numbered("frozen", 1))
    os.kill(own_broker.pid, signal.SIGSTOP)
    started = monotonic()
    with pytest.raises(LogError):
        await writer.append(numbered("frozen", 4, first=2))
    assert monotonic() - started < 2.0 + kafka_writer.CLOSE_S + 1
    os.kill(own_broker.pid, signal.SIGCONT)
    monkeypatch.setattr(kafka_writer, "ACKNOWLEDGED_S", 20.0)
    await writer.append(numbered("frozen", 4, first=2))
    await writer.close()
    seen = values(read(own_broker.bootstrap, ["frozen"], until=5))
    assert first_seen(seen) == [f"frozen|{n}" for n in range(1, 6)]


async def test_a_cancelled_append_ends_at_once_and_the_writer_goes_on(own_broker: Broker) -> None:
    writer = KafkaLogWriter(own_broker.bootstrap, client_id="test")
    await writer.append(numbered("cut", 1))
    os.kill(own_broker.pid, signal.SIGSTOP)
    appending = asyncio.create_task(writer.append(numbered("cut", 3, first=2)))
    await asyncio.sleep(0.3)  # long enough to be in flight; nothing says so from outside
    started = monotonic()
    appending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await appending
    assert monotonic() - started < 1
    os.kill(own_broker.pid, signal.SIGCONT)
    await writer.append(numbered("other", 1))
    await writer.close()
    seen = values(read(own_broker.bootstrap, ["cut", "other"], until=2))
    assert "other|1" in seen
    assert not {"cut|3", "cut|4"} & set(seen)


async def test_closing_beside_a_frozen_broker_is_bounded(own_broker: Broker) -> None:
    writer = KafkaLogWriter(own_broker.bootstrap, client_id="test")
    await writer.append(numbered("closed", 1))
    os.kill(own_broker.pid, signal.SIGSTOP)
    appending = asyncio.create_task(writer.append(numbered("closed", 1, first=2)))
    await asyncio.sleep(0.3)  # as above
    started = monotonic()
    await writer.close()
    assert monotonic() - started < kafka_writer.CLOSE_S + 1
    with pytest.raises(LogError):
        await appending


async def test_a_killed_brokers_restart_costs_nothing_that_was_appended(own_broker: Broker) -> None:
    writer = KafkaLogWriter(own_broker.bootstrap, client_id="test")
    await writer.append(numbered("killed", 1))
    own_broker.kill()
    appending = asyncio.create_task(writer.append(numbered("killed", 3, first=2)))
    await asyncio.get_running_loop().run_in_executor(None, own_broker.start)
    try:
        await appending
    except LogError:
        await writer.append(numbered("killed", 3, first=2))
    await writer.close()
    seen = values(read(own_broker.bootstrap, ["killed"], until=4))
    assert first_seen(seen) == [f"killed|{n}" for n in range(1, 5)]
