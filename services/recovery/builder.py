"""Builds a processor's projection from its topics beside the live one, and publishes nothing."""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from typing import Any, Final

from services.contracts.codec import MalformedEventError, decode
from services.contracts.event import Envelope
from services.contracts.operations import OPERATIONS
from services.contracts.topics import BY_NAME
from services.eventing import parking
from services.eventing.batch import BatchHandler
from services.eventing.generations import GENERATIONS, RenamedReads, RenamedStore, name_in, renamed_indexes
from services.eventing.history import History
from services.eventing.incoming import type_of
from services.eventing.observe import Observer
from services.eventing.operations import Mended
from services.eventing.outbox import OUTBOX, STREAMS, UNMARKED
from services.eventing.parking import PARKING
from services.eventing.ports import Clock, Document, Index, Reads, Store, StoreAdmin, TopicPartition, Transaction
from services.eventing.positions import POSITIONS, position_id
from services.eventing.processor import Engine
from services.recovery.compare import PAGE_DOCUMENTS, Prints, Verdict, compare, prints_of
from services.recovery.order import Causes
from services.recovery.projection import Projection
from services.recovery.replay import replay

PARKED_PER_MINUTE_MAX: Final = 50_000
"""A rebuild meets at once what was parked over years."""
ROWS_READ_MAX: Final = 10_000
PARTITIONS: Final = BY_NAME["hours.entries"].partitions

Drop = Callable[[Sequence[str]], Awaitable[None]]
"""Drops collections by their real names."""


class NotBuiltError(Exception):
    """What should be verified or swapped in does not exist."""


class Live:
    """The live projection at one instant: how far it had come, what it held, what it had not announced yet."""

    def __init__(self, ends: dict[TopicPartition, int], prints: Prints, unannounced: list[Document]) -> None:
        self.ends = ends
        self.prints = prints
        self.unannounced = unannounced


