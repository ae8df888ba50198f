"""Writes down what eventing tells its observer, for tests to compare."""

from collections import Counter

from services.eventing.observe import Step, Waits
from services.eventing.ports import TopicPartition


class Witness:
    """Keeps the port ``Observer``: counts by name, and the last of what is a state."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.reasons: Counter[str] = Counter()
        self.causes: Counter[tuple[Step, str]] = Counter()
        self.waits: Waits | None = None
        self.lags: dict[TopicPartition, tuple[int, float]] = {}
        self.leading: bool | None = None
        self.unmarked: tuple[int, float] | None = None

    def batch_committed(self, partition: TopicPartition, *, records: int, applied: int, seconds: float) -> None:
        self.counts["batches"] += 1
        self.counts["records"] += records
        self.counts["applied"] += applied

    def duplicates_absorbed(self, partition: TopicPartition, events: int) -> None:
        self.counts["duplicates"] += events

    def events_ignored(self, partition: TopicPartition, events: int) -> None:
        self.counts["ignored"] += events

    def record_parked(self, partition: TopicPartition, reason: str) -> None:
        self.counts["parked"] += 1
        self.reasons[reason] += 1

    def lag(self, partition: TopicPartition, records: int, seconds: float) -> None:
        self.lags[partition] = (records, seconds)

    def position_moved(self, partition: TopicPartition) -> None:
        self.counts["moved"] += 1

    def retried(self, step: Step, cause: str) -> None:
        self.counts["retried"] += 1
        self.causes[step, cause] += 1

    def relay_published(self, events: int) -> None:
        self.counts["published"] += events

    def relay_state(self, *, leading: bool) -> None:
        self.leading = leading

    def outbox(self, unmarked: int, oldest_age_s: float) -> None:
        self.unmarked = (unmarked, oldest_age_s)

    def parked(self, waits: Waits) -> None:
        self.waits = waits

    def due_work_done(self, name: str, items: int) -> None:
        self.counts[name] += items
