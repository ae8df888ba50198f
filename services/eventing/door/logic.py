"""Decides what reaches the engine: the expected record of an owned partition, once, or the process stops."""

import asyncio
import logging
import random
from collections.abc import Collection, Coroutine, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from services.eventing.incoming import id_of
from services.eventing.observe import Observer
from services.eventing.ports import (
    Clock,
    CommitUnknownError,
    ConflictError,
    LogError,
    LogReader,
    Record,
    StoreUnavailableError,
    TopicPartition,
)
from services.eventing.positions import Position, PositionMoved
from services.eventing.processor import Engine

BATCH_RECORDS_MAX = 1_000
BATCH_BYTES_MAX = 4 << 20
"""Bytes of values in one transaction."""
FINISH_WITHIN_S = 2.5
"""On revocation and stop: how long the batches in flight may take before they are abandoned."""
ABANDON_WITHIN_S = 0.5
BACKOFF_FIRST_S = 0.1
BACKOFF_MAX_S = 5.0
TRANSIENT = (ConflictError, StoreUnavailableError, CommitUnknownError, LogError)
"""What passes by itself: back off, read the position again, go on from there."""

_LOG = logging.getLogger(__name__)


class LogTruncatedError(Exception):
    """The log does not reach the stored position: what was not applied is gone, or what was. Stops the process."""


class LogReplacedError(Exception):
    """Another record stands where the last applied one stood: the topic was made anew. Stops the process."""


class LogGapError(Exception):
    """The log has no record at an offset it should have, twice. Stops the process."""


@dataclass(slots=True, eq=False)
class Owned:
    """One assignment of one partition; a new assignment makes a new one, so that late results find theirs gone."""

    position: Position
    proof_due: bool
    """Whether the next record to come is the last applied one, to be compared before anything is applied."""
    gap_at: int | None = None
    """The position at which a record was missing once already."""
    waits_since: datetime | None = None
    """When the first record that is known and not applied was appended."""

    @property
    def fetch_from(self) -> int:
        """The offset of the next record that must come from the log."""
        return self.position.next - 1 if self.proof_due else self.position.next


