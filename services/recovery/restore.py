"""Brings a service's database back: the backup, what its own topics hold beyond it, and nobody who was erased."""

from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeVar

from pymongo import AsyncMongoClient

from services.contracts.event import Envelope
from services.contracts.topics import TOPICS
from services.eventing.batch import BatchHandler
from services.eventing.generations import RenamedStore, RenamedTransaction
from services.eventing.history import History
from services.eventing.inbox import INBOX
from services.eventing.observe import Observer
from services.eventing.outbox import MARKED, OUTBOX, STREAMS, UNMARKED
from services.eventing.ports import Clock, Document, Store, TopicPartition, Transaction
from services.eventing.processor import Engine
from services.eventing.relay.lease import CHANGES, FENCES, LEASE, RELAY_ID
from services.eventing.times import from_text, to_text
from services.recovery import erased, files
from services.recovery.builder import PARKED_PER_MINUTE_MAX, PARTITIONS
from services.recovery.files import Manifest
from services.recovery.order import Causes
from services.recovery.patience import drop
from services.recovery.recovery import Recovery
from services.recovery.replay import replay
from services.recovery.tail import KEYS_A_READ, PAGE_ROWS, Tail, TailBrokenError, TailEvent, begins_at, read_tail
from services.runtime.mongo_commands import DURABLE
from services.runtime.schema import RESTORING, SCHEMA, SCHEMA_ID, SCHEMA_VERSION
from services.runtime.service import Service
from services.runtime.vault import KEY_VAULT

T = TypeVar("T")

INSERT_DOCUMENTS: Final = 1_000
EVENTS_A_TRANSACTION: Final = 100
EPOCH_JUMP: Final = 100_000
"""Above any epoch that the lost database may have reached: cursors of what was lost are told so."""


class RestoreRefusedError(Exception):
    """Why nothing was touched."""


class Restored(NamedTuple):
    """What a restore did."""

    documents: int
    erased_kept_out: int
    taken_back: int
    """Events of own topics that the backup lacked."""
    decided_again: int
    """Of those, what came back by deciding inputs again."""


class Place(NamedTuple):
    """Which database a restore writes, and from which folders."""

    client: AsyncMongoClient[Document]
    database: str
    data: Path
    keys: Path
    keys_dir: Path


def check(place: Place, service: str) -> Manifest:
    """Reads both folders whole before anything is touched. Raises ``BackupBrokenError``, ``RestoreRefusedError``."""
    manifest, keys = files.verify(place.data), files.verify(place.keys)
    if manifest.service != service or keys.taken_at != manifest.taken_at:
        raise RestoreRefusedError(f"{place.data} and {place.keys} are not one backup of {service}")
    if manifest.schema_version != SCHEMA_VERSION:
        raise RestoreRefusedError(
            f"{place.data}: schema {manifest.schema_version}, this release has {SCHEMA_VERSION}: restore it with the "
            "release that took it"
        )
    return manifest


async def refuse_if_used(place: Place, wall: Clock, *, replace: bool) -> None:
    """Raises ``RestoreRefusedError`` if the service still runs, or if there is something to lose."""
    database = place.client[place.database]
    lease = await database[LEASE].find_one({"_id": RELAY_ID})
    if lease is not None and from_text(lease["until"]) > wall.now():
        raise RestoreRefusedError("the service's relay runs: stop its api, processor and relay, then restore")
    mark = await database[SCHEMA].find_one({"_id": SCHEMA_ID})
    begun = mark is not None and RESTORING in mark
    if not replace and not begun and await database.list_collection_names():
        raise RestoreRefusedError("the database is not empty: to replace all of it, add --replace")


async def load_backup(place: Place) -> tuple[int, int]:
    """Puts the backup's documents in place of whatever was there; returns how many, and how many keys were left out.

    Until ``open_again`` no process of the service starts on this database.
    """
    database = place.client.get_database(place.database, write_concern=DURABLE)
    for name in await database.list_collection_names():
        if name != SCHEMA:
            await drop(database, name)
    mark = {"_id": SCHEMA_ID, "version": SCHEMA_VERSION, RESTORING: True}
    await database[SCHEMA].replace_one({"_id": SCHEMA_ID}, mark, upsert=True)
    gone = erased.read_erased(place.keys_dir)
    documents = left_out = 0
    for folder in (place.data, place.keys):
        for name in sorted(files.read_manifest(folder).collections):
            if name == SCHEMA:
                continue
            found = files.documents_in(folder, name)
            for some in _chunks(found):
                kept = [each for each in some if name != KEY_VAULT or erased.person_of(each) not in gone]
                left_out += len(some) - len(kept)
                documents += len(kept)
                if kept:
                    await database[name].insert_many(kept, ordered=False)
    return documents, left_out


