"""Shows a store in which some collections go by another name: a projection's next generation beside the live one."""

from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Final, TypeVar

from services.eventing.ports import Document, Index, Reads, Sort, Store, Transaction, Wakeups, Where

T = TypeVar("T")

GENERATIONS: Final = "generations"
POINTER: Final = "projection"
"""The document that says which collections are live; processes read it when they start."""
BUILT_BESIDE: Final = "~"
"""In the names of all collections of a generation but the first."""


def name_in(collection: str, generation: str) -> str:
    """What a collection is called in a generation."""
    return f"{collection}{BUILT_BESIDE}{generation}"


async def live_names(reads: Reads) -> dict[str, str]:
    """What collections are really called now, where that is another name."""
    pointer = (await reads.get(GENERATIONS, [POINTER])).get(POINTER)
    return dict(pointer["names"]) if pointer is not None else {}


async def live(store: Store) -> Store:
    """The store as the generation pointer has it."""
    names = await live_names(store)
    return RenamedStore(store, names) if names else store


class RenamedReads:
    """Reads of another store; keeps the port ``Reads``."""

    def __init__(self, inner: Reads, names: Mapping[str, str]) -> None:
        self._inner = inner
        self.names = names

    def name(self, collection: str) -> str:
        """What a collection is really called."""
        return self.names.get(collection, collection)

    async def get(self, collection: str, ids: Iterable[str]) -> dict[str, Document]:
        return await self._inner.get(self.name(collection), ids)

    async def find(
        self,
        collection: str,
        where: Where,
        *,
        sort: Sort = (("_id", 1),),
        limit: int,
        fields: Sequence[str] | None = None,
    ) -> list[Document]:
        return await self._inner.find(self.name(collection), where, sort=sort, limit=limit, fields=fields)


class RenamedTransaction(RenamedReads):
    """A transaction of another store; keeps the port ``Transaction``. What goes to ``silenced`` is dropped."""

    def __init__(self, tx: Transaction, names: Mapping[str, str], silenced: Collection[str]) -> None:
        super().__init__(tx, names)
        self._tx = tx
        self._silenced = silenced

    async def insert(self, collection: str, documents: Sequence[Document]) -> None:
        if collection not in self._silenced:
            await self._tx.insert(self.name(collection), documents)

    async def replace(self, collection: str, documents: Sequence[Document]) -> None:
        if collection not in self._silenced:
            await self._tx.replace(self.name(collection), documents)

    async def update(self, collection: str, changes: Mapping[str, Mapping[str, Any]], *, upsert: bool = False) -> None:
        if collection not in self._silenced:
            await self._tx.update(self.name(collection), changes, upsert=upsert)

    async def delete(self, collection: str, ids: Sequence[str]) -> None:
        if collection not in self._silenced:
            await self._tx.delete(self.name(collection), ids)


class RenamedStore(RenamedReads):
    """Another store, some of whose collections go by other names; keeps the port ``Store``.

    ``owners`` is put behind the names of transactions' owners: whoever works beside the live processes must never end
    their sessions. ``silenced`` collections take no writes.
    """

    def __init__(
        self, store: Store, names: Mapping[str, str], *, owners: str = "", silenced: Collection[str] = ()
    ) -> None:
        super().__init__(store, names)
        self.inner = store
        self._owners = owners
        self._silenced = frozenset(silenced)

    async def transact(self, work: Callable[[Transaction], Awaitable[T]], *, owner: str | None = None) -> T:
        async def renamed(tx: Transaction) -> T:
            return await work(RenamedTransaction(tx, self.names, self._silenced))

        return await self.inner.transact(renamed, owner=None if owner is None else owner + self._owners)

    async def take_over(self, owner: str) -> None:
        await self.inner.take_over(owner + self._owners)

    def wakeups(self, collection: str) -> AbstractAsyncContextManager[Wakeups]:
        return self.inner.wakeups(self.name(collection))

    async def count(self, collection: str, where: Where) -> int:
        return await self.inner.count(self.name(collection), where)

    async def ping(self) -> None:
        await self.inner.ping()


def renamed_indexes(indexes: Iterable[Index], names: Mapping[str, str]) -> list[Index]:
    """The indexes of the renamed collections among those given, under their real names."""
    return [index._replace(collection=names[index.collection]) for index in indexes if index.collection in names]