class Door:
    """One group member's door. Any exception out of it must stop the process.

    The adapter calls ``assigned`` after each rebalance, then ``receive`` with what it fetched, again and again, one
    call at a time; and ``finish`` before each rebalance and at the end, at any time.
    """

    def __init__(
        self,
        engine: Engine[Any, Any],
        reader: LogReader,
        wall: Clock,
        rng: random.Random,
        observer: Observer,
        *,
        lanes: int = 1,
        batch_records_max: int = BATCH_RECORDS_MAX,
    ) -> None:
        self._engine = engine
        self._reader = reader
        self._wall = wall
        self._rng = rng
        self._observer = observer
        self._lanes = lanes
        self._batch_records_max = batch_records_max
        self._owned: dict[TopicPartition, Owned] = {}
        self._uncommitted: dict[TopicPartition, int] = {}
        self._work: asyncio.Task[None] | None = None
        self._finishing = False
        self._assignment = 0
        """Counts assignments and their ends: work that outlives a cancellation finds that its time is over."""

    # what the adapter asks

    @property
    def owned(self) -> frozenset[TopicPartition]:
        """The partitions whose positions this door holds."""
        return frozenset(self._owned)

    def next_offset(self, partition: TopicPartition) -> int | None:
        """The offset to be applied next, if the partition is owned."""
        owned = self._owned.get(partition)
        return None if owned is None else owned.position.next

    def uncommitted(self) -> dict[TopicPartition, int]:
        """Positions that the log's own group offsets do not show yet; the caller has them from here on."""
        taken, self._uncommitted = self._uncommitted, {}
        return taken

    def not_committed(self, offsets: Mapping[TopicPartition, int]) -> None:
        """Takes back what could not be committed, unless something newer is there."""
        self._uncommitted = {**offsets, **self._uncommitted}

    def report_lag(self, ends: Mapping[TopicPartition, int]) -> None:
        """Tells the observer how far behind the log's ends the owned partitions are."""
        now = self._wall.now()
        for partition, owned in self._owned.items():
            records = max(0, ends.get(partition, owned.position.next) - owned.position.next)
            if records == 0:
                owned.waits_since = None
            elif owned.waits_since is None:
                owned.waits_since = now
            waits = 0.0 if owned.waits_since is None else (now - owned.waits_since).total_seconds()
            self._observer.lag(partition, records, max(0.0, waits))

    # what the adapter tells

    async def assigned(self, partitions: Collection[TopicPartition]) -> None:
        """Takes these partitions over, and only these: ends earlier owners' transactions, reads positions, seeks."""
        self._finishing = False
        self._assignment += 1
        self._owned.clear()
        wanted = [each for each in sorted(partitions) if each.topic in self._engine.topics]
        if len({numbers_of(topic, wanted) for topic in self._engine.topics}) > 1:
            # No harm to what is stored. It passes with a rolling release that adds a topic; otherwise one is missing.
            _LOG.warning("not the same partition numbers of all topics: %s", ", ".join(self._engine.topics))
        await self._run(self._take_all(wanted, self._assignment))

    async def receive(self, batches: Mapping[TopicPartition, Sequence[Record]]) -> None:
        """Applies fetched lists, each of one partition in order. Returns when all are applied or will come again."""
        if self._finishing:
            return
        await self._run(self._receive_all(batches))

    async def finish(self, within_s: float = FINISH_WITHIN_S) -> None:
        """Lets the batches in flight end, or abandons them after ``within_s``; then owns nothing."""
        self._finishing = True
        self._assignment += 1
        work, self._work = self._work, None
        if work is not None:
            _, late = await asyncio.wait({work}, timeout=within_s)
            self._let_go()
            if late:
                _LOG.warning("a batch was abandoned after %.1f s", within_s)
                work.cancel()
                await asyncio.wait({work}, timeout=ABANDON_WITHIN_S)
            elif not work.cancelled():
                work.result()
        self._let_go()

    def _let_go(self) -> None:
        for partition in self._owned:
            self._observer.lag(partition, 0, 0.0)  # the next owner tells; a last value that stayed would be told twice
        self._owned.clear()

    async def _run(self, work: Coroutine[Any, Any, None]) -> None:
        """Runs work as a task of its own: cancelling the caller leaves it to ``finish``, which gives it time to end."""
        assert self._work is None
        task = self._work = asyncio.ensure_future(work)
        await asyncio.wait({task})
        if self._work is task:
            self._work = None
        if not task.cancelled():
            task.result()

    # assignment

    async def _take_all(self, partitions: Sequence[TopicPartition], assignment: int) -> None:
        for delay_s in self._delays():
            try:
                return await self._take(partitions, assignment)
            except TRANSIENT as error:
                _LOG.warning("taking partitions over failed, again in %.1f s: %s", delay_s, type(error).__name__)
            await asyncio.sleep(delay_s)
            if assignment != self._assignment or not self._reader.assignment().issuperset(partitions):
                return None  # the next assignment decides
        return None

    async def _take(self, partitions: Sequence[TopicPartition], assignment: int) -> None:
        await self._engine.take_over(partitions)
        positions = await self._engine.positions(partitions)
        if new := [each for each in partitions if each not in positions]:
            firsts = await self._reader.bounds(new)
            await self._engine.create({each: firsts[each][0] for each in new})
            positions = await self._engine.positions(partitions)  # another member may have been first
        bounds = await self._reader.bounds(partitions)  # after the positions: the log grows, and others advance with it
        owned = {each: owned_from(each, positions[each], bounds[each]) for each in partitions}
        if assignment != self._assignment:
            return
        await self._reader.seek({each: one.fetch_from for each, one in owned.items()})
        if assignment != self._assignment:
            return
        self._owned = owned
        self._uncommitted |= {each: one.position.next for each, one in owned.items()}

    # records

    async def _receive_all(self, batches: Mapping[TopicPartition, Sequence[Record]]) -> None:
        groups: dict[int, list[TopicPartition]] = {}
        for partition in batches:  # equal numbers share keys: one lane, or they would only conflict
            groups.setdefault(partition.partition, []).append(partition)
        todo = iter(list(groups.values()))
        lanes = min(self._lanes, len(groups))
        if lanes == 1:
            await self._lane(todo, batches)
        else:
            await asyncio.gather(*(self._lane(todo, batches) for _ in range(lanes)))

    async def _lane(
        self, todo: Iterator[Sequence[TopicPartition]], batches: Mapping[TopicPartition, Sequence[Record]]
    ) -> None:
        for group in todo:
            for partition in group:
                await self._receive_one(partition, batches[partition])

    async def _receive_one(self, partition: TopicPartition, fetched: Sequence[Record]) -> None:
        owned = self._owned.get(partition)
        if owned is None or not fetched:
            return
        expected = await self._expected(partition, owned, fetched)
        for part in cut(expected, self._batch_records_max) if expected else ():
            if self._finishing or not await self._apply(partition, owned, part):
                return

    async def _expected(self, partition: TopicPartition, owned: Owned, fetched: Sequence[Record]) -> Sequence[Record]:
        """The part of a list that begins with the expected record and has no hole; nothing if the fetch was moved."""
        want = owned.position.next
        below = number_below(fetched, want)
        rest = fetched[below:]
        if below and fetched[below - 1].offset == want - 1:
            prove(partition, owned.position, fetched[below - 1])
            owned.proof_due = False
        elif not rest:
            # From before a seek, or the log ends below our position and the client began anew without a word.
            await self._seek_again(partition, owned)
            return ()
        if not rest:
            return ()
        if owned.proof_due or rest[0].offset > want:
            return await self._miss(partition, owned)
        owned.waits_since = datetime.fromtimestamp(rest[0].timestamp / 1000, UTC)
        return rest[: length_without_hole(rest)]

    async def _miss(self, partition: TopicPartition, owned: Owned) -> Sequence[Record]:
        """A record that must exist did not come: once is ours to repair, twice at one place is a gap."""
        first_time = owned.gap_at != owned.position.next
        owned.gap_at = owned.position.next
        await self._seek_again(partition, owned)
        if not first_time:
            where = f"{partition.topic}|{partition.partition}"
            raise LogGapError(f"no record at offset {owned.fetch_from} of {where}")
        return ()

    async def _apply(self, partition: TopicPartition, owned: Owned, records: Sequence[Record]) -> bool:
        """Applies records that begin at the position. False: what follows them in hand is not to be applied."""
        for delay_s in self._delays():
            try:
                position = await self._engine.apply(partition, owned.position, records)
            except PositionMoved:
                self._observer.position_moved(partition)
                await self._go_on_from_stored(partition, owned)
                return False
            except TRANSIENT as error:
                _LOG.warning("a batch failed, again in %.1f s: %s", delay_s, type(error).__name__)
                self._observer.retried("batch", type(error).__name__)
                await asyncio.sleep(delay_s)
                if await self._stored(partition, owned) != owned.position:
                    await self._go_on_from_stored(partition, owned)
                    return False
                if not self._holds(partition, owned):
                    return False
            else:
                return self._advance(partition, owned, position)
        return False

    def _advance(self, partition: TopicPartition, owned: Owned, position: Position) -> bool:
        if self._owned.get(partition) is not owned:
            return False  # assigned anew meanwhile: that assignment has read the position itself
        owned.position = position
        owned.gap_at = None
        self._uncommitted[partition] = position.next
        return True

    async def _go_on_from_stored(self, partition: TopicPartition, owned: Owned) -> None:
        """Takes the stored position if the partition is still ours, and has the log begin there."""
        stored = await self._stored(partition, owned)
        if stored is not None and self._advance(partition, owned, stored):
            await self._seek_again(partition, owned)

    async def _stored(self, partition: TopicPartition, owned: Owned) -> Position | None:
        """The stored position; nothing once the partition is not ours any more."""
        for delay_s in self._delays():
            if not self._holds(partition, owned):
                return None
            try:
                return (await self._engine.positions((partition,)))[partition]
            except TRANSIENT:
                await asyncio.sleep(delay_s)
        return None

    async def _seek_again(self, partition: TopicPartition, owned: Owned) -> None:
        """Has the log begin at the position again. Raises ``LogTruncatedError`` where the log does not reach it."""
        for delay_s in self._delays():
            if not self._holds(partition, owned):
                return
            try:
                bounds = await self._reader.bounds((partition,))
                owned.proof_due = owned_from(partition, owned.position, bounds[partition]).proof_due
                await self._reader.seek({partition: owned.fetch_from})
            except LogError:
                await asyncio.sleep(delay_s)
            else:
                return

    def _holds(self, partition: TopicPartition, owned: Owned) -> bool:
        mine = self._owned.get(partition) is owned and not self._finishing
        return mine and partition in self._reader.assignment()

    def _delays(self) -> Iterator[float]:
        """Pauses between tries, without end: doubling, with up to half taken off at random."""
        delay_s = BACKOFF_FIRST_S
        while True:
            yield delay_s * self._rng.uniform(0.5, 1.0)
            delay_s = min(2 * delay_s, BACKOFF_MAX_S)


