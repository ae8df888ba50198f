"""A process that holds a name frees what its dead predecessor left locked."""

import asyncio
import random
import uuid

import pytest

from services.eventing.ports import StoreError, Transaction
from services.runtime.mongo import MongoStore

COLLECTION = "things"
AT_ONCE_S = 5.0


def opened(uri: str, database: str) -> MongoStore:
    """A client of its own, as another process has one."""
    return MongoStore.open(uri, database, random.Random(1))


async def test_who_takes_a_held_name_writes_at_once_what_the_earlier_holder_had_locked(
    mongodb_uris: dict[str, str],
) -> None:
    database = f"hold-{uuid.uuid4().hex[:8]}"
    dead, alive = opened(mongodb_uris["hours"], database), opened(mongodb_uris["hours"], database)
    await dead.prepare((COLLECTION,), ())
    await dead.hold("api|here")
    written, forever = asyncio.Event(), asyncio.Event()

    async def hang(tx: Transaction) -> None:
        await tx.replace(COLLECTION, [{"_id": "one", "by": "the dead"}])
        written.set()
        await forever.wait()

    hanging = asyncio.create_task(dead.transact(hang))
    await written.wait()

    async def write(tx: Transaction) -> None:
        await tx.replace(COLLECTION, [{"_id": "one", "by": "the living"}])

    await alive.hold("api|here")
    async with asyncio.timeout(AT_ONCE_S):
        await alive.transact(write)
    forever.set()
    with pytest.raises(StoreError):
        await hanging
    assert (await alive.get(COLLECTION, ["one"]))["one"]["by"] == "the living"
    await dead.close()
    await alive.close()
