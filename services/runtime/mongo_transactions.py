"""Runs work in a transaction of MongoDB until it commits, is refused, or the limits are reached."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any, NoReturn, TypeVar

from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.errors import DocumentTooLarge, OperationFailure, PyMongoError

from services.eventing.ports import CommitUnknownError, ConflictError, Document, Sort, StoreError, Transaction, Where
from services.runtime.mongo_commands import (
    COMMAND_DOCUMENTS_MAX,
    DURABLE,
    NO_SUCH_TRANSACTION,
    SNAPSHOT,
    Commands,
    chunks,
    in_the_stores_words,
    replace_whole,
    set_fields,
)

T = TypeVar("T")

TRIES_MAX = 50
TRY_FOR_S = 10
"""After this long no new try begins."""
PAUSE_FIRST_S = 0.002
PAUSE_GROWTH = 1.6
PAUSE_MAX_S = 0.5
COMMIT_TRIES_MAX = 6
COMMIT_TIMEOUT_MS = 5_000


class MongoTransaction:
    """One try of a transaction. After an error it only repeats that error, since the server has ended it."""

    def __init__(self, commands: Commands, documents_per_command: int) -> None:
        self._commands = commands
        self._documents_per_command = documents_per_command
        self.failure: Exception | None = None
        self.again = False
        """Whether another try may come out differently."""

    async def get(self, collection: str, ids: Iterable[str]) -> dict[str, Document]:
        return await self._ask(self._commands.get, collection, ids)

    async def find(
        self,
        collection: str,
        where: Where,
        *,
        sort: Sort = (("_id", 1),),
        limit: int,
        fields: Sequence[str] | None = None,
    ) -> list[Document]:
        return await self._ask(self._commands.find, collection, where, sort, limit, fields)

    async def insert(self, collection: str, documents: Sequence[Document]) -> None:
        for part in chunks(documents, self._documents_per_command):
            count = await self._ask(self._commands.insert, collection, part)
            assert count == len(part), f"{count} of {len(part)} documents were inserted into {collection}"

    async def replace(self, collection: str, documents: Sequence[Document]) -> None:
        for part in chunks(documents, self._documents_per_command):
            count = await self._ask(self._commands.update, collection, [replace_whole(document) for document in part])
            assert count == len(part), f"{count} of {len(part)} documents were replaced in {collection}"

    async def update(self, collection: str, changes: Mapping[str, Mapping[str, Any]], *, upsert: bool = False) -> None:
        for part in chunks(list(changes.items()), self._documents_per_command):
            updates = [set_fields(identifier, fields, upsert=upsert) for identifier, fields in part]
            count = await self._ask(self._commands.update, collection, updates)
            assert count == len(part), f"{len(part) - count} of the ids to update are not in {collection}"

    async def delete(self, collection: str, ids: Sequence[str]) -> None:
        for part in chunks(ids, self._documents_per_command):
            await self._ask(self._commands.delete, collection, part)

    async def _ask(self, command: Callable[..., Awaitable[T]], *arguments: object) -> T:
        self.raise_failure()
        try:
            return await command(*arguments)
        except DocumentTooLarge as error:  # a whole command is meant: it was not sent, and a smaller one may do
            self.failure, self.again = error, self._documents_per_command > 1
            raise
        except PyMongoError as error:
            self.fail(error)

    def fail(self, error: PyMongoError) -> NoReturn:
        """Raise a driver's error in the store's words, and keep it."""
        known = in_the_stores_words(error)
        self.failure = known or error
        self.again = isinstance(known, ConflictError) or error.has_error_label("TransientTransactionError")
        if known is None:
            raise error
        raise known from None

    def raise_failure(self) -> None:
        """Raise the error that ended this try, if one did, even if work has caught it."""
        if self.failure is not None:
            raise self.failure


class Transactions:
    """Tries a transaction again while that may help: ``rng`` spreads the pauses, ``on_retry`` hears what went wrong."""

    def __init__(self, rng: random.Random, on_retry: Callable[[str], None]) -> None:
        self._rng = rng
        self._on_retry = on_retry

    async def run(
        self,
        session: AsyncClientSession,
        commands: Commands,
        work: Callable[[Transaction], Awaitable[T]],
    ) -> T:
        """Run ``work`` in a transaction of this session, in which the commands are too. Raises as ``Store.transact``.

        What has no name among the store's errors is raised as the driver's error that it is.
        """
        clock = asyncio.get_running_loop().time
        end = clock() + TRY_FOR_S
        pause_s = PAUSE_FIRST_S
        documents_per_command = COMMAND_DOCUMENTS_MAX
        for tries in range(1, TRIES_MAX + 1):
            tx = MongoTransaction(commands, documents_per_command)
            try:
                return await self._try(session, work, tx)
            except (StoreError, DocumentTooLarge) as error:
                if error is not tx.failure or not tx.again or tries == TRIES_MAX or clock() > end:
                    raise
                if isinstance(error, DocumentTooLarge):
                    documents_per_command //= 10
                self._on_retry(type(error).__name__)
            pause_s = await self.pause(pause_s)
        raise AssertionError("the last try returns or raises")

    async def _try(
        self, session: AsyncClientSession, work: Callable[[Transaction], Awaitable[T]], tx: MongoTransaction
    ) -> T:
        await session.start_transaction(SNAPSHOT, DURABLE, max_commit_time_ms=COMMIT_TIMEOUT_MS)
        try:
            result = await work(tx)
            tx.raise_failure()
        except BaseException:  # of a cancelled task too no transaction may stay open: it would hold its locks
            if session.in_transaction:
                await session.abort_transaction()
            raise
        await self._commit(session, tx)
        return result

    async def _commit(self, session: AsyncClientSession, tx: MongoTransaction) -> None:
        pause_s = PAUSE_FIRST_S
        for _ in range(COMMIT_TRIES_MAX):
            try:
                await session.commit_transaction()
            except PyMongoError as error:
                if not error.has_error_label("UnknownTransactionCommitResult"):
                    _raise_uncommitted(error, tx)
            else:
                return
            pause_s = await self.pause(pause_s)
        raise CommitUnknownError(f"no answer to {COMMIT_TRIES_MAX} commits")

    async def pause(self, longest_s: float) -> float:
        """Wait a random part of this time, so that those who collided do not meet again; return the next longest."""
        await asyncio.sleep(self._rng.uniform(0, longest_s))
        return min(longest_s * PAUSE_GROWTH, PAUSE_MAX_S)


def _raise_uncommitted(error: PyMongoError, tx: MongoTransaction) -> NoReturn:
    if isinstance(error, OperationFailure) and error.code == NO_SUCH_TRANSACTION:
        # Either it was ended, or an earlier commit (the driver repeats one by itself) came through and the server has
        # forgotten it since, as it may after a restart. To run the work again could do it twice.
        raise CommitUnknownError("the server does not know the transaction to commit") from None
    tx.fail(error)