def _chunks(documents: Iterable[Document]) -> Iterator[list[Document]]:
    some: list[Document] = []
    for document in documents:
        some.append(document)
        if len(some) == INSERT_DOCUMENTS:
            yield some
            some = []
    if some:
        yield some


async def open_again(place: Place, service: str, wall: Clock) -> None:
    """Lets the service's processes start."""
    database = place.client.get_database(place.database, write_concern=DURABLE)
    erased.note_restored(place.keys_dir, service, wall.now())
    await database[SCHEMA].replace_one({"_id": SCHEMA_ID}, {"_id": SCHEMA_ID, "version": SCHEMA_VERSION}, upsert=True)


class TakenBack:
    """Takes back what own topics hold beyond a backup that was loaded. Publishes nothing; what it writes of facts is
    marked as published, but for what no topic holds.
    """

    def __init__(
        self,
        service: Service[Any],
        recovery: Recovery,
        store: Store,
        history: History,
        *,
        wall: Clock,
        observer: Observer,
    ) -> None:
        self._service = service
        self._recovery = recovery
        self._store = store
        self._history = history
        self._wall = wall
        self._observer = observer
        self._handler: BatchHandler[Any, Any] = service.build_handler()
        self._counted = self._handler.counters_in_key
        self._to_number: dict[str, int] = {}

    async def run(self, manifest: Manifest) -> tuple[int, int]:
        """Returns how many events came back, and how many of those by deciding inputs again.

        Raises ``TailBrokenError`` if topics and backup do not belong together.
        """
        own = [topic.name for topic in TOPICS if topic.owner == self._service.name]
        since = await begins_at(self._store, manifest.taken_at)
        commanded = await read_tail(self._history, self._store, [t for t in own if t not in self._counted], None, since)
        accounts = self._handler.key_collection(self._handler.topics[0])
        decided = await read_tail(self._history, self._store, sorted(self._counted), accounts, since)
        everything = Tail()
        everything.ids = commanded.ids | decided.ids
        await self._mark(everything)
        await self._take_back(commanded.fresh)
        await self._decide_again(decided, everything)
        await self._number()
        return len(commanded.fresh) + len(decided.fresh), len(decided.fresh)

    async def _mark(self, tail: Tail) -> None:
        """Marks the rows of the backup that were published meanwhile."""
        after = ""
        while True:
            where = {"state": UNMARKED, "_id": {"$gt": after}}
            rows = await self._store.find(OUTBOX, where, limit=PAGE_ROWS, fields=("streams", "count", "events"))
            if not rows:
                return
            after = rows[-1]["_id"]
            published = {row["_id"]: row["count"] for row in rows if is_published(row, tail)}
            if published:
                changes = {each: {"state": MARKED} for each in published}
                await self._store.transact(lambda tx, changes=changes: tx.update(OUTBOX, changes))  # type: ignore[misc]
                self._to_number |= published

    async def _take_back(self, events: Sequence[TailEvent]) -> None:
        for start in range(0, len(events), EVENTS_A_TRANSACTION):
            some = events[start : start + EVENTS_A_TRANSACTION]

            ours = [(event, envelope) for event in some if (envelope := event.readable()) is not None]
            rows = [event.row(self._wall.now()) for event, _ in ours]
            # Consumers have counted what others put there too, so sequences go on behind it.
            heads = {f"{event.partition.topic}|{event.key}": event.sequence for event in some}
            await self._store.transact(
                partial(self._write, envelopes=[each for _, each in ours], rows=rows, heads=heads)
            )
            self._to_number |= {row["_id"]: row["count"] for row in rows}

    async def _write(
        self, tx: Transaction, *, envelopes: Sequence[Envelope[Any]], rows: Sequence[Document], heads: dict[str, int]
    ) -> None:
        for envelope in envelopes:
            await self._recovery.take_back(tx, envelope)
        await tx.replace(STREAMS, [{"_id": name, "n": n} for name, n in heads.items()])
        if rows:
            await tx.insert(OUTBOX, rows)

    async def _decide_again(self, decided: Tail, everything: Tail) -> None:
        projection = self._recovery.projection
        if not decided.fresh:
            return
        assert projection is not None, "a processor that announces facts has a record of their order"
        store = RestoringStore(self._store, everything, self._to_number)
        limit = PARKED_PER_MINUTE_MAX
        engine = Engine(self._handler, store, self._wall, self._observer, parked_per_minute_max=limit)
        ends = await self._history.ends(self._handler.topics)
        waiting = await self._parked({event.key for event in decided.fresh})
        for number in range(PARTITIONS):
            causes = Causes()
            for event in decided.fresh:
                if event.key not in waiting and event.partition == TopicPartition(projection.own_topic or "", number):
                    causes.learn(projection.causes_of(event.envelope()))
            if causes.left:
                partitions = [TopicPartition(topic, number) for topic in self._handler.topics]
                lost = await replay(engine, self._history, partitions, ends, causes, batch_records=1, only_named=True)
                if lost or causes.left:
                    raise TailBrokenError(
                        f"partition {number}: what the inputs hold does not make what {projection.own_topic} holds"
                    )

    async def _parked(self, keys: Iterable[str]) -> frozenset[str]:
        """Keys whose records wait in the backup, and were mended after it.

        What operators asked stands in the operations topic, which the processor takes up: it then decides the same
        again under the same ids and sequences, and consumers absorb that.
        """
        collection, every = self._handler.key_collection(self._handler.topics[0]), sorted(keys)
        found: set[str] = set()
        for start in range(0, len(every), KEYS_A_READ):
            documents = await self._store.get(collection, every[start : start + KEYS_A_READ])
            found.update(key for key, document in documents.items() if document.get(INBOX, {}).get("parked", False))
        return frozenset(found)

    async def _number(self) -> None:
        """Gives what was marked here its place in the change feed, under an epoch that no cursor of before has."""
        ids = list(self._to_number)
        lease = (await self._store.get(LEASE, [RELAY_ID])).get(RELAY_ID)
        epoch = (lease["epoch"] if lease is not None else 0) + EPOCH_JUMP

        async def fence(tx: Transaction) -> None:
            until = to_text(self._wall.now())
            await tx.replace(LEASE, [{"_id": RELAY_ID, "holder": "restore", "epoch": epoch, "until": until}])
            for each in FENCES:
                before = (await tx.get(each.collection, [each.id])).get(each.id)
                number = before["number"] if before is not None else 0
                await tx.replace(each.collection, [{"_id": each.id, "epoch": epoch, "number": number}])

        await self._store.transact(fence)
        for start in range(0, len(ids), PAGE_ROWS):
            some = ids[start : start + PAGE_ROWS]
            await self._store.transact(lambda tx, some=some: self._number_some(tx, some, epoch))  # type: ignore[misc]

    async def _number_some(self, tx: Transaction, ids: Sequence[str], epoch: int) -> None:
        counter = (await tx.get(CHANGES.collection, [CHANGES.id]))[CHANGES.id]
        number = counter["number"]
        changes = {}
        for each in ids:
            first, number = number + 1, number + self._to_number[each]
            changes[each] = {"change_from": first, "change_to": number, "epoch": epoch}
        await tx.update(OUTBOX, changes)
        await tx.replace(CHANGES.collection, [{**counter, "number": number}])


