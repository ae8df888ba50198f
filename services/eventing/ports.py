"""Names what the platform needs of the world: a store, a log, clocks, ids; adapters and fakes implement it."""

import random
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple, Protocol, TypeVar

from services.eventing.traces import Spans

T = TypeVar("T")

Document = dict[str, Any]
"""A stored document; ``_id`` is always a string. Leaves ``store.py`` modules and eventing only as types."""
Where = Mapping[str, Any]
"""A filter: field (dotted for nested) to a value, or to one of ``$in $gt $gte $lt $lte $ne $exists``; all must hold.
A scalar matches an array that contains it, as in MongoDB."""
Sort = Sequence[tuple[str, int]]
"""Fields with 1 (ascending) or -1 (descending)."""


class StoreError(Exception):
    """The store refused or could not answer."""


class ConflictError(StoreError):
    """Another transaction won; the whole transaction may be tried again (the adapter has already tried a while)."""


class AlreadyExistsError(StoreError):
    """An inserted id, or a value of a unique index, exists; the transaction is aborted."""


class StoreUnavailableError(StoreError):
    """No answer in time; nothing is known to have been written. Transient."""


class CommitUnknownError(StoreError):
    """A commit was sent and its result never came: it may or may not have happened. Re-read before deciding."""


class LogError(Exception):
    """The log did not acknowledge; what was sent may or may not be in it. Transient."""


class Reads(Protocol):
    """Reads of one database: in a transaction its snapshot, else what a majority holds."""

    async def get(self, collection: str, ids: Iterable[str]) -> dict[str, Document]:
        """The documents that exist, by id. One round trip."""
        ...

    async def find(
        self,
        collection: str,
        where: Where,
        *,
        sort: Sort = (("_id", 1),),
        limit: int,
        fields: Sequence[str] | None = None,
    ) -> list[Document]:
        """At most ``limit`` documents; ``fields`` keeps only those top-level fields (and ``_id``)."""
        ...


class Transaction(Reads, Protocol):
    """Snapshot isolation, first writer wins; reads see the transaction's own writes. Round trips are one per call."""

    async def insert(self, collection: str, documents: Sequence[Document]) -> None:
        """Adds new documents. Raises ``AlreadyExistsError``."""
        ...

    async def replace(self, collection: str, documents: Sequence[Document]) -> None:
        """Writes whole documents by id, new or not."""
        ...

    async def update(self, collection: str, changes: Mapping[str, Mapping[str, Any]], *, upsert: bool = False) -> None:
        """Sets top-level fields by id (``None`` is stored as null). A missing id is an error unless upsert."""
        ...

    async def delete(self, collection: str, ids: Sequence[str]) -> None:
        """Removes documents by id; absent ones are no error. Never used on records of an append-only collection."""
        ...


class Wakeups(Protocol):
    """Hears of writes to a collection; may miss some and may wake for nothing, so callers also poll slowly."""

    async def wait(self, timeout_s: float) -> bool:
        """Returns true when something was written since the last call, false at the time-out."""
        ...


class Store(Reads, Protocol):
    """One service's document database."""

    async def transact(self, work: Callable[[Transaction], Awaitable[T]], *, owner: str | None = None) -> T:
        """Runs ``work`` in a transaction and commits with majority and journal; ``work`` may run several times.

        ``owner`` runs it in the session opened by ``take_over`` of that name. Raises what ``work`` raises (aborted),
        ``ConflictError``, ``AlreadyExistsError``, ``StoreUnavailableError`` or ``CommitUnknownError``.
        """
        ...

    async def take_over(self, owner: str) -> None:
        """Ends any transaction that an earlier holder of this owner name left open, here or in another process."""
        ...

    def wakeups(self, collection: str) -> AbstractAsyncContextManager[Wakeups]:
        """Listens to a collection for as long as the context lasts."""
        ...

    async def count(self, collection: str, where: Where) -> int:
        """How many documents there are, without reading them."""
        ...

    async def ping(self) -> None:
        """Returns if the store answers; raises ``StoreUnavailableError``."""
        ...


class Index(NamedTuple):
    """An index to exist before the process serves: ``fields`` with 1 or -1."""

    collection: str
    name: str
    fields: Sort
    unique: bool = False
    expire_after_s: int | None = None


class StoreAdmin(Protocol):
    """What a process does to its database before it serves."""

    async def prepare(self, collections: Sequence[str], indexes: Sequence[Index]) -> None:
        """Creates what is missing; safe to run from several processes at once."""
        ...


class TopicPartition(NamedTuple):
    """One partition of one topic."""

    topic: str
    partition: int


class Record(Protocol):
    """One record of the log, as any client delivers it (aiokafka's own record class satisfies this)."""

    @property
    def topic(self) -> str: ...
    @property
    def partition(self) -> int: ...
    @property
    def offset(self) -> int: ...
    @property
    def key(self) -> bytes | None: ...
    @property
    def value(self) -> bytes | None: ...
    @property
    def headers(self) -> Sequence[tuple[str, bytes]]: ...
    @property
    def timestamp(self) -> int:
        """Milliseconds since 1970 when the record was appended."""
        ...


@dataclass(frozen=True, slots=True)
class Message:
    """One record to append; headers carry ``ce_id``, ``ce_type`` and ``ce_sequence`` besides the content type."""

    topic: str
    key: bytes
    value: bytes
    headers: tuple[tuple[str, bytes], ...]


class LogWriter(Protocol):
    """Appends to the log, idempotently, acknowledged by all in-sync replicas."""

    async def append(self, messages: Sequence[Message]) -> None:
        """Appends in the given order per key; returns when all are acknowledged. ``LogError``: any may be in."""
        ...


class LogReader(Protocol):
    """A group member's view of the log, as the door needs it."""

    def assignment(self) -> frozenset[TopicPartition]:
        """What this member owns now, as far as it knows."""
        ...

    async def bounds(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, tuple[int, int]]:
        """First offset that exists and the offset after the last, per partition. Raises ``LogError``."""
        ...

    async def seek(self, positions: Mapping[TopicPartition, int]) -> None:
        """Makes these the next offsets fetched. Raises ``LogError`` if a partition is not assigned any more."""
        ...


class Clock(Protocol):
    """Tells the time, always with a zone."""

    def now(self) -> datetime: ...


class Ids(Protocol):
    """Makes ids for commands (UUIDv7: time-ordered, unique)."""

    def new(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Ports:
    """What every process gets from its surroundings: real adapters, or the simulation's fakes."""

    store: Store
    clock: Clock
    """Business time; in development it may follow the simulated clock."""
    wall: Clock
    """Real time, for leases, expiry and lag; never simulated in development."""
    ids: Ids
    rng: random.Random
    spans: Spans | None = None
    """Where finished steps of sampled traces go; none: nowhere, and nobody asks for the time it takes."""
