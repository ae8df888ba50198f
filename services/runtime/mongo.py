"""Keeps a service's documents in MongoDB: the store's ports on pymongo's asynchronous client."""

import random
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, contextmanager
from typing import Self, TypeVar

from pymongo import AsyncMongoClient, IndexModel, ReturnDocument
from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import CollectionInvalid, InvalidOperation, OperationFailure, PyMongoError

from services.eventing.ports import Document, Index, Sort, StoreUnavailableError, Transaction, Wakeups, Where
from services.runtime.mongo_commands import (
    COMMAND_TIMEOUT_MS,
    DURABLE,
    MAJORITY,
    NAMESPACE_EXISTS,
    Commands,
    in_the_stores_words,
)
from services.runtime.mongo_transactions import Transactions
from services.runtime.mongo_wakeups import listening

T = TypeVar("T")

SERVER_SELECTION_TIMEOUT_MS = 3_000
CONNECT_TIMEOUT_MS = 3_000
SOCKET_TIMEOUT_MS = COMMAND_TIMEOUT_MS + 5_000
POOL_CONNECTIONS_MAX = 64
POOL_WAIT_TIMEOUT_MS = 5_000
OWNERS = "owners"
"""One document an owner name: the sessions in which its holders run their transactions, the present one last."""


class MongoStore:
    """One database: reads see what a majority holds, transactions a snapshot; commits are with majority and journal."""

    def __init__(
        self,
        client: AsyncMongoClient[Document],
        database: str,
        rng: random.Random,
        on_retry: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._client = client
        self._database: AsyncDatabase[Document] = client.get_database(
            database, read_concern=MAJORITY, write_concern=DURABLE
        )
        self._transactions = Transactions(self._database, rng, on_retry)
        self._owned: dict[str, AsyncClientSession] = {}
        self._closed = False

    @classmethod
    def open(
        cls, uri: str, database: str, rng: random.Random, *, on_retry: Callable[[str], None] = lambda _: None
    ) -> Self:
        """Make a client that connects at its first use. ``rng`` spreads retries; ``on_retry`` hears of each."""
        client = AsyncMongoClient[Document](
            uri,
            appname=database,
            serverSelectionTimeoutMS=SERVER_SELECTION_TIMEOUT_MS,
            connectTimeoutMS=CONNECT_TIMEOUT_MS,
            socketTimeoutMS=SOCKET_TIMEOUT_MS,
            maxPoolSize=POOL_CONNECTIONS_MAX,
            waitQueueTimeoutMS=POOL_WAIT_TIMEOUT_MS,
            tz_aware=True,
        )
        return cls(client, database, rng, on_retry)

    async def close(self) -> None:
        """Close all connections; from then on everything is unavailable."""
        self._closed = True
        await self._client.close()

    async def get(self, collection: str, ids: Iterable[str]) -> dict[str, Document]:
        if not (wanted := list(ids)):
            return {}
        with self._in_the_stores_words():
            async with self._session() as session:
                return await Commands(self._database, session).get(collection, wanted)

    async def find(
        self,
        collection: str,
        where: Where,
        *,
        sort: Sort = (("_id", 1),),
        limit: int,
        fields: Sequence[str] | None = None,
    ) -> list[Document]:
        with self._in_the_stores_words():
            async with self._session() as session:
                return await Commands(self._database, session).find(collection, where, sort, limit, fields)

    async def transact(self, work: Callable[[Transaction], Awaitable[T]], *, owner: str | None = None) -> T:
        with self._in_the_stores_words():
            if owner is not None:
                assert owner in self._owned, f"{owner} was not taken over"
                return await self._transactions.run(self._owned[owner], work)
            async with self._session() as session:
                return await self._transactions.run(session, work)

    async def take_over(self, owner: str) -> None:
        with self._in_the_stores_words():
            # Never ended: the driver would give its id to others, whose transactions the next owner would then end.
            session = self._session()
            await self._end_earlier_sessions(owner, session.session_id["id"])
        self._owned[owner] = session

    def wakeups(self, collection: str) -> AbstractAsyncContextManager[Wakeups]:
        return listening(self._database[collection])

    async def ping(self) -> None:
        with self._in_the_stores_words():
            await self._client.admin.command("ping", maxTimeMS=COMMAND_TIMEOUT_MS)

    async def prepare(self, collections: Sequence[str], indexes: Sequence[Index]) -> None:
        with self._in_the_stores_words():
            existing = await self._database.list_collection_names()
            for name in sorted({OWNERS, *collections, *(index.collection for index in indexes)} - {*existing}):
                await self._create(name)
            for index in indexes:
                await self._database[index.collection].create_indexes([_model(index)])

    async def _create(self, collection: str) -> None:
        """Create a collection, or find that another process was faster."""
        try:
            await self._database.create_collection(collection)
        except CollectionInvalid:
            return
        except OperationFailure as error:
            if error.code != NAMESPACE_EXISTS:
                raise

    async def _end_earlier_sessions(self, owner: str, ours: object) -> None:
        """Put our session on record behind those of earlier holders, end theirs, strike them off.

        In this order, whoever dies on the way leaves a session too many on record, never one too few. Two that come
        at the same time both find the earlier holders, and the later one the other.
        """
        owners = self._database[OWNERS]
        record = await owners.find_one_and_update(
            {"_id": owner},
            {"$push": {"sessions": ours}},
            upsert=True,
            return_document=ReturnDocument.AFTER,
            maxTimeMS=COMMAND_TIMEOUT_MS,
        )
        assert record is not None, "an upsert returns what it made"
        sessions = record["sessions"]
        if earlier := sessions[: sessions.index(ours)]:
            await self._client.admin.command(
                "killSessions", [{"id": session} for session in earlier], maxTimeMS=COMMAND_TIMEOUT_MS
            )
            await owners.update_one({"_id": owner}, {"$pull": {"sessions": {"$in": earlier}}})

    def _session(self) -> AsyncClientSession:
        # Not causally consistent: what is read here was written with majority or is not to be seen.
        return self._client.start_session(causal_consistency=False)

    @contextmanager
    def _in_the_stores_words(self) -> Iterator[None]:
        try:
            yield
        except InvalidOperation as error:  # asked of a closed client; otherwise a bug
            if not self._closed:
                raise
            raise StoreUnavailableError("the client is closed") from error
        except PyMongoError as error:
            known = in_the_stores_words(error)
            if known is None:
                raise
            raise known from None


def _model(index: Index) -> IndexModel:
    options: dict[str, object] = {"name": index.name}
    if index.unique:
        options["unique"] = True
    if index.expire_after_s is not None:
        options["expireAfterSeconds"] = index.expire_after_s
    return IndexModel(list(index.fields), **options)
