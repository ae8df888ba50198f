"""Names what rebuilds need of the log: all that topics hold, from any offset to any other."""

from collections.abc import AsyncIterator, Collection, Iterable, Sequence
from datetime import datetime
from typing import Protocol

from services.eventing.ports import Record, TopicPartition


class History(Protocol):
    """All that topics hold, as far back as they go."""

    async def ends(self, topics: Iterable[str]) -> dict[TopicPartition, int]:
        """The offset after the last, of every partition of these topics. Raises ``LogError``."""
        ...

    async def since(self, partitions: Collection[TopicPartition], at: datetime) -> dict[TopicPartition, int]:
        """The first offset appended at that time or later; a partition without one is not in the answer."""
        ...

    def read(self, partition: TopicPartition, start: int, end: int) -> AsyncIterator[Sequence[Record]]:
        """The records from ``start`` up to and without ``end``, in order and some at a time. Raises ``LogError``."""
        ...
