"""A store in memory for tests without a database: snapshots, first writer wins, unique indexes, BSON's types.

One process, one loop; nothing is ever lost and scans are never torn: faults belong to the simulation's store. What a
test needs to happen at a certain step it does from ``fault``, which is called with the name of every step.
"""

import asyncio
import operator
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any, NoReturn, TypeVar

import bson
from bson.codec_options import CodecOptions

from services.eventing.ports import (
    AlreadyExistsError,
    ConflictError,
    Document,
    Index,
    Sort,
    StoreError,
    Where,
)

T = TypeVar("T")
UniqueKey = tuple[str, str, str]
"""Collection, index name, and the encoded value."""

TRANSACTION_TRIES_MAX = 20
TRY_AGAIN_S = 0.001
_CODEC: CodecOptions[Document] = CodecOptions(tz_aware=True)
_MISSING = object()


def copied(document: Mapping[str, Any]) -> Document:
    """The document as a database gives it back; refuses what BSON has no type for."""
    assert isinstance(document["_id"], str), "ids are strings"
    return bson.decode(bson.encode(document), _CODEC)


class MemoryStore:
    """Keeps the port ``Store`` and ``StoreAdmin``.

    ``collections``: if given (or prepared), a write to any other is a test failure, as MongoDB must not create one
    inside a transaction. ``fault`` is called before each step with its name (``get find count insert replace update
    delete commit ping prepare take_over``; ``committed`` after a commit took effect) and may raise.
    """

    def __init__(
        self,
        indexes: Sequence[Index] = (),
        *,
        collections: Sequence[str] = (),
        fault: Callable[[str], None] | None = None,
    ) -> None:
        self._versions: dict[str, dict[str, list[tuple[int, Document | None]]]] = {}
        self._time = 0
        self._unique: dict[UniqueKey, tuple[int, str]] = {}
        self._open: list[MemoryTransaction] = []
        self._listeners: dict[str, list[MemoryWakeups]] = {}
        self._collections: set[str] = set(collections)
        self._indexes: list[Index] = list(indexes)
        self.fault = fault
        self.commits = 0
        self.conflicts = 0

    # what a test looks at and sets up, without awaiting

    def documents(self, collection: str) -> dict[str, Document]:
        """Every committed document of a collection, by id."""
        found = {i: self._at(collection, i, self._time) for i in sorted(self._versions.get(collection, {}))}
        return {i: copied(d) for i, d in found.items() if d is not None}

    def put(self, collection: str, *documents: Document) -> None:
        """Commits documents as another client would have."""
        transaction = MemoryTransaction(self, None)
        for document in documents:
            transaction.write(collection, document["_id"], copied(document))
        self._commit(transaction)

    def remove(self, collection: str, *ids: str) -> None:
        """Commits deletions as another client would have."""
        transaction = MemoryTransaction(self, None)
        for each in ids:
            transaction.write(collection, each, None)
        self._commit(transaction)

    # the port

    async def prepare(self, collections: Sequence[str], indexes: Sequence[Index]) -> None:
        await self.step("prepare")
        self._collections |= set(collections)
        self._indexes += [index for index in indexes if index not in self._indexes]

    async def ping(self) -> None:
        await self.step("ping")

    async def get(self, collection: str, ids: Iterable[str]) -> dict[str, Document]:
        await self.step("get")
        found = {each: self._at(collection, each, self._time) for each in ids}
        return {each: copied(document) for each, document in found.items() if document is not None}

    async def find(
        self,
        collection: str,
        where: Where,
        *,
        sort: Sort = (("_id", 1),),
        limit: int,
        fields: Sequence[str] | None = None,
    ) -> list[Document]:
        await self.step("find")
        return select(self.documents(collection).values(), where, sort=sort, limit=limit, fields=fields)

    async def count(self, collection: str, where: Where) -> int:
        await self.step("count")
        return len(select(self.documents(collection).values(), where, sort=(), limit=sys.maxsize, fields=None))

    async def transact(self, work: Callable[["MemoryTransaction"], Awaitable[T]], *, owner: str | None = None) -> T:
        for tried in range(TRANSACTION_TRIES_MAX):
            transaction = MemoryTransaction(self, owner)
            self._open.append(transaction)
            try:
                result = await work(transaction)
                await transaction.step("commit")
                self._commit(transaction)
                await self.step("committed")
            except ConflictError as error:
                if error is not transaction.failure:
                    raise  # work's own, as from another store
                self.conflicts += 1
                await asyncio.sleep(TRY_AGAIN_S * tried)
            else:
                return result
            finally:
                transaction.end()
                self._open = [each for each in self._open if each is not transaction]
        raise ConflictError("another transaction won every time")

    async def take_over(self, owner: str) -> None:
        await self.step("take_over")
        for each in self._open:
            if each.owner == owner:
                each.end()

    @asynccontextmanager
    async def wakeups(self, collection: str) -> AsyncIterator["MemoryWakeups"]:
        """Hears of every commit that writes to the collection."""
        listener = MemoryWakeups()
        self._listeners.setdefault(collection, []).append(listener)
        try:
            yield listener
        finally:
            self._listeners[collection].remove(listener)

    # inside

    async def step(self, name: str) -> None:
        """Lets others run, as a round trip does, and then whatever the test planned."""
        await asyncio.sleep(0)
        if self.fault is not None:
            self.fault(name)

    def _at(self, collection: str, each: str, time: int) -> Document | None:
        for when, document in reversed(self._versions.get(collection, {}).get(each, [])):
            if when <= time:
                return document
        return None

    def changed_since(self, collection: str, each: str, time: int) -> bool:
        """Whether a commit wrote the document after ``time``."""
        versions = self._versions.get(collection, {}).get(each)
        return bool(versions) and versions is not None and versions[-1][0] > time

    def others(self, me: "MemoryTransaction") -> list["MemoryTransaction"]:
        """The other open transactions."""
        return [each for each in self._open if each is not me and not each.ended]

    def unique_holder(self, key: UniqueKey) -> tuple[int, str] | None:
        """Who holds a unique value by the last commit, and since when."""
        return self._unique.get(key)

    def unique_keys(self, collection: str, document: Document | None) -> set[UniqueKey]:
        """What a document claims in the unique indexes."""
        if document is None:
            return set()
        indexes = [index for index in self._indexes if index.collection == collection and index.unique]
        return {(collection, index.name, repr(entry)) for index in indexes for entry in index_entries(index, document)}

    def check_collection(self, collection: str) -> None:
        """Fails a test that writes where the service prepared nothing."""
        assert not self._collections or collection in self._collections, f"{collection} is not prepared"

    def snapshot_time(self) -> int:
        """The instant a transaction that begins now reads at."""
        return self._time

    def _commit(self, transaction: "MemoryTransaction") -> None:
        transaction.assert_open()
        if not transaction.writes:
            return
        self._time += 1
        self.commits += 1
        for collection, each in transaction.writes:
            for key in self.unique_keys(collection, self._at(collection, each, self._time)):
                self._unique.pop(key, None)
        for (collection, each), document in transaction.writes.items():
            self._versions.setdefault(collection, {}).setdefault(each, []).append((self._time, document))
            for key in self.unique_keys(collection, document):
                self._unique[key] = (self._time, each)
        for collection in {collection for collection, _ in transaction.writes}:
            for listener in self._listeners.get(collection, []):
                listener.wake()


