"""Feeds events to a service's handler through the real engine, in memory, partition by partition."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any
from zlib import crc32

from services.contracts.codec import decode
from services.contracts.event import Envelope, Event
from services.contracts.topics import PARTITIONS
from services.eventing import outbox, processor
from services.eventing.batch import BatchHandler
from services.eventing.ports import Document, Message, StoreAdmin, TopicPartition
from services.eventing.positions import Position
from services.eventing.traces import Spans
from tests.support.memory_store import MemoryStore
from tests.support.ports import SetClock
from tests.support.records import LogRecord, Publisher, as_record
from tests.support.witness import Witness


def partition_of(topic: str, key: bytes) -> TopicPartition:
    """Where a record of a key lies; any stable spread will do here."""
    return TopicPartition(topic, crc32(key) % PARTITIONS)


class Processing:
    """One service's processor in memory: its store, its log, its positions."""

    def __init__(self, wiring: Any, store: MemoryStore | None = None, spans: Spans | None = None) -> None:
        self.handler: BatchHandler[Any, Any] = wiring.build_handler()
        self.store = store or MemoryStore()
        self.wiring = wiring
        self.witness = Witness()
        self.publisher = Publisher()
        self.engine = processor.Engine(
            self.handler, self.store, SetClock(), self.witness, operators=wiring.SERVICE.operators, spans=spans
        )
        self.log: defaultdict[TopicPartition, list[LogRecord]] = defaultdict(list)
        self.applied: dict[TopicPartition, Position] = {}

    async def prepare(self) -> "Processing":
        """Creates the collections and indexes, as a process does before it serves."""
        admin: StoreAdmin = self.store
        collections = (*self.wiring.COLLECTIONS, *outbox.COLLECTIONS, *processor.COLLECTIONS)
        await admin.prepare(collections, (*self.wiring.INDEXES, *outbox.INDEXES, *processor.INDEXES))
        return self

    async def take(self, *events: Event) -> list[Envelope[Any]]:
        """Publishes events and applies them, in batches as they lie in their partitions; returns what was announced."""
        return await self.take_messages(self.publisher.messages(events))

    async def take_messages(self, messages: Sequence[Message]) -> list[Envelope[Any]]:
        """Appends messages to the log and applies them."""
        before = set(self.store.documents(outbox.OUTBOX))
        for message in messages:
            partition = partition_of(message.topic, message.key)
            self.log[partition].append(as_record(message, partition, len(self.log[partition])))
        for partition in sorted(self.log):
            await self._catch_up(partition)
        rows = self.store.documents(outbox.OUTBOX)
        return [envelope for row in rows if row not in before for envelope in announced(rows[row])]

    async def _catch_up(self, partition: TopicPartition) -> None:
        if partition not in self.applied:
            await self.engine.create({partition: 0})
            self.applied |= await self.engine.positions([partition])
        start = self.applied[partition]
        if records := self.log[partition][start.next :]:
            self.applied[partition] = await self.engine.apply(partition, start, records)


def announced(row: Document) -> list[Envelope[Any]]:
    """The events of an outbox document."""
    return [decode(event["type"], event["value"]) for event in row["events"]]
