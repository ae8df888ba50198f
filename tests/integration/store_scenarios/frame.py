"""What scenarios of the store suite are made of: two clients, a list to stand on, and small helpers."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

import pytest

from services.eventing.ports import AlreadyExistsError, Document, Index, Store, StoreAdmin, Transaction

COLLECTIONS = ("things", "named", "outbox")
INDEXES = (
    Index("named", "name", (("name", 1),), unique=True),
    Index("outbox", "streams", (("streams", 1),), unique=True),
    Index("outbox", "expiry", (("expires_at", 1),), expire_after_s=0),
)
AT_ONCE_S = 5
"""Far below the minute after which a database ends an abandoned transaction by itself."""


class PreparedStore(Store, StoreAdmin, Protocol):
    """A store whose collections and indexes can be made."""


@dataclass(frozen=True)
class Stores:
    """Two clients of one new database, as two processes have."""

    one: PreparedStore
    other: PreparedStore


Scenario = Callable[[Stores], Awaitable[None]]
Write = Callable[[Transaction], Awaitable[None]]
SCENARIOS: list[Scenario] = []


def scenario(function: Scenario) -> Scenario:
    """Add a scenario to the suite."""
    SCENARIOS.append(function)
    return function


class OwnError(Exception):
    """What a scenario's work raises by itself."""


async def put(store: Store, *documents: Document, collection: str = "things") -> None:
    await store.transact(lambda tx: tx.replace(collection, documents))


async def read(store: Store, identifier: str, collection: str = "things") -> Document | None:
    return (await store.get(collection, [identifier])).get(identifier)


async def all_ids(store: Store, collection: str = "things") -> list[str]:
    return [document["_id"] for document in await store.find(collection, {}, limit=10_000)]


async def refused(store: Store, work: Callable[[Transaction], Awaitable[object]]) -> None:
    with pytest.raises(AlreadyExistsError):
        await store.transact(work)


async def tries_to_put(store: Store, *documents: Document) -> int:
    """Write documents; return how many tries that took."""
    tries = 0

    async def work(tx: Transaction) -> None:
        nonlocal tries
        tries += 1
        await tx.replace("things", documents)

    await store.transact(work)
    return tries


async def second_tries(stores: Stores, first: Write, second: Write) -> int:
    """Run two transactions, the second's first try while the first is open. Return how many tries the second took."""
    first_done, second_tried = asyncio.Event(), asyncio.Event()
    tries = 0

    async def first_work(tx: Transaction) -> None:
        await first(tx)
        first_done.set()
        await second_tried.wait()

    async def second_work(tx: Transaction) -> None:
        nonlocal tries
        tries += 1
        try:
            await second(tx)
        finally:
            second_tried.set()

    running = asyncio.ensure_future(stores.one.transact(first_work))
    await first_done.wait()
    await stores.other.transact(second_work)
    await running
    return tries