@dataclass(eq=False)
class MemoryTransaction:
    """Keeps the port ``Transaction``: its snapshot begins with its first step."""

    store: MemoryStore
    owner: str | None
    writes: dict[tuple[str, str], Document | None] = field(default_factory=dict)
    claims: set[UniqueKey] = field(default_factory=set)
    ended: bool = False
    failure: StoreError | None = None
    begun_at: int | None = None

    @property
    def snapshot(self) -> int:
        """The instant it reads at."""
        return self.store.snapshot_time() if self.begun_at is None else self.begun_at

    def end(self) -> None:
        """Aborts: nothing that was written remains (a commit has taken it already)."""
        self.ended = True

    def fail(self, error: StoreError) -> NoReturn:
        """Aborts for an error of the store, which every later step repeats."""
        self.failure = error
        self.end()
        raise error

    def assert_open(self) -> None:
        """Raises for a transaction that was aborted meanwhile."""
        if self.failure is not None:
            raise self.failure
        if self.ended:
            self.fail(ConflictError("no such transaction"))

    def seen(self, collection: str, each: str) -> Document | None:
        """The document as this transaction sees it."""
        if (collection, each) in self.writes:
            return self.writes[collection, each]
        return self.store._at(collection, each, self.snapshot)

    async def get(self, collection: str, ids: Iterable[str]) -> dict[str, Document]:
        await self.step("get")
        found = {each: self.seen(collection, each) for each in ids}
        return {each: copied(document) for each, document in found.items() if document is not None}

    async def find(
        self,
        collection: str,
        where: Where,
        *,
        sort: Sort = (("_id", 1),),
        limit: int,
        fields: Sequence[str] | None = None,
    ) -> list[Document]:
        await self.step("find")
        ids = {i for c, i in self.writes if c == collection} | set(self.store._versions.get(collection, {}))
        found = [self.seen(collection, each) for each in sorted(ids)]
        present = [copied(document) for document in found if document is not None]
        return select(present, where, sort=sort, limit=limit, fields=fields)

    async def insert(self, collection: str, documents: Sequence[Document]) -> None:
        await self.step("insert")
        for document in documents:
            if self.seen(collection, document["_id"]) is not None:
                self.fail(AlreadyExistsError(f"{collection}: the id exists"))
            self.write(collection, document["_id"], copied(document))

    async def replace(self, collection: str, documents: Sequence[Document]) -> None:
        await self.step("replace")
        for document in documents:
            self.write(collection, document["_id"], copied(document))

    async def update(self, collection: str, changes: Mapping[str, Mapping[str, Any]], *, upsert: bool = False) -> None:
        await self.step("update")
        for each, change in changes.items():
            assert not any("." in name or name.startswith("$") or name == "_id" for name in change)
            before = self.seen(collection, each)
            if before is None and not upsert:
                raise AssertionError(f"{collection}: update of a document that does not exist")
            self.write(collection, each, copied({"_id": each, **(before or {}), **change}))

    async def delete(self, collection: str, ids: Sequence[str]) -> None:
        await self.step("delete")
        for each in ids:
            self.write(collection, each, None)

    async def step(self, name: str) -> None:
        """One round trip, which a test's fault may end."""
        try:
            await self.store.step(name)
        except StoreError as error:
            self.fail(error)
        self.assert_open()
        if self.begun_at is None:
            self.begun_at = self.store.snapshot_time()

    def write(self, collection: str, each: str, document: Document | None) -> None:
        """Takes one write in, or aborts if another transaction was first."""
        self.store.check_collection(collection)
        held = any((collection, each) in other.writes for other in self.store.others(self))
        if held or self.store.changed_since(collection, each, self.snapshot):
            self.fail(ConflictError(f"{collection}: another transaction wrote this document first"))
        self._claim(collection, each, document)
        self.writes[collection, each] = document

    def _claim(self, collection: str, each: str, document: Document | None) -> None:
        for key in self.store.unique_keys(collection, document):
            holder = self._holder(key)
            in_flight = any(key in other.claims for other in self.store.others(self))
            committed = self.store.unique_holder(key)
            changed_meanwhile = committed is not None and committed[0] > self.snapshot
            if in_flight or (changed_meanwhile and holder not in {None, each}):
                self.fail(ConflictError(f"{collection}: another transaction took this unique value first"))
            if holder not in {None, each}:
                self.fail(AlreadyExistsError(f"{collection}: a unique value of {key[1]} exists"))
            self.claims.add(key)

    def _holder(self, key: UniqueKey) -> str | None:
        """The id that holds a unique value, with what this transaction itself has written."""
        for (collection, each), document in self.writes.items():
            if key in self.store.unique_keys(collection, document):
                return each
        committed = self.store.unique_holder(key)
        if committed is None or (key[0], committed[1]) in self.writes:
            return None
        return committed[1]