def is_published(row: Document, tail: Tail) -> bool:
    """Whether a topic holds every event of an outbox row.

    Raises ``TailBrokenError`` if a topic holds another event under one of its sequences.
    """
    for stream, event in zip(row["streams"], row["events"], strict=True):
        known = tail.ids.get(stream)
        if known is not None and known != event["id"]:
            raise TailBrokenError(f"{event['topic']} holds another event under sequence {event['sequence']} of a key")
    return all(stream in tail.ids for stream in row["streams"])


class RestoringStore(RenamedStore):
    """A store whose new outbox rows are marked as published where a topic holds them already."""

    def __init__(self, store: Store, tail: Tail, marked: dict[str, int]) -> None:
        super().__init__(store, {})
        self._tail = tail
        self._marked = marked

    async def transact(self, work: Callable[[Transaction], Awaitable[T]], *, owner: str | None = None) -> T:
        marked: dict[str, int] = {}

        async def watched(tx: Transaction) -> T:
            marked.clear()
            return await work(_RestoringTransaction(tx, self._tail, marked))

        result = await self.inner.transact(watched, owner=owner)
        self._marked |= marked
        return result


class _RestoringTransaction(RenamedTransaction):
    def __init__(self, tx: Transaction, tail: Tail, marked: dict[str, int]) -> None:
        super().__init__(tx, {}, ())
        self._tail = tail
        self._marked = marked

    async def insert(self, collection: str, documents: Sequence[Document]) -> None:
        if collection == OUTBOX:
            documents = [self._row(row) for row in documents]
        await super().insert(collection, documents)

    def _row(self, row: Document) -> Document:
        if not is_published(row, self._tail):
            return row
        self._marked[row["_id"]] = row["count"]
        return {**row, "state": MARKED}