def numbers_of(topic: str, partitions: Iterable[TopicPartition]) -> frozenset[int]:
    """The partition numbers of one topic."""
    return frozenset(each.partition for each in partitions if each.topic == topic)


def owned_from(partition: TopicPartition, position: Position, bounds: tuple[int, int]) -> Owned:
    """What an assignment begins with. ``bounds``: the first offset that exists and the one after the last.

    Raises ``LogTruncatedError`` if what is to be applied next, or something before it, cannot be in the log.
    """
    first, end = bounds
    if not first <= position.next <= end:
        where = f"{partition.topic}|{partition.partition}"
        raise LogTruncatedError(f"{where} holds {first} to {end}, the position is {position.next}")
    return Owned(position, proof_due=position.last_id is not None and position.next > first)


def prove(partition: TopicPartition, position: Position, record: Record) -> None:
    """Compares the record before the position with the last applied event. Raises ``LogReplacedError``."""
    if position.last_id is not None and id_of(record) != position.last_id:
        where = f"{partition.topic}|{partition.partition}"
        raise LogReplacedError(f"another event than the applied one at offset {record.offset} of {where}")


def number_below(records: Sequence[Record], offset: int) -> int:
    """How many records of a list in order lie below an offset."""
    if records[0].offset >= offset:
        return 0
    return sum(record.offset < offset for record in records)


def length_without_hole(records: Sequence[Record]) -> int:
    """How many records follow each other offset by offset from the first."""
    if not records or records[-1].offset - records[0].offset == len(records) - 1:
        return len(records)
    first = records[0].offset
    return next(i for i, record in enumerate(records) if record.offset != first + i)


def cut(records: Sequence[Record], records_max: int, bytes_max: int = BATCH_BYTES_MAX) -> Iterable[Sequence[Record]]:
    """The list in parts of at most so many records and bytes of values; a larger single record is a part of its own."""
    if len(records) <= records_max and sum(len(record.value or b"") for record in records) <= bytes_max:
        yield records
        return
    start, size = 0, 0
    for i, record in enumerate(records):
        bytes_ = len(record.value or b"")
        if i > start and (i - start == records_max or size + bytes_ > bytes_max):
            yield records[start:i]
            start, size = i, 0
        size += bytes_
    yield records[start:]
