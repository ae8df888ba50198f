"""A backup is put back whole, closes the database meanwhile, and brings no erased person back."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from services.eventing.relay.lease import LEASE, RELAY_ID
from services.eventing.times import to_text
from services.recovery import erased, files
from services.recovery.backup import take_backup
from services.recovery.files import BackupBrokenError
from services.recovery.restore import Place, RestoreRefusedError, check, load_backup, open_again, refuse_if_used
from services.runtime.ids import system_randomness
from services.runtime.mongo import MongoStore
from services.runtime.schema import check_schema
from services.runtime.startup import CannotStartError
from services.runtime.vault import MongoVault
from tests.support.backups import DATABASE, Client
from tests.support.ports import SetClock

AT = datetime(2026, 11, 24, 3, tzinfo=UTC)


async def backed_up(client: Client, folder: Path) -> Place:
    """A backup of what the database holds now, and where it lies."""
    data, keys = folder / "data", folder / "keys"
    await take_backup(client, DATABASE, "registry", data_dir=data, keys_dir=keys, wall=SetClock(AT))
    name = files.stamp_of(AT)
    return Place(client, DATABASE, data / "registry" / name, keys / "registry" / name, keys)


async def test_every_document_comes_back_and_nothing_else(client: Client, tmp_path: Path) -> None:
    documents = [{"_id": f"{number:05}", "at": AT, "n": [number]} for number in range(2_100)]
    await client[DATABASE]["things"].insert_many(documents)
    place = await backed_up(client, tmp_path)
    await client[DATABASE]["things"].delete_many({"n": {"$gt": 7}})
    await client[DATABASE]["later"].insert_one({"_id": "made after the backup"})
    assert await load_backup(place) == (2_100, 0)
    assert [document async for document in client[DATABASE]["things"].find(sort=[("_id", 1)])] == documents
    assert await client[DATABASE]["later"].find_one() is None


async def test_no_erased_persons_key_comes_back(client: Client, vault: MongoVault, tmp_path: Path) -> None:
    sealed = await vault.seal({"v-1": {"name": "a"}, "v-2": {"name": "b"}})
    place = await backed_up(client, tmp_path)
    erased.add_erased(place.keys_dir, ["v-1"])
    assert await load_backup(place) == (1, 1)
    assert await vault.open(sealed) == {"v-2": {"name": "b"}}


async def test_nothing_starts_on_half_a_database(client: Client, tmp_path: Path, mongodb_uris: dict[str, str]) -> None:
    await client[DATABASE]["things"].insert_one({"_id": "a"})
    place = await backed_up(client, tmp_path)
    store = MongoStore.open(mongodb_uris["registry"], DATABASE, system_randomness())
    try:
        await check_schema(store, DATABASE)
        await load_backup(place)
        with pytest.raises(CannotStartError, match="being restored"):
            await check_schema(store, DATABASE)
        await refuse_if_used(place, SetClock(AT), replace=False)  # one that broke off is begun again
        await open_again(place, "registry", SetClock(AT))
        await check_schema(store, DATABASE)
        assert erased.last_restored(place.keys_dir, "registry") == AT
    finally:
        await store.close()


async def test_a_database_in_use_or_not_empty_is_refused(client: Client, tmp_path: Path) -> None:
    place, clock = await backed_up(client, tmp_path), SetClock(AT)
    await refuse_if_used(place, clock, replace=False)
    await client[DATABASE]["things"].insert_one({"_id": "a"})
    with pytest.raises(RestoreRefusedError, match="not empty"):
        await refuse_if_used(place, clock, replace=False)
    await refuse_if_used(place, clock, replace=True)
    await client[DATABASE][LEASE].insert_one({"_id": RELAY_ID, "until": to_text(AT.replace(hour=4))})
    with pytest.raises(RestoreRefusedError, match="relay"):
        await refuse_if_used(place, clock, replace=True)


async def test_a_broken_backup_or_another_services_is_refused_before_anything(client: Client, tmp_path: Path) -> None:
    await client[DATABASE]["things"].insert_one({"_id": "a"})
    place = await backed_up(client, tmp_path)
    assert check(place, "registry").service == "registry"
    with pytest.raises(RestoreRefusedError, match="not one backup of hours"):
        check(place, "hours")
    (place.data / "things.bson.gz").write_bytes(b"")
    with pytest.raises(BackupBrokenError, match="things"):
        check(place, "registry")


async def test_keys_lost_by_a_restore_are_nobodys_erasure(client: Client, vault: MongoVault, tmp_path: Path) -> None:
    await vault.seal({"v-1": {"name": "a"}})
    place = await backed_up(client, tmp_path)
    await vault.seal({"v-2": {"name": "b"}})
    data, keys = tmp_path / "data", tmp_path / "keys"
    later = AT.replace(hour=5)
    await take_backup(client, DATABASE, "registry", data_dir=data, keys_dir=keys, wall=SetClock(later))
    await load_backup(place)
    await open_again(place, "registry", SetClock(AT.replace(hour=6)))
    await take_backup(client, DATABASE, "registry", data_dir=data, keys_dir=keys, wall=SetClock(AT.replace(hour=7)))
    assert erased.read_erased(keys) == frozenset()
