"""Counts what the seeds made the platform go through, so that faults which never bite are seen."""

from collections import Counter

from services.eventing.observe import Step, Waits
from services.eventing.ports import TopicPartition


class CountingObserver:
    """Keeps the port ``Observer``."""

    def __init__(self, coverage: Counter[str]) -> None:
        self._coverage = coverage

    def batch_committed(self, partition: TopicPartition, *, records: int, applied: int, seconds: float) -> None:
        self._coverage["batch"] += 1

    def duplicates_absorbed(self, partition: TopicPartition, events: int) -> None:
        self._coverage["duplicate_absorbed"] += events

    def events_ignored(self, partition: TopicPartition, events: int) -> None:
        self._coverage["ignored"] += events

    def record_parked(self, partition: TopicPartition, reason: str) -> None:
        self._coverage[f"parked_{reason}"] += 1

    def lag(self, partition: TopicPartition, records: int, seconds: float) -> None:
        """Not counted."""

    def position_moved(self, partition: TopicPartition) -> None:
        self._coverage["position_moved"] += 1

    def retried(self, step: Step, cause: str) -> None:
        self._coverage["transaction_retried"] += 1

    def relay_published(self, events: int) -> None:
        """Not counted."""

    def relay_state(self, *, leading: bool) -> None:
        self._coverage["led"] += leading

    def outbox(self, unmarked: int, oldest_age_s: float) -> None:
        """Not counted."""

    def parked(self, waits: Waits) -> None:
        """Not counted."""

    def due_work_done(self, name: str, items: int) -> None:
        self._coverage["due"] += items