class Builder:
    """One generation of a projection while it is built. ``store`` is the live one, as its processes see it."""

    def __init__(
        self,
        projection: Projection,
        handler: BatchHandler[Any, Any],
        store: Store,
        history: History,
        *,
        generation: str,
        wall: Clock,
        observer: Observer,
    ) -> None:
        self._projection = projection
        self._handler = handler
        self._live = store
        self._history = history
        own = (*projection.collections, *projection.records, *projection.uncompared, POSITIONS, PARKING)
        self.names = {each: name_in(each, generation) for each in own}
        self.store = RenamedStore(_base(store), self.names, owners=f"~{generation}", silenced=(OUTBOX, STREAMS))
        self._mended = Mended()
        self._engine = Engine(
            handler,
            self.store,
            wall,
            observer,
            parked_per_minute_max=PARKED_PER_MINUTE_MAX,
            mended=self._mended.events,
        )
        self._operations = next((e for name, e in OPERATIONS.items() if name == handler.processor), None)
        self._operated = [0] * PARTITIONS
        self._causes = [Causes() for _ in range(PARTITIONS)]
        self._learnt = [0] * PARTITIONS

    async def begin(self, admin: StoreAdmin, indexes: Iterable[Index], drop: Drop) -> None:
        """Makes the generation's collections, empty."""
        real = list(self.names.values())
        await drop(real)
        await admin.prepare([GENERATIONS, *real], renamed_indexes((*indexes, *parking.INDEXES), self.names))

    async def resume(self) -> None:
        """Takes up a generation that was built before, by another process. Raises ``NotBuiltError``."""
        if not await self.ends_in(self.store):
            raise NotBuiltError("there is no generation to take up: run `rebuild` first")
        await self._learn(())
        for collection in self._projection.records:
            after = ""
            while page := await self.store.find(collection, {"_id": {"$gt": after}}, limit=PAGE_DOCUMENTS):
                for document in page:
                    for causes in self._causes:
                        causes.came(document["cause"])
                after = page[-1]["_id"]

    async def round(self) -> Verdict:
        """Builds on to where the live projection is now, and compares the two: exactly, whatever arrives meanwhile."""
        return await self.verdict(await self.look())

    async def verdict(self, live: Live) -> Verdict:
        """Builds on to where the live projection was when it was looked at, and compares the two."""
        disordered = await self.follow(live)
        return compare(live.prints, await self._prints(self.store), disordered)

    async def look(self) -> Live:
        """The live projection, all of it of one instant."""

        async def work(tx: Transaction) -> Live:
            ends = await self.ends_in(tx)
            rows = await tx.find(OUTBOX, {"state": UNMARKED}, sort=(("created_at", 1),), limit=ROWS_READ_MAX)
            return Live(ends, await prints_of(tx, self._projection), rows)

        return await self._live.transact(work)

    @property
    def partitions(self) -> list[TopicPartition]:
        """All partitions of the topics that the projection is built from."""
        return [TopicPartition(topic, n) for topic in self._handler.topics for n in range(PARTITIONS)]

    @property
    def processor(self) -> str:
        """The name of the processor whose projection this is."""
        return self._handler.processor

    def live_name(self, collection: str) -> str:
        """What a live collection is really called."""
        return self._live.name(collection) if isinstance(self._live, RenamedStore) else collection

    def live_reads(self, base: Reads) -> Reads:
        """Reads by real names as the live processes do."""
        return RenamedReads(base, self._live.names) if isinstance(self._live, RenamedStore) else base

    async def ends_in(self, tx: Reads) -> dict[TopicPartition, int]:
        """How far the live projection has come."""
        every = self.partitions
        found = await tx.get(POSITIONS, [position_id(self._handler.processor, each) for each in every])
        return {
            each: found[name]["next"] for each in every if (name := position_id(self._handler.processor, each)) in found
        }

    async def follow(self, live: Live) -> int:
        """Applies what the live projection has applied; returns how many events came out of their turn."""
        await self._learn(live.unannounced)
        await self._learn_what_was_mended()
        disordered = 0
        for number in range(PARTITIONS):
            partitions = [TopicPartition(topic, number) for topic in self._handler.topics]
            disordered += await replay(self._engine, self._history, partitions, live.ends, self._causes[number])
        return disordered

    async def _learn(self, unannounced: Sequence[Document]) -> None:
        own = self._projection.own_topic
        if own is None:
            return
        ends = await self._history.ends([own])
        for number in range(PARTITIONS):
            partition = TopicPartition(own, number)
            async for records in self._history.read(partition, self._learnt[number], ends[partition]):
                for record in records:
                    self._name(self._causes[number], type_of(record), record.value or b"")
            self._learnt[number] = ends[partition]
        events = [event for row in unannounced for event in row["events"] if event["topic"] == own]
        # What is not on the topic yet says nothing of its partition; a cause is in one only, so all may learn it.
        for event in sorted(events, key=lambda event: (event["key"], event["sequence"])):
            for causes in self._causes:
                self._name(causes, event["type"], event["value"])

    async def _learn_what_was_mended(self) -> None:
        """Reads what operators repaired and discarded, before the records that it was about."""
        if self._operations is None:
            return
        executed, topic = self._operations.executed, self._operations.topic
        ends = await self._history.ends([topic])
        for number in range(PARTITIONS):
            partition = TopicPartition(topic, number)
            async for records in self._history.read(partition, self._operated[number], ends.get(partition, 0)):
                for record in records:
                    if type_of(record) == executed.TYPE:
                        # What cannot be read was written by nobody of ours, and no processor has acted on it.
                        with suppress(MalformedEventError):
                            self._mended.learn(decode(executed.TYPE, record.value or b"").data)
            self._operated[number] = ends.get(partition, 0)

    def _name(self, causes: Causes, event_type: str, value: bytes) -> None:
        envelope: Envelope[Any] = decode(event_type, value)
        causes.learn(self._projection.causes_of(envelope))

    async def _prints(self, store: Store) -> Prints:
        async def work(tx: Transaction) -> Prints:
            return await prints_of(tx, self._projection)

        return await store.transact(work)


def _base(store: Store) -> Store:
    """The store with its real names: a generation's names are put over those, never over another generation's."""
    return store.inner if isinstance(store, RenamedStore) else store
