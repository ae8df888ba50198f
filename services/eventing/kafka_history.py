"""Reads what topics hold from any offset to any other, in no group and without changing anything."""

from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any, Final

from aiokafka import AIOKafkaConsumer
from aiokafka import TopicPartition as KafkaPartition
from aiokafka.errors import KafkaError

from services.contracts.topics import BY_NAME
from services.eventing.ports import LogError, Record, TopicPartition

FETCH_RECORDS_MAX: Final = 1_000
FETCH_BYTES_MAX: Final = 4_194_304
REQUEST_TIMEOUT_MS: Final = 15_000
WAIT_MS: Final = 1_000
SILENT_FETCHES_MAX: Final = 30
"""So many times nothing in a row, of a log that says it holds more: it does not answer."""


class KafkaHistory:
    """Keeps the port ``History`` on aiokafka's consumer."""

    def __init__(self, consumer: AIOKafkaConsumer) -> None:
        self._consumer: Any = consumer
        self._reading: KafkaPartition | None = None

    async def ends(self, topics: Iterable[str]) -> dict[TopicPartition, int]:
        wanted = [KafkaPartition(topic, n) for topic in topics for n in range(BY_NAME[topic].partitions)]
        try:
            found = await self._consumer.end_offsets(wanted)
        except KafkaError as error:
            raise LogError(f"no end offsets: {type(error).__name__}") from error
        return {TopicPartition(*each): offset for each, offset in found.items()}

    async def since(self, partitions: Collection[TopicPartition], at: datetime) -> dict[TopicPartition, int]:
        moment = int(at.timestamp() * 1000)
        try:
            found = await self._consumer.offsets_for_times({KafkaPartition(*each): moment for each in partitions})
        except KafkaError as error:
            raise LogError(f"no offsets by time: {type(error).__name__}") from error
        return {TopicPartition(*each): place.offset for each, place in found.items() if place is not None}

    async def read(self, partition: TopicPartition, start: int, end: int) -> AsyncIterator[Sequence[Record]]:
        at, silent, place = start, 0, KafkaPartition(*partition)
        self._reading = None
        while at < end:
            if self._reading != place:  # another partition was read meanwhile
                self._consumer.assign([place])
                self._consumer.seek(place, at)
                self._reading = place
            try:
                fetched = await self._consumer.getmany(place, timeout_ms=WAIT_MS, max_records=FETCH_RECORDS_MAX)
            except KafkaError as error:
                raise LogError(f"{partition} cannot be read: {type(error).__name__}") from error
            records = [record for record in fetched.get(place, ()) if record.offset < end]
            silent = 0 if records else silent + 1
            if silent > SILENT_FETCHES_MAX:
                raise LogError(f"{partition} does not give its records from {at} to {end}")
            if records:
                if records[0].offset != at:
                    raise LogError(f"{partition} begins at {records[0].offset}, not at {at}: it was truncated")
                at = records[-1].offset + 1
                yield records


@asynccontextmanager
async def open_history(bootstrap: str, settings: Mapping[str, object]) -> AsyncIterator[KafkaHistory]:
    """Connects for as long as the context lasts; ``settings`` are the client's own for security.

    Raises ``LogError``.
    """
    consumer = AIOKafkaConsumer(
        bootstrap_servers=bootstrap,
        group_id=None,
        enable_auto_commit=False,
        auto_offset_reset="none",
        max_partition_fetch_bytes=FETCH_BYTES_MAX,
        request_timeout_ms=REQUEST_TIMEOUT_MS,
        **settings,
    )
    try:
        await consumer.start()
        yield KafkaHistory(consumer)
    except KafkaError as error:
        raise LogError(f"the log does not answer: {type(error).__name__}") from error
    finally:
        await consumer.stop()
