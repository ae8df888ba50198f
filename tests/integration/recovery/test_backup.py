"""A backup is one instant of a database, in whole files, with the keys apart and the erased left out."""

import asyncio
import gzip
import os
import subprocess
import sys
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from services.eventing.positions import POSITIONS
from services.recovery import catalogue, erased, files
from services.recovery.backup import take_backup
from services.recovery.files import BackupBrokenError
from services.runtime.vault import KEY_VAULT, MongoVault
from tests.support.backups import DATABASE, Client
from tests.support.documented_commands import commands_of
from tests.support.ports import SetClock

AT = datetime(2026, 11, 24, 3, tzinfo=UTC)
SECRET = "安庆甄某某"


async def taken(client: Client, folder: Path, at: datetime = AT) -> files.Manifest:
    return await take_backup(
        client, DATABASE, "registry", data_dir=folder / "data", keys_dir=folder / "keys", wall=SetClock(at)
    )


async def test_a_backup_holds_every_document_and_says_so(client: Client, tmp_path: Path) -> None:
    many = [{"_id": f"{number:06}", "n": number} for number in range(2_500)]
    await client[DATABASE]["things"].insert_many(many)
    await client[DATABASE][POSITIONS].insert_one({"_id": "p|t|0", "next": 7, "last_id": None, "last_offset": None})
    await client[DATABASE]["owners"].insert_one({"_id": "relay"})
    manifest = await taken(client, tmp_path)
    folder = tmp_path / "data" / "registry" / "20261124T030000Z"
    assert manifest.positions == {"p|t|0": 7}
    assert files.verify(folder) == manifest
    assert manifest.collections.keys() == {"things", POSITIONS}
    assert list(files.documents_in(folder, "things")) == many


async def test_equal_documents_make_equal_files(client: Client, tmp_path: Path) -> None:
    await client[DATABASE]["things"].insert_many([{"_id": "b"}, {"_id": "a"}])
    first, second = await taken(client, tmp_path), await taken(client, tmp_path, AT + timedelta(hours=1))
    assert first.collections == second.collections


async def test_all_collections_are_of_one_instant(client: Client, tmp_path: Path) -> None:
    """Two counters that one transaction always moves together are equal in every backup."""
    database = client[DATABASE]
    filler = [{"_id": f"{number:06}", "text": "x" * 200} for number in range(3_000)]
    await database["between"].insert_many(filler)
    for name in ("a", "z"):
        await database[name].insert_one({"_id": "counter", "n": 0})
    stop = asyncio.Event()

    async def move() -> None:
        while not stop.is_set():
            async with client.start_session() as session, await session.start_transaction():
                for name in ("a", "z"):
                    await database[name].update_one({"_id": "counter"}, {"$inc": {"n": 1}}, session=session)

    moving = asyncio.create_task(move())
    seen = []
    for number in range(3):
        at = AT + timedelta(hours=number)
        await taken(client, tmp_path, at)
        folder = tmp_path / "data" / "registry" / files.stamp_of(at)
        seen.append([next(files.documents_in(folder, name))["n"] for name in ("a", "z")])
    stop.set()
    await moving
    assert all(a == z for a, z in seen), seen
    assert seen[-1][0] > seen[0][0], "it was moved meanwhile"


async def test_keys_lie_apart_and_no_personal_value_lies_anywhere(
    client: Client, vault: MongoVault, tmp_path: Path
) -> None:
    sealed = await vault.seal({"v-1": {"name": SECRET}})
    await client[DATABASE]["volunteers"].insert_one({"_id": "v-1", "personal": sealed["v-1"]})
    await taken(client, tmp_path)
    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert [path.parts[-4] for path in written if KEY_VAULT in path.name] == ["keys"]
    assert [path.parts[-4] for path in written if "volunteers" in path.name] == ["data"]
    for path in written:
        content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        assert SECRET.encode() not in content, path
        assert "v-1" not in path.name


