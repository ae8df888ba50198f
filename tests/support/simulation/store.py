"""Keeps the ports ``Store`` and ``StoreAdmin`` for one process, against a simulated database."""

import asyncio
import random
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final, TypeVar

from services.eventing.ports import (
    CommitUnknownError,
    ConflictError,
    Document,
    Index,
    Sort,
    StoreError,
    StoreUnavailableError,
    Transaction,
    Where,
)
from services.runtime.mongo import READ_PAUSE_MAX_S, READ_TRIES_MAX
from services.runtime.mongo_transactions import (
    COMMIT_TRIES_MAX,
    PAUSE_FIRST_S,
    PAUSE_GROWTH,
    PAUSE_MAX_S,
    TRIES_MAX,
    TRY_FOR_S,
)
from tests.support.simulation.documents import copied, stored
from tests.support.simulation.network import ResetError, UnansweredError
from tests.support.simulation.requests import BY_ID, AbortedError, Call, Query, Seen
from tests.support.simulation.store_server import StoreServer

T = TypeVar("T")

SPURIOUS_WAKEUP_S: Final = 0.3


class SimulatedTransaction:
    """One try of a transaction. After an error of the store it only repeats that error, as the real adapter's does."""

    def __init__(self, server: StoreServer, session: str, number: int) -> None:
        self._server = server
        self._session = session
        self._number = number
        self.begun = False
        self.failure: StoreError | None = None
        self.retryable = False

    def call(self) -> Call:
        """What the next request says of itself."""
        first, self.begun = not self.begun, True
        return Call(self._session, self._number, first)

    def raise_failure(self) -> None:
        """Raises what ended the transaction, if anything did: ``work`` may have caught it."""
        if self.failure is not None:
            raise self.failure

    async def get(self, collection: str, ids: Iterable[str]) -> dict[str, Document]:
        wanted = list(ids)
        if not wanted:
            return {}
        found: dict[str, Document] = await self._ask(self._server.read_in, collection, wanted)
        return found

    async def find(
        self,
        collection: str,
        where: Where,
        *,
        sort: Sort = BY_ID,
        limit: int,
        fields: Sequence[str] | None = None,
    ) -> list[Document]:
        found: list[Document] = await self._ask(self._server.find_in, _query(collection, where, sort, limit, fields))
        return found

    async def insert(self, collection: str, documents: Sequence[Document]) -> None:
        if documents:
            await self._ask(self._server.insert, collection, [stored(each) for each in documents])

    async def replace(self, collection: str, documents: Sequence[Document]) -> None:
        if documents:
            await self._ask(self._server.replace, collection, [stored(each) for each in documents])

    async def update(self, collection: str, changes: Mapping[str, Mapping[str, Any]], *, upsert: bool = False) -> None:
        if changes:
            await self._ask(
                self._server.update, collection, {each: copied(change) for each, change in changes.items()}, upsert
            )

    async def delete(self, collection: str, ids: Sequence[str]) -> None:
        if ids:
            await self._ask(self._server.delete, collection, list(ids))

    async def _ask(self, function: Callable[..., Any], *arguments: Any) -> Any:
        self.raise_failure()
        try:
            return await self._server.ask(function, self.call(), *arguments)
        except AbortedError as error:
            self.failure, self.retryable = ConflictError(str(error)), True
            raise self.failure from error
        except UnansweredError as error:
            self.failure, self.retryable = StoreUnavailableError(str(error)), True
            raise self.failure from error
        except StoreError as error:
            self.failure = error
            if type(error) is StoreError:  # the caller broke a promise: the adapter asserts what it sends and gets
                raise AssertionError(str(error)) from error
            raise


class SimulatedWakeups:
    """Keeps the port ``Wakeups``: misses some, and sometimes wakes for nothing."""

    def __init__(self, server: StoreServer) -> None:
        self._server = server
        self._event = asyncio.Event()

    def wake(self) -> None:
        """Says that something was written."""
        self._event.set()

    async def wait(self, timeout_s: float) -> bool:
        if self._server.network.chance("missed"):  # as likely to wake for nothing as to sleep through something
            await asyncio.sleep(min(timeout_s, SPURIOUS_WAKEUP_S))
            return True
        try:
            async with asyncio.timeout(timeout_s):
                await self._event.wait()
        except TimeoutError:
            return False
        self._event.clear()
        return True


