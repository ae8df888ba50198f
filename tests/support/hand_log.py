"""A log that a test fills by hand, seen as a group member sees it; hands out records from where it was told to seek."""

from collections.abc import Iterable, Mapping, Sequence

from services.eventing.ports import LogError, TopicPartition
from tests.support.records import LogRecord


class HandLog:
    """Keeps the port ``LogReader``. ``first`` is the log's start; ``failures`` next calls raise ``LogError``."""

    def __init__(self, partitions: Iterable[TopicPartition]) -> None:
        self.records: dict[TopicPartition, list[LogRecord]] = {each: [] for each in partitions}
        self.first: dict[TopicPartition, int] = dict.fromkeys(self.records, 0)
        self.mine = frozenset(self.records)
        self.at: dict[TopicPartition, int] = {}
        self.seeks: list[dict[TopicPartition, int]] = []
        self.failures = 0

    def append(self, records: Sequence[LogRecord]) -> None:
        """Adds records, which know where they stand."""
        for record in records:
            self.records[TopicPartition(record.topic, record.partition)].append(record)

    def fetch(self, partition: TopicPartition, limit: int = 1_000) -> list[LogRecord]:
        """The next records from where the log was told to seek."""
        found = [record for record in self.records[partition] if record.offset >= self.at[partition]][:limit]
        if found:
            self.at[partition] = found[-1].offset + 1
        return found

    def assignment(self) -> frozenset[TopicPartition]:
        return self.mine

    async def bounds(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, tuple[int, int]]:
        self._fail()
        return {each: (self.first[each], self._end(each)) for each in partitions}

    async def seek(self, positions: Mapping[TopicPartition, int]) -> None:
        self._fail()
        if not self.mine.issuperset(positions):
            raise LogError("not assigned")
        self.at.update(positions)
        self.seeks.append(dict(positions))

    def _end(self, partition: TopicPartition) -> int:
        records = self.records[partition]
        return records[-1].offset + 1 if records else self.first[partition]

    def _fail(self) -> None:
        if self.failures:
            self.failures -= 1
            raise LogError("planted")
