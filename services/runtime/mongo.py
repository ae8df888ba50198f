"""Keeps a service's documents in MongoDB: the store's ports on pymongo's asynchronous client."""

import random
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from typing import Self, TypeVar

from bson import Timestamp
from bson.binary import Binary
from pymongo import AsyncMongoClient, IndexModel, ReturnDocument
from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import CollectionInvalid, InvalidOperation, OperationFailure, PyMongoError

from services.eventing.ports import Document, Index, Sort, StoreUnavailableError, Transaction, Wakeups, Where
from services.runtime.mongo_commands import (
    COMMAND_TIMEOUT_MS,
    DURABLE,
    IDS_PER_QUERY,
    MAJORITY,
    NAMESPACE_EXISTS,
    Commands,
    in_the_stores_words,
    is_lost_answer,
    open_client,
)
from services.runtime.mongo_transactions import Transactions
from services.runtime.mongo_wakeups import listening

T = TypeVar("T")

OWNERS = "owners"
"""One document an owner name: the sessions in which its transactions run or ran, those of the present holder last."""
OWNED_SESSIONS_MAX = 1_000
READ_TRIES_MAX = 3
READ_PAUSE_MAX_S = 0.2


class MongoStore:
    """One database: reads see what a majority holds, transactions a snapshot; commits are with majority and journal."""

    def __init__(
        self,
        client: AsyncMongoClient[Document],
        database: str,
        rng: random.Random,
        *,
        ids_per_query: int = IDS_PER_QUERY,
        on_retry: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._client = client
        self._database: AsyncDatabase[Document] = client.get_database(
            database, read_concern=MAJORITY, write_concern=DURABLE
        )
        self._transactions = Transactions(rng, on_retry)
        self._ids_per_query = ids_per_query
        self._idle_sessions: dict[str, list[AsyncClientSession]] = {}
        self._holder: str | None = None
        self._seen: Timestamp | None = None
        """The latest operation that the server had done when it answered."""
        self._closed = False

    @classmethod
    def open(
        cls,
        uri: str,
        database: str,
        rng: random.Random,
        *,
        ids_per_query: int = IDS_PER_QUERY,
        on_retry: Callable[[str], None] = lambda _: None,
    ) -> Self:
        """Make a client, which connects at its first use.

        ``rng`` spreads retries; ``ids_per_query`` is the most that one query of ``get`` asks for; ``on_retry`` hears
        the name of the error whenever a transaction is tried again.
        """
        client = open_client(uri, database)
        return cls(client, database, rng, ids_per_query=ids_per_query, on_retry=on_retry)

    async def close(self) -> None:
        """Close all connections; from then on everything is unavailable."""
        self._closed = True
        await self._client.close()

    async def get(self, collection: str, ids: Iterable[str]) -> dict[str, Document]:
        wanted = list(ids)
        return await self._read(lambda commands: commands.get(collection, wanted))

    async def find(
        self,
        collection: str,
        where: Where,
        *,
        sort: Sort = (("_id", 1),),
        limit: int,
        fields: Sequence[str] | None = None,
    ) -> list[Document]:
        return await self._read(lambda commands: commands.find(collection, where, sort, limit, fields))

    async def count(self, collection: str, where: Where) -> int:
        return await self._read(lambda commands: commands.count(collection, where))

    async def transact(self, work: Callable[[Transaction], Awaitable[T]], *, owner: str | None = None) -> T:
        name = owner or self._holder
        with self._in_the_stores_words():
            async with self._session() if name is None else self._owned_session(name) as session:
                return await self._transactions.run(session, self._commands(session), work)

    async def take_over(self, owner: str) -> None:
        with self._in_the_stores_words():
            session = self._new_session()
            sessions = await self._record(owner, session)
            # Whoever dies on the way here leaves a session too many on record, never one too few; of two that come at
            # the same time, the one recorded later ends what the other has begun.
            if earlier := sessions[: sessions.index(session.session_id["id"])]:
                killed = [{"id": each} for each in earlier]
                await self._client.admin.command("killSessions", killed, maxTimeMS=COMMAND_TIMEOUT_MS)
                await self._database[OWNERS].update_one({"_id": owner}, {"$pull": {"sessions": {"$in": earlier}}})
        self._idle_sessions[owner] = [session]

    async def hold(self, owner: str) -> None:
        """Take over, and run transactions that name no owner under this name from now on.

        For a process whose predecessor may have died within one: its locks would stand for a minute.
        """
        await self.take_over(owner)
        self._holder = owner

    @asynccontextmanager
    async def _owned_session(self, owner: str) -> AsyncIterator[AsyncClientSession]:
        """A session of this owner that no other transaction uses, on record before its first use.

        They are kept, never ended: the driver would give an ended one's id to others, whose transactions the owner's
        next holder would then end.
        """
        assert owner in self._idle_sessions, f"{owner} was not taken over"
        idle = self._idle_sessions[owner]
        if idle:
            session = idle.pop()
        else:
            session = self._new_session()
            await self._record(owner, session)
        try:
            with self._in_order(session):
                yield session
        finally:
            idle.append(session)

    async def _record(self, owner: str, session: AsyncClientSession) -> list[Binary]:
        """Add a session to those on the owner's record; return them all."""
        more = {"$each": [session.session_id["id"]], "$slice": -OWNED_SESSIONS_MAX}
        record = await self._database[OWNERS].find_one_and_update(
            {"_id": owner},
            {"$push": {"sessions": more}},
            upsert=True,
            return_document=ReturnDocument.AFTER,
            maxTimeMS=COMMAND_TIMEOUT_MS,
        )
        assert record is not None, "an upsert returns what it made"
        sessions: list[Binary] = record["sessions"]
        return sessions

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

    @asynccontextmanager
    async def _session(self) -> AsyncIterator[AsyncClientSession]:
        """A session of its own, which sees at least what any session of this store has seen before."""
        async with self._new_session() as session:
            with self._in_order(session):
                yield session

    def _new_session(self) -> AsyncClientSession:
        return self._client.start_session(causal_consistency=True)

    @contextmanager
    def _in_order(self, session: AsyncClientSession) -> Iterator[None]:
        """Lets a session go on from what this store has seen, and the store from what the session sees.

        A new primary learns last how far the old one had come and may serve, until its own first majority commit, what
        a majority held a while ago. A look-up of what stood before something that was just read would then miss it.
        """
        if self._seen is not None:
            session.advance_operation_time(self._seen)
        try:
            yield
        finally:
            seen = session.operation_time
            if seen is not None and (self._seen is None or self._seen < seen):
                self._seen = seen

    async def _read(self, ask: Callable[[Commands], Awaitable[T]]) -> T:
        """Ask outside transactions, and again if the answer was lost: the driver repeats no raw command by itself."""
        with self._in_the_stores_words():
            async with self._session() as session:
                for _ in range(READ_TRIES_MAX - 1):
                    try:
                        return await ask(self._commands(session))
                    except PyMongoError as error:
                        if not is_lost_answer(error):
                            raise
                    await self._transactions.pause(READ_PAUSE_MAX_S)
                return await ask(self._commands(session))

    def _commands(self, session: AsyncClientSession) -> Commands:
        return Commands(self._database, session, self._ids_per_query)

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
