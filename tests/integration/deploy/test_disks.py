"""A database whose disk is full fails, and comes back with all that it had acknowledged."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pymongo import MongoClient
from pymongo.errors import PyMongoError

from deploy.local.database import Database
from tests.support.chaos import disks

AWAY_S = 1.5
WAIT_MS = 2_000


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    server = Database("disks", tmp_path)
    server.start()
    yield server
    server.stop()


def write(database: Database, number: int) -> bool:
    """Whether a write was acknowledged."""
    try:
        with MongoClient[dict[str, Any]](
            database.uri, serverSelectionTimeoutMS=WAIT_MS, socketTimeoutMS=WAIT_MS
        ) as client:
            client["disks"]["numbers"].insert_one({"_id": number})
    except PyMongoError:
        return False
    return True


def numbers(database: Database) -> set[int]:
    with MongoClient[dict[str, Any]](database.uri) as client:
        return {each["_id"] for each in client["disks"]["numbers"].find()}


async def test_a_full_disk_fails_writes_and_loses_none_that_was_acknowledged(database: Database) -> None:
    assert await asyncio.to_thread(write, database, 1)
    full = asyncio.ensure_future(disks.fill(database, AWAY_S))
    await asyncio.sleep(AWAY_S / 3)
    assert not await asyncio.to_thread(write, database, 2)
    await full
    assert disks.takes_writes(database)
    assert await asyncio.to_thread(write, database, 3)
    assert numbers(database) == {1, 3}


async def test_a_slow_disk_is_as_fast_as_before_afterwards(database: Database) -> None:
    slow = asyncio.ensure_future(disks.slow(database, AWAY_S))
    await asyncio.sleep(0)
    assert await asyncio.to_thread(write, database, 1)
    await slow
    assert numbers(database) == {1}
