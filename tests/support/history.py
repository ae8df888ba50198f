"""Shows the log of processors in memory as topics that can be read from any offset; keeps the port ``History``."""

from collections import defaultdict
from collections.abc import AsyncIterator, Collection, Iterable, Sequence
from datetime import UTC, datetime

from services.contracts.topics import BY_NAME
from services.eventing.outbox import OUTBOX, messages_of
from services.eventing.ports import Record, TopicPartition
from tests.support.memory_store import MemoryStore
from tests.support.processing import Processing, partition_of
from tests.support.records import LogRecord, as_record

READ_RECORDS = 3
"""Few, so that the borders of what is read at a time lie everywhere."""


class MemoryHistory:
    """What was published: the events that a processor read, and those that it announced."""

    def __init__(self) -> None:
        self.log: defaultdict[TopicPartition, list[LogRecord]] = defaultdict(list)

    @classmethod
    def of(cls, *processings: Processing) -> "MemoryHistory":
        """All that these processors have read and announced."""
        history = cls()
        for processing in processings:
            for partition, records in processing.log.items():
                history.log[partition] = list(records)
            history.publish(processing.store)
        return history

    def publish(self, store: MemoryStore) -> None:
        """Appends every outbox row, as a relay does: a key's events in the order of their sequences."""
        rows = list(store.documents(OUTBOX).values())
        messages = [message for row in rows for message in messages_of(row)]
        for message in sorted(messages, key=lambda each: dict(each.headers)["ce_sequence"]):
            partition = partition_of(message.topic, message.key)
            known = {record.headers for record in self.log[partition]}
            if message.headers not in known:
                self.log[partition].append(as_record(message, partition, len(self.log[partition])))

    async def ends(self, topics: Iterable[str]) -> dict[TopicPartition, int]:
        every = [TopicPartition(topic, n) for topic in topics for n in range(BY_NAME[topic].partitions)]
        return {each: len(self.log[each]) for each in every}

    async def since(self, partitions: Collection[TopicPartition], at: datetime) -> dict[TopicPartition, int]:
        found = {}
        for each in partitions:
            later = [r.offset for r in self.log[each] if datetime.fromtimestamp(r.timestamp / 1000, UTC) >= at]
            if later:
                found[each] = later[0]
        return found

    async def read(self, partition: TopicPartition, start: int, end: int) -> AsyncIterator[Sequence[Record]]:
        for first in range(start, end, READ_RECORDS):
            yield self.log[partition][first : min(first + READ_RECORDS, end)]
