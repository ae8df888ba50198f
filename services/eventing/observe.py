"""Names what eventing tells its surroundings: metrics in production, the auditor in simulation."""

from dataclasses import dataclass
from typing import Literal, Protocol

from services.eventing.ports import TopicPartition

Step = Literal["transaction", "batch", "relay"]
"""What was tried again: one transaction inside the store, a processor's batch, a relay's piece of work."""


@dataclass(frozen=True, slots=True)
class Waits:
    """What waits in a service's parking, in all its replicas."""

    records: int
    keys: int
    people: int
    """Of the keys those that are volunteers."""
    minutes: int
    """Minutes of service that no balance shows yet."""
    longest_records: int
    """Records of the key with the most."""
    oldest_age_s: float
    """How long the key has waited that has waited longest."""


class Observer(Protocol):
    """Hears of every step worth counting. Never gets a key, an id of a person, or a payload value."""

    def batch_committed(self, partition: TopicPartition, *, records: int, applied: int, seconds: float) -> None:
        """``records``: all of the batch, whatever became of each; ``seconds``: of the try that committed."""

    def duplicates_absorbed(self, partition: TopicPartition, events: int) -> None: ...
    def events_ignored(self, partition: TopicPartition, events: int) -> None: ...
    def record_parked(self, partition: TopicPartition, reason: str) -> None: ...
    def lag(self, partition: TopicPartition, records: int, seconds: float) -> None: ...
    def position_moved(self, partition: TopicPartition) -> None: ...
    def retried(self, step: Step, cause: str) -> None: ...
    def relay_published(self, events: int) -> None: ...
    def relay_state(self, *, leading: bool) -> None: ...
    def outbox(self, unmarked: int, oldest_age_s: float) -> None: ...
    def parked(self, waits: Waits) -> None: ...
    def due_work_done(self, name: str, items: int) -> None: ...
