"""Applies a batch of one partition in one transaction: projections, facts, sequences and position, or nothing."""

import asyncio
import traceback
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from functools import partial
from pathlib import PurePath
from typing import Any, Generic, TypeVar

import msgspec

from services.contracts.event import Envelope
from services.contracts.operations import Operations
from services.eventing import operations, parking, positions
from services.eventing.batch import BatchHandler, Origin, Saved
from services.eventing.facts import Fact
from services.eventing.inbox import Inboxes, after_operation, sent_by
from services.eventing.incoming import Flaw, Incoming, IncomingReader
from services.eventing.observe import Observer
from services.eventing.operations import RECEIVED, Operator
from services.eventing.outbox import OUTBOX, STREAMS, head_documents, load_heads, pairs_of, stage
from services.eventing.parking import PARKED_PER_MINUTE_MAX, PARKING, Pace, Waiting
from services.eventing.ports import Clock, Document, Record, Store, TopicPartition, Transaction
from services.eventing.positions import POSITIONS, Position
from services.eventing.traces import Span, Spans, sampled, step_name, step_of

S = TypeVar("S")
C = TypeVar("C")

COLLECTIONS = (POSITIONS, PARKING, *operations.COLLECTIONS)
"""What a processor needs besides its handler's collections and the outbox's."""
INDEXES = (*parking.INDEXES, *operations.INDEXES)


class Batch(msgspec.Struct, frozen=True, gc=False):
    """One batch on its way through the engine: what was read outside the transaction, and where it starts and ends."""

    partition: TopicPartition
    position_id: str
    start: Position
    end: Position
    incoming: list[Incoming]
    keys: list[str]


class Done(msgspec.Struct, frozen=True, gc=False):
    """What one transaction did."""

    applied: int
    duplicates: int
    ignored: int
    waiting: list[Waiting]

    @property
    def flawed(self) -> int:
        """Records parked for a flaw of their own, not for an earlier one's."""
        return sum(each.reason != "behind" for each in self.waiting)


