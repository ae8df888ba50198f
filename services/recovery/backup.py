"""Takes a consistent backup of one service's database through its ordinary wire protocol."""

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from bson.raw_bson import DEFAULT_RAW_BSON_OPTIONS
from pymongo import AsyncMongoClient
from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.asynchronous.collection import AsyncCollection
from pymongo.asynchronous.database import AsyncDatabase

from services.eventing.generations import BUILT_BESIDE, GENERATIONS, POINTER
from services.eventing.ports import Clock, Document
from services.eventing.positions import POSITIONS
from services.eventing.relay.lease import CHANGES
from services.recovery import catalogue, erased, files
from services.recovery.files import FORMAT, Manifest, Writer
from services.runtime.mongo import OWNERS
from services.runtime.mongo_commands import MAJORITY, SNAPSHOT
from services.runtime.schema import SCHEMA_VERSION
from services.runtime.vault import KEY_VAULT

DATA: Final = "data"
KEYS: Final = "keys"
BATCH_DOCUMENTS: Final = 1_000
LEFT_OUT: Final = frozenset({OWNERS})
"""Sessions of processes that run now: nothing of them is worth keeping."""


async def take_backup(
    client: AsyncMongoClient[Document], database: str, service: str, *, data_dir: Path, keys_dir: Path, wall: Clock
) -> Manifest:
    """Copies every collection as one snapshot: all of it is of one instant, positions and outbox included.

    One transaction reads everything, which any replica set of MongoDB gives and the stand-in too; the server must let
    a transaction live as long as the copying takes (``transactionLifetimeLimitSeconds``, docs/backup.md). Keys go to
    a folder of their own, so that whoever holds one of the two cannot read a personal value. Raises what the driver
    raises; then nothing is left behind.
    """
    taken_at, clock = wall.now(), asyncio.get_running_loop().time
    began, name = clock(), files.stamp_of(taken_at)
    source = client.get_database(database, codec_options=DEFAULT_RAW_BSON_OPTIONS, read_concern=MAJORITY)
    existing = await source.list_collection_names()
    with Writer(data_dir / service / name) as data, Writer(keys_dir / service / name) as keys:
        async with client.start_session() as session:
            await session.start_transaction(SNAPSHOT)
            names = await _live_names(client.get_database(database), session)
            positions, changes = await _places(client.get_database(database), names, session)
            for each in sorted(each for each in existing if _is_kept(each, names)):
                await _copy(source[each], session, keys if each == KEY_VAULT else data)
            await session.abort_transaction()
        both = [
            Manifest(
                format=FORMAT,
                schema_version=SCHEMA_VERSION,
                service=service,
                part=part,
                taken_at=taken_at,
                seconds=round(clock() - began, 3),
                collections=dict(writer.collections),
                positions=positions,
                changes=changes,
            )
            for part, writer in ((KEYS, keys), (DATA, data))
        ]
        # Keys first: data without their keys would be a backup that cannot be read.
        keys.finish(both[0])
        data.finish(both[1])
    _follow_erasures(keys_dir, service)
    return both[1]


async def _live_names(database: AsyncDatabase[Document], session: AsyncClientSession) -> dict[str, str]:
    pointer = await database[GENERATIONS].find_one({"_id": POINTER}, session=session)
    return pointer["names"] if pointer is not None else {}


def _is_kept(collection: str, live: Mapping[str, str]) -> bool:
    """Whatever is live; a generation that is being built, and one that was replaced, are made again from topics."""
    if collection in LEFT_OUT or collection.startswith("system."):
        return False
    return collection in live.values() if BUILT_BESIDE in collection else collection not in live


async def _places(
    database: AsyncDatabase[Document], live: Mapping[str, str], session: AsyncClientSession
) -> tuple[dict[str, int], int]:
    positions = database[live.get(POSITIONS, POSITIONS)]
    found = {each["_id"]: each["next"] async for each in positions.find({}, session=session)}
    counter = await database[CHANGES.collection].find_one({"_id": CHANGES.id}, session=session)
    return dict(sorted(found.items())), counter["number"] if counter is not None else 0


async def _copy(collection: AsyncCollection[Any], session: AsyncClientSession, writer: Writer) -> None:
    with writer.collection(collection.name) as file:
        cursor = collection.find_raw_batches({}, sort=[("_id", 1)], batch_size=BATCH_DOCUMENTS, session=session)
        async for batch in cursor:
            file.write(batch)


def _follow_erasures(keys_dir: Path, service: str) -> None:
    """Whose key was in the backup before and is in this one no more was erased: older backups lose the key as well."""
    since = erased.last_restored(keys_dir, service)
    backups = [each for each in catalogue.backups_of(keys_dir, service) if not since or each.manifest.taken_at > since]
    present = _people(backups[-1:])
    gone = _people(backups[:-1]) - present
    if gone:
        erased.add_erased(keys_dir, gone)
        forget(keys_dir, service, gone)


def forget(keys_dir: Path, service: str, people: frozenset[str]) -> int:
    """Takes people's keys out of every backup of keys; how many keys there were."""
    return sum(erased.scrub(backup.folder, KEY_VAULT, people) for backup in catalogue.backups_of(keys_dir, service))


def _people(backups: Sequence[catalogue.Backup]) -> frozenset[str]:
    return frozenset(
        erased.person_of(key)
        for backup in backups
        if KEY_VAULT in backup.manifest.collections
        for key in files.documents_in(backup.folder, KEY_VAULT)
    )