class MemoryWakeups:
    """Keeps the port ``Wakeups``."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def wake(self) -> None:
        """Says that something was written."""
        self._event.set()

    async def wait(self, timeout_s: float) -> bool:
        try:
            async with asyncio.timeout(timeout_s):
                await self._event.wait()
        except TimeoutError:
            return False
        self._event.clear()
        return True


def select(
    documents: Iterable[Document], where: Where, *, sort: Sort, limit: int, fields: Sequence[str] | None
) -> list[Document]:
    """What a query gives: filtered, sorted (ties by id), limited, and with the named top-level fields only."""
    assert limit > 0
    found = sorted((d for d in documents if matches(d, where)), key=lambda d: str(d["_id"]))
    for name, direction in reversed(sort):
        found.sort(key=partial(_sort_key, path=name, direction=direction), reverse=direction < 0)
    kept = found[:limit]
    return kept if fields is None else [{k: v for k, v in d.items() if k == "_id" or k in fields} for d in kept]


def matches(document: Document, where: Where) -> bool:
    """Whether a document passes a filter of the port, as MongoDB reads it."""
    return all(_field_matches(_values(document, path.split(".")), condition) for path, condition in where.items())


def _field_matches(values: list[Any], condition: Any) -> bool:
    if isinstance(condition, Mapping) and condition and all(name.startswith("$") for name in condition):
        return all(_operator(values, name, wanted) for name, wanted in condition.items())
    return _equals(values, condition)


def _operator(values: list[Any], name: str, wanted: Any) -> bool:
    if name == "$in":
        return any(_equals(values, each) for each in wanted)
    if name == "$ne":
        return not _equals(values, wanted)
    if name == "$exists":
        return bool(values) is bool(wanted)
    holds = {"$gt": operator.gt, "$gte": operator.ge, "$lt": operator.lt, "$lte": operator.le}[name]
    return any(_rank(each) == _rank(wanted) and bool(holds(each, wanted)) for each in _candidates(values))


def _equals(values: list[Any], wanted: Any) -> bool:
    if wanted is None and not values:
        return True
    return any(_rank(each) == _rank(wanted) and bool(each == wanted) for each in _candidates(values))


def _candidates(values: list[Any]) -> list[Any]:
    """The values themselves and the elements of those that are arrays."""
    return values + [element for each in values if isinstance(each, list) for element in each]


def _values(value: Any, path: Sequence[str]) -> list[Any]:
    """What stands at a dotted path; several if it leads through an array, none if it is missing."""
    if not path:
        return [value]
    if isinstance(value, Mapping):
        return _values(value[path[0]], path[1:]) if path[0] in value else []
    if isinstance(value, list):
        inside = [found for element in value if isinstance(element, Mapping) for found in _values(element, path)]
        by_place = path[0].isdigit() and int(path[0]) < len(value)
        return inside + (_values(value[int(path[0])], path[1:]) if by_place else [])
    return []


_RANKS: tuple[tuple[type | tuple[type, ...], int], ...] = (
    (bool, 8),
    ((int, float), 1),
    (str, 2),
    (Mapping, 3),
    (list, 4),
    (bytes, 5),
    (datetime, 9),
)


def _rank(value: Any) -> int:
    """BSON's order of types; null first. Values of different types never compare as equal, greater or less."""
    return next((rank for kind, rank in _RANKS if isinstance(value, kind)), 0)


def _sort_key(document: Document, path: str, direction: int) -> tuple[int, Any]:
    values = [v for v in _candidates(_values(document, path.split("."))) if not isinstance(v, list)]
    keys = [(_rank(v), 0 if v is None else repr(v) if isinstance(v, Mapping) else v) for v in values] or [(0, 0)]
    return min(keys) if direction > 0 else max(keys)


def index_entries(index: Index, document: Document) -> list[tuple[Any, ...]]:
    """The values a document has in an index: one per element of an array (an empty array has one of its own)."""
    columns: list[list[Any]] = []
    for name, _ in index.fields:
        found = _values(document, name.split("."))
        value = found[0] if found else None
        columns.append((value or [_MISSING.__class__]) if isinstance(value, list) else [value])
    assert sum(len(column) > 1 for column in columns) <= 1, "one array in an index at most"
    rows: list[tuple[Any, ...]] = [()]
    for column in columns:
        rows = [(*row, each) for row in rows for each in column]
    return rows
