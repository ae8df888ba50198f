"""Kafka and the writer on kafka-python do what the simulated broker does."""

import asyncio
import gc
import itertools
import logging
from collections.abc import Iterator, Sequence
from typing import Final

import pytest
from kafka import KafkaConsumer
from kafka import TopicPartition as KafkaPartition

from services.contracts.topics import PARTITIONS, Topic
from services.eventing.ports import Record
from services.eventing.relay.kafka_writer import KafkaLogWriter
from services.eventing.topics_tool import create_topics
from tests.integration.log_suite import Log, LogSuite, Scenario

# kafka-python leaves a socket whose connection was refused to the collector.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")

NUMBERS: Final = itertools.count()
"""Topics are kept for ever: each scenario has its own."""
POLL_MS: Final = 100


class TestKafkaLog(LogSuite):
    @pytest.fixture(autouse=True)
    def broker(self, kafka_bootstrap: str) -> Iterator[None]:
        """Has the broker, and no noise of a client whose producer was thrown away."""
        self.bootstrap = kafka_bootstrap
        client = logging.getLogger("kafka")
        level = client.level
        client.setLevel(logging.CRITICAL + 1)
        yield
        client.setLevel(level)
        gc.collect()

    def run(self, scenario: Scenario) -> None:
        number = next(NUMBERS)
        topics = (f"log-suite-{number}-one", f"log-suite-{number}-other")
        create_topics(self.bootstrap, topics=[Topic(each, "hours", "key", ()) for each in topics])
        writers: list[KafkaLogWriter] = []

        def writer() -> KafkaLogWriter:
            writers.append(KafkaLogWriter(self.bootstrap, client_id=f"log-suite-{number}-{len(writers)}"))
            return writers[-1]

        async def read(topic: str) -> Sequence[Record]:
            return read_all(self.bootstrap, topic)

        async def bounds(topic: str) -> Sequence[tuple[int, int]]:
            return bounds_of(self.bootstrap, topic)

        async def to_the_end() -> None:
            try:
                await scenario(Log(topics, PARTITIONS, writer, read, bounds))
            finally:
                for each in writers:
                    await each.close()

        asyncio.run(to_the_end())


def partitions_of(topic: str) -> list[KafkaPartition]:
    return [KafkaPartition(topic, each) for each in range(PARTITIONS)]


def bounds_of(bootstrap: str, topic: str) -> list[tuple[int, int]]:
    consumer = KafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False)
    partitions = partitions_of(topic)
    firsts, ends = consumer.beginning_offsets(partitions), consumer.end_offsets(partitions)
    consumer.close()
    return [(firsts[each], ends[each]) for each in partitions]


def read_all(bootstrap: str, topic: str) -> list[Record]:
    """Every record up to the end that each partition has now."""
    consumer = KafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False)
    partitions = partitions_of(topic)
    ends = consumer.end_offsets(partitions)
    consumer.assign(partitions)
    consumer.seek_to_beginning(*partitions)
    found: dict[KafkaPartition, list[Record]] = {each: [] for each in partitions}
    while any(consumer.position(each) < ends[each] for each in partitions):
        for partition, records in consumer.poll(timeout_ms=POLL_MS).items():
            found[partition] += records
    consumer.close()
    return [record for each in partitions for record in found[each]]