async def test_a_changed_file_is_named(client: Client, tmp_path: Path) -> None:
    await client[DATABASE]["things"].insert_one({"_id": "a"})
    await taken(client, tmp_path)
    path = tmp_path / "data" / "registry" / files.stamp_of(AT) / "things.bson.gz"
    content = bytearray(path.read_bytes())
    content[-9] ^= 1
    path.write_bytes(content)
    with pytest.raises(BackupBrokenError, match="things"):
        files.verify(path.parent)
    path.unlink()
    with pytest.raises(BackupBrokenError, match="things"):
        files.verify(path.parent)


async def test_whose_key_is_gone_loses_it_in_every_older_backup(
    client: Client, vault: MongoVault, tmp_path: Path
) -> None:
    await vault.seal({"v-1": {"name": "a"}, "v-2": {"name": "b"}})
    await taken(client, tmp_path)
    await vault.destroy("v-1")
    await taken(client, tmp_path, AT + timedelta(days=1))
    keys = tmp_path / "keys"
    assert erased.read_erased(keys) == {"v-1"}
    backups = catalogue.backups_of(keys, "registry")
    assert len(backups) == 2
    for backup in backups:
        files.verify(backup.folder)
        assert [erased.person_of(key) for key in files.documents_in(backup.folder, KEY_VAULT)] == ["v-2"]


def run(folder: Path, uri: str, *words: str) -> subprocess.CompletedProcess[str]:
    environ = {
        **os.environ,
        "MONGODB_URI": uri,
        "MONGODB_DATABASE": DATABASE,
        "BACKUP_DIR": str(folder / "data"),
        "BACKUP_KEYS_DIR": str(folder / "keys"),
        "BACKUP_SERVICES": "registry",
        "BACKUP_KEEP": "2",
    }
    command = [sys.executable, "-m", "services.recovery", *words]
    return subprocess.run(command, env=environ, capture_output=True, text=True, check=False, timeout=60)


async def test_the_commands_back_up_list_verify_erase_and_keep_two(
    client: Client, vault: MongoVault, tmp_path: Path, mongodb_uris: Mapping[str, str]
) -> None:
    uri = mongodb_uris["registry"]
    await vault.seal({"v-1": {"name": "a"}, "v-2": {"name": "b"}})
    for day in range(2):
        await taken(client, tmp_path, AT + timedelta(days=day))
    assert (done := run(tmp_path, uri, "backup")).returncode == 0, done.stderr
    listed = run(tmp_path, uri, "list").stdout.splitlines()
    assert len(listed) == 2, listed
    assert "20261124T030000Z" not in listed[0], "the oldest is gone"
    assert run(tmp_path, uri, "verify").stdout.count("whole: ") == 4
    assert "registry" in (tmp_path / "data" / catalogue.PROM).read_text()
    done = run(tmp_path, uri, "erase", "v-2")
    assert done.stdout == "1 key destroyed in the database, 2 in backups\n", done.stderr
    assert run(tmp_path, uri, "verify").returncode == 0
    assert run(tmp_path, uri, "prune").stdout == "", "nothing is beyond what is kept"
    once = {f"python -m services.recovery {word}" for word in ("backup", "list", "verify", "prune")}
    always, erasing = "python -m services.recovery run", 'python -m services.recovery erase "$VOLUNTEER"'
    assert commands_of("backup.md") == {*once, always, erasing}, "e2e runs the one that goes on"
    assert await vault.open({"v-2": {}}) == {}


def test_wrong_settings_and_an_absent_database_are_one_line(tmp_path: Path) -> None:
    gone = run(tmp_path, "mongodb://127.0.0.1:1/?replicaSet=x&directConnection=true", "backup")
    assert (gone.returncode, gone.stderr.count("\n")) == (75, 1), gone.stderr
    assert not list(tmp_path.rglob("*.bson.gz")), "nothing half-started"
    unknown = run(tmp_path, "mongodb://127.0.0.1:1/", "backup", "--service", "nobody")
    assert (unknown.returncode, unknown.stderr.count("\n")) == (78, 1), unknown.stderr