class Engine(Generic[S, C]):
    """Turns batches into transactions of one handler. Whatever it raises that is not a store's ``ConflictError``,
    ``StoreUnavailableError`` or ``CommitUnknownError`` or a ``PositionMoved`` must stop the process.
    """

    def __init__(
        self,
        handler: BatchHandler[S, C],
        store: Store,
        wall: Clock,
        observer: Observer,
        *,
        parked_per_minute_max: int = PARKED_PER_MINUTE_MAX,
        operators: Operations | None = None,
        mended: Mapping[str, Envelope[Any] | None] | None = None,
        spans: Spans | None = None,
    ) -> None:
        self.processor = handler.processor
        self.topics = handler.topics if operators is None else (*handler.topics, operators.topic)
        self._handler = handler
        self._store = store
        self._wall = wall
        self._observer = observer
        self._spans = spans
        uses = handler.uses if operators is None else handler.uses | {operators.requested}
        self._incoming = IncomingReader(uses, mended)
        self._operator = operators and Operator(self.processor, operators, self._incoming, self._handle, self._minutes)
        self._pace = Pace(parked_per_minute_max)
        self._parked_per_minute_max = parked_per_minute_max

    async def take_over(self, partitions: Collection[TopicPartition]) -> None:
        """Ends what earlier owners of these partitions left open in the store, and learns what was parked just now."""
        for partition in partitions:
            await self._store.take_over(positions.position_id(self.processor, partition))
        limit = self._parked_per_minute_max + 1
        self._pace.restore(await parking.recent_times(self._store, self.processor, self._wall.now(), limit))

    async def positions(self, partitions: Collection[TopicPartition]) -> dict[TopicPartition, Position]:
        """The stored positions that exist."""
        return await positions.load(self._store, self.processor, partitions)

    async def create(self, firsts: Mapping[TopicPartition, int]) -> None:
        """Begins partitions at these offsets unless they have begun."""
        await positions.create(self._store, self.processor, firsts)

    async def apply(self, partition: TopicPartition, start: Position, records: Sequence[Record]) -> Position:
        """Applies consecutive records that begin at ``start.next``; returns the position after them.

        Raises ``PositionMoved`` if the stored position is not ``start``, the store's transient errors (nothing is known
        to be written, but for ``CommitUnknownError``), and errors that must stop the process.
        """
        assert records[0].offset == start.next
        assert records[-1].offset == start.next + len(records) - 1
        if self._operator is not None and partition.topic == self._operator.events.topic:
            for record in records:  # a redrive alone may be as large as a batch
                start = await self._apply(partition, start, [record], partial(self._operation, operator=self._operator))
            return start
        return await self._apply(partition, start, records, self._transaction)

    async def _apply(
        self,
        partition: TopicPartition,
        start: Position,
        records: Sequence[Record],
        work: Callable[..., Awaitable[Done]],
    ) -> Position:
        clock = asyncio.get_running_loop().time
        began = clock()
        batch = self._batch(partition, start, records)
        done = await self._store.transact(partial(work, batch=batch), owner=batch.position_id)
        seconds = clock() - began
        self._tell(batch, done, seconds)
        if self._spans is not None:
            self._trace(self._spans, batch, seconds)
        return batch.end

    def _batch(self, partition: TopicPartition, start: Position, records: Sequence[Record]) -> Batch:
        incoming = self._incoming.read(records)
        keys = list(dict.fromkeys([each.key for each in incoming]))
        end = Position(records[-1].offset + 1, incoming[-1].event_id, records[-1].offset)
        return Batch(partition, positions.position_id(self.processor, partition), start, end, incoming, keys)

    async def _transaction(self, tx: Transaction, *, batch: Batch) -> Done:
        await positions.expect(tx, batch.position_id, batch.start)
        collection = self._handler.key_collection(batch.partition.topic)
        documents = await tx.get(collection, batch.keys)
        inboxes = Inboxes(batch.partition.topic, documents)
        fresh = inboxes.take(batch.incoming)
        usable, waiting, ignored = self._sort(fresh, inboxes.parked)
        saved = await self._handle(tx, batch.partition, usable, documents, waiting) if usable else Saved()
        done = Done(len(fresh) - ignored - len(waiting), len(batch.incoming) - len(fresh), ignored, waiting)
        if waiting:
            await self._park(tx, collection, done)
            inboxes.parked.update(each.incoming.key for each in waiting)
        touched = dict.fromkeys([each.key for each in fresh])
        assert saved.documents.keys() <= touched.keys()
        sent = await self._announce(tx, batch, saved.facts, inboxes.sent) if saved.facts else {}
        assert sent.keys() <= touched.keys()
        if touched:
            await tx.replace(collection, inboxes.documents(touched, saved.documents, sent))
        await positions.advance(tx, batch.position_id, batch.end)
        return done

    async def _operation(self, tx: Transaction, *, batch: Batch, operator: Operator) -> Done:
        """The transaction of one record of the operations topic: what operators ask, and what came of it, ours too."""
        await positions.expect(tx, batch.position_id, batch.start)
        inboxes = Inboxes(batch.partition.topic, await tx.get(RECEIVED, batch.keys))
        fresh = inboxes.take(batch.incoming)
        done = Done(0, len(batch.incoming) - len(fresh), 0, [])
        for each in fresh:
            content = each.content
            if content is None:
                done = Done(0, 0, 1, [])
            elif isinstance(content, Flaw):
                # It waits for itself alone: no later request depends on it, and each must be free to pass.
                done = Done(0, 0, 0, [Waiting(each, content.reason, content.path, 0)])
                now = self._wall.now()
                self._pace.check(now, done.flawed)
                await parking.park(tx, parking.operations_of(self.processor), RECEIVED, done.waiting, now)
            else:
                await self._operate(tx, batch, content, operator)
                done = Done(1, 0, 0, [])
        if fresh:
            await tx.replace(RECEIVED, inboxes.documents(batch.keys, {}, {}))
        await positions.advance(tx, batch.position_id, batch.end)
        return done

    async def _operate(self, tx: Transaction, batch: Batch, request: Envelope[Any], operator: Operator) -> None:
        key = request.data.parked_key
        outcome = await operator.execute(tx, request)
        document = outcome.document or {}

        def sent_before(of: str, topic: str) -> int:
            assert of == key
            return sent_by(document, topic)

        sent = await self._announce(tx, batch, outcome.facts, sent_before)
        assert sent.keys() <= {key}
        if document:
            after = after_operation(document, sent.get(key, {}), parked=outcome.remaining > 0)
            await tx.replace(outcome.collection, [after])

    def _sort(self, fresh: Sequence[Incoming], parked: Collection[str]) -> tuple[list[Incoming], list[Waiting], int]:
        """Splits new records into those to decide, those that must wait, and the number that is of no use."""
        blocked = set(parked)
        usable: list[Incoming] = []
        waiting: list[Waiting] = []
        ignored = 0
        for each in fresh:  # hot
            content = each.content
            if content is None:
                ignored += 1
            elif isinstance(content, Flaw):
                blocked.add(each.key)
                waiting.append(Waiting(each, content.reason, content.path, 0))
            elif each.key in blocked:
                waiting.append(Waiting(each, "behind", None, self._minutes(content)))
            else:
                usable.append(each)
        return usable, waiting, ignored

    async def _handle(
        self,
        tx: Transaction,
        partition: TopicPartition,
        usable: Sequence[Incoming],
        documents: Mapping[str, Document],
        waiting: list[Waiting],
    ) -> Saved:
        """Loads, decides and saves; what cannot be decided joins ``waiting``."""
        origin = Origin(*partition, usable[0].record.offset)
        envelopes: list[Envelope[Any]] = [each.content for each in usable]  # type: ignore[misc]  # _sort saw to that
        state = await self._handler.load(tx, origin, envelopes, documents)
        self._decide(state, partition, usable, waiting)
        return await self._handler.save(tx, state)

    def _decide(self, state: S, partition: TopicPartition, usable: Sequence[Incoming], waiting: list[Waiting]) -> None:
        decide, apply = self._handler.decide, self._handler.apply
        topic, number = partition
        failed: set[str] = set()
        for each in usable:  # hot
            envelope: Envelope[Any] = each.content  # type: ignore[assignment]  # _sort saw to that
            if each.key in failed:
                waiting.append(Waiting(each, "behind", None, self._minutes(envelope)))
                continue
            try:
                change = decide(state, envelope, Origin(topic, number, each.record.offset))
            except Exception as error:  # noqa: BLE001  # whatever a pure decision raises, this record makes it raise again
                failed.add(each.key)
                waiting.append(Waiting(each, "decision_failed", _place_of(error), self._minutes(envelope)))
                continue
            apply(state, change)

    def _minutes(self, envelope: Envelope[Any]) -> int:
        """Minutes at stake; 0 where an event that is being parked cannot even be asked for them."""
        try:
            return self._handler.minutes_at_stake(envelope)
        except Exception:  # noqa: BLE001  # only a metric: parking must not fail on the very flaw that it parks
            return 0

    async def _park(self, tx: Transaction, collection: str, done: Done) -> None:
        now = self._wall.now()
        self._pace.check(now, done.flawed)
        await parking.park(tx, self.processor, collection, done.waiting, now)

    async def _announce(
        self, tx: Transaction, batch: Batch, facts: Sequence[Fact], sent: Callable[[str, str], int]
    ) -> dict[str, dict[str, int]]:
        """Writes the outbox document; returns what is counted in key documents: ``{key: {topic: sequence}}``.

        ``sent`` tells the last sequence that a key's document counts for a topic.
        """
        counted = self._handler.counters_in_key
        pairs = pairs_of(facts)
        heads = {(topic, key): sent(key, topic) for topic, key in pairs if topic in counted}
        if elsewhere := [pair for pair in pairs if pair[0] not in counted]:
            heads |= await load_heads(tx, elsewhere)
        row_id = f"{batch.position_id}|{batch.start.next}"
        await tx.insert(OUTBOX, [stage(facts, heads, row_id=row_id, at=self._wall.now())])
        if elsewhere:
            await tx.replace(STREAMS, head_documents({pair: heads[pair] for pair in elsewhere}))
        counts: dict[str, dict[str, int]] = {}
        for (topic, key), sequence in heads.items():
            if topic in counted:
                counts.setdefault(key, {})[topic] = sequence
        return counts

    def _trace(self, spans: Spans, batch: Batch, seconds: float) -> None:
        """A step for each event whose trace is sampled: a batch holds many traces, and most of them are not."""
        topic, partition = batch.partition
        ended_at = self._wall.now()
        for each in batch.incoming:
            if not isinstance(each.content, Envelope):
                continue
            came_with = each.content.traceparent
            step = sampled(step_of(came_with, step_name(self.processor, each.event_id)))
            if step is not None:
                attributes: dict[str, str | int] = {
                    "messaging.destination.name": topic,
                    "messaging.destination.partition.id": str(partition),
                    "messaging.kafka.offset": each.record.offset,
                    "messaging.batch.message_count": len(batch.incoming),
                    "cloudevents.event_type": each.content.type,
                }
                name = f"process {each.content.type}"
                spans.record(Span(name, "consumer", step, came_with, ended_at, seconds, attributes))

    def _tell(self, batch: Batch, done: Done, seconds: float) -> None:
        observer, partition = self._observer, batch.partition
        observer.batch_committed(partition, records=len(batch.incoming), applied=done.applied, seconds=seconds)
        if done.duplicates:
            observer.duplicates_absorbed(partition, done.duplicates)
        if done.ignored:
            observer.events_ignored(partition, done.ignored)
        if done.waiting:
            self._pace.count(self._wall.now(), done.flawed)
            for each in done.waiting:
                observer.record_parked(partition, each.reason)


def _place_of(error: Exception) -> str:
    """What was raised and where; not the message, which may hold a value."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__qualname__} at {PurePath(frame.filename).name}:{frame.lineno} in {frame.name}"
