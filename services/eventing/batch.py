"""Defines what a service gives the processor: load, decide, apply and save for a batch of one partition."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol, TypeVar

from services.contracts.event import Envelope, Event
from services.eventing.facts import Fact
from services.eventing.ports import Document, Transaction

S = TypeVar("S")
C = TypeVar("C")


class Origin(NamedTuple):
    """Where a record stood in the log."""

    topic: str
    partition: int
    offset: int


@dataclass(slots=True)
class Saved:
    """What a handler's save leaves to the processor, which writes it in the same transaction.

    ``documents``: key documents that changed, by key, without ``_id`` and ``inbox`` (the processor adds both).
    ``facts``: what is to be announced, in order.
    """

    documents: dict[str, Document] = field(default_factory=dict)
    facts: list[Fact] = field(default_factory=list)


class BatchHandler(Protocol[S, C]):
    """One service's use of the events it consumes. It has no clock and no randomness.

    For each batch (records of one partition, in order) the processor opens one transaction, reads the position and the
    key documents, drops duplicates, then calls ``load`` once, ``decide`` and ``apply`` for each record in order,
    ``save`` once, and commits all with position and outbox. The transaction may run again from the start.
    """

    processor: str
    """The name positions are kept under; also the consumer group."""
    topics: tuple[str, ...]
    uses: frozenset[type[Event]]
    """Types that are decided on. Other declared types are ignored on purpose (their sequences still count)."""
    counters_in_key: frozenset[str]
    """Own topics keyed like the input, whose sequence counter stands in the key document instead of ``streams``."""

    def key_collection(self, topic: str) -> str:
        """The collection that holds one document for each key of this topic; topics with like keys share it."""
        ...

    async def load(
        self, tx: Transaction, origin: Origin, envelopes: Sequence[Envelope[Any]], documents: Mapping[str, Document]
    ) -> S:
        """Loads all that these events need beyond their key documents (by key; absent if new)."""
        ...

    def decide(self, state: S, envelope: Envelope[Any], origin: Origin) -> C:
        """Decides one event, purely: changes nothing. Whatever it raises parks the record."""
        ...

    def apply(self, state: S, change: C) -> None:
        """Takes one decision into the state. Must not fail: an error here stops the process."""
        ...

    async def save(self, tx: Transaction, state: S) -> Saved:
        """Writes what changed besides the key documents, and returns those and the facts."""
        ...

    def minutes_at_stake(self, envelope: Envelope[Any]) -> int:
        """Minutes of people's service that wait while this record is parked, for the metric; 0 if none."""
        ...