class SimulatedStore:
    """One process's client; ``process`` must be another at every start, so that sessions are."""

    def __init__(self, server: StoreServer, process: str, rng: random.Random) -> None:
        self._server = server
        self._process = process
        self._rng = rng
        self._serial = 0
        self._numbers: dict[str, int] = {}
        self._seen = 0
        """The latest commit that an answer was given as of."""
        self._idle: dict[str, list[str]] = {}
        """Sessions by owner that no transaction uses now; those of no owner under an empty name."""

    async def prepare(self, collections: Sequence[str], indexes: Sequence[Index]) -> None:
        await self._ask(self._server.prepare, tuple(collections), tuple(indexes))

    async def ping(self) -> None:
        await self._ask(self._server.ping)

    async def get(self, collection: str, ids: Iterable[str]) -> dict[str, Document]:
        wanted = list(ids)
        if not wanted:
            return {}
        found: dict[str, Document] = await self._read(self._server.read, collection, wanted)
        return found

    async def find(
        self,
        collection: str,
        where: Where,
        *,
        sort: Sort = BY_ID,
        limit: int,
        fields: Sequence[str] | None = None,
    ) -> list[Document]:
        found: list[Document] = await self._read(self._server.find, _query(collection, where, sort, limit, fields))
        return found

    async def count(self, collection: str, where: Where) -> int:
        return len(await self.find(collection, where, limit=sys.maxsize))

    async def transact(self, work: Callable[[Transaction], Awaitable[T]], *, owner: str | None = None) -> T:
        async with self._idle_session(owner) as session:
            return await self._tries(session, work)

    async def take_over(self, owner: str) -> None:
        session = self._new_session()
        recorded: list[str] = await self._ask(self._server.record, owner, session)
        if earlier := recorded[: recorded.index(session)]:
            await self._ask(self._server.kill, owner, earlier)
        self._numbers[session] = 0
        self._idle[owner] = [session]

    @asynccontextmanager
    async def _idle_session(self, owner: str | None) -> AsyncIterator[str]:
        """A session that no other transaction uses; an owner's is on record before its first use."""
        if owner is None:
            idle = self._idle.setdefault("", [])
        else:
            assert owner in self._idle, f"{owner} was not taken over"
            idle = self._idle[owner]
        session = idle.pop() if idle else self._new_session()
        if owner is not None and session not in self._numbers:
            await self._ask(self._server.record, owner, session)
        self._numbers.setdefault(session, 0)
        try:
            yield session
        finally:
            idle.append(session)

    @asynccontextmanager
    async def wakeups(self, collection: str) -> AsyncIterator[SimulatedWakeups]:
        """Hears of what a majority holds of a collection's writes."""
        listener = SimulatedWakeups(self._server)
        listeners = self._server.listeners.setdefault(collection, [])
        listeners.append(listener.wake)
        try:
            yield listener
        finally:
            listeners.remove(listener.wake)

    def _new_session(self) -> str:
        self._serial += 1
        return f"{self._process}:{self._serial}"

    async def _ask(self, function: Callable[..., Any], *arguments: Any) -> Any:
        try:
            return await self._server.ask(function, *arguments)
        except UnansweredError as error:
            raise StoreUnavailableError(str(error)) from error

    async def _read(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Asks outside transactions, and again if the connection broke, as the real adapter does.

        What was seen before is seen again, whoever answers: sessions are causally consistent.
        """
        tries = 0
        while True:
            tries += 1
            try:
                seen: Seen = await self._server.ask(function, self._seen, *arguments)
            except UnansweredError as error:
                if tries == READ_TRIES_MAX or not isinstance(error, ResetError):
                    raise StoreUnavailableError(str(error)) from error
            else:
                self._seen = max(self._seen, seen.at)
                return seen.found
            await asyncio.sleep(self._rng.uniform(0, READ_PAUSE_MAX_S))

    async def _tries(self, session: str, work: Callable[[Transaction], Awaitable[T]]) -> T:
        clock = asyncio.get_running_loop().time
        deadline = clock() + TRY_FOR_S
        pause_s = PAUSE_FIRST_S
        tries = 0
        while True:
            tries += 1
            number = self._numbers[session] = self._numbers[session] + 1
            tx = SimulatedTransaction(self._server, session, number)
            try:
                return await self._try(work, tx)
            except StoreError as error:
                if error is not tx.failure or not tx.retryable:
                    raise
                if tries == TRIES_MAX or clock() > deadline:
                    raise
            await asyncio.sleep(self._rng.uniform(0, pause_s))
            pause_s = min(pause_s * PAUSE_GROWTH, PAUSE_MAX_S)

    async def _try(self, work: Callable[[Transaction], Awaitable[T]], tx: SimulatedTransaction) -> T:
        try:
            result = await work(tx)
            tx.raise_failure()
        except BaseException:
            await self._abort(tx)
            raise
        if tx.begun:
            await self._commit(tx)
        return result

    async def _abort(self, tx: SimulatedTransaction) -> None:
        if tx.begun:
            try:
                await self._server.ask(self._server.abort, tx.call())
            except UnansweredError:
                return  # the driver too gives up here; the session's next transaction or its time ends this one

    async def _commit(self, tx: SimulatedTransaction) -> None:
        pause_s = PAUSE_FIRST_S
        for _ in range(COMMIT_TRIES_MAX):
            try:
                committed_at: int = await self._server.ask(self._server.commit, tx.call())
            except AbortedError as error:
                self._server.network.counts["commit_unknown"] += 1
                raise CommitUnknownError("the server does not know the transaction") from error
            except UnansweredError:
                await asyncio.sleep(self._rng.uniform(0, pause_s))
                pause_s *= PAUSE_GROWTH
            else:
                self._seen = max(self._seen, committed_at)
                return
        self._server.network.counts["commit_unknown"] += 1
        raise CommitUnknownError(f"no answer to {COMMIT_TRIES_MAX} commits")


def _query(collection: str, where: Where, sort: Sort, limit: int, fields: Sequence[str] | None) -> Query:
    assert limit > 0
    return Query(collection, dict(where), tuple(sort), limit, None if fields is None else tuple(fields))
