"""The vault keeps its promises on a real key vault, and its values are MongoDB's own."""

import asyncio
import base64
import random
from collections.abc import AsyncIterator, Iterator
from itertools import count

import pytest
from bson import CodecOptions
from bson.binary import Binary
from pymongo import AsyncMongoClient
from pymongo.asynchronous.encryption import AsyncClientEncryption
from pymongo.errors import OperationFailure

from deploy.local.database import Database
from deploy.local.server_process import free_ports
from services.eventing.ports import Document, StoreUnavailableError
from services.runtime import mongo_commands
from services.runtime.mongo import MongoStore
from services.runtime.vault import COLLECTIONS, INDEXES, KEY_VAULT, MongoVault, SealBrokenError, parse_master_key
from tests.integration.vault_suite import Scenario, VaultSuite

MASTER_KEY = random.Random("master").randbytes(96)
DATABASES = (f"vault_suite_{number}" for number in count())


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    server = Database("the vault suite", tmp_path_factory.mktemp("vault"))
    server.start()
    yield server
    server.stop()


async def prepared(uri: str) -> str:
    """Return the name of a new database with a key vault in it."""
    store = MongoStore.open(uri, next(DATABASES), random.Random(1))
    await store.prepare(COLLECTIONS, INDEXES)
    name = store._database.name
    await store.close()
    return name


class TestMongoVault(VaultSuite):
    @pytest.fixture(autouse=True)
    def _server(self, database: Database) -> None:
        self.uri = database.uri

    def run(self, scenario: Scenario) -> None:
        async def with_a_vault() -> None:
            vault = MongoVault.connect(self.uri, await prepared(self.uri), MASTER_KEY)
            try:
                await scenario(vault, vault.destroy)
            finally:
                await vault.close()

        asyncio.run(with_a_vault())


@pytest.fixture
async def name(database: Database) -> str:
    return await prepared(database.uri)


@pytest.fixture
async def vault(database: Database, name: str) -> AsyncIterator[MongoVault]:
    opened = MongoVault.connect(database.uri, name, MASTER_KEY)
    yield opened
    await opened.close()


@pytest.fixture
async def client(database: Database) -> AsyncIterator[AsyncMongoClient[Document]]:
    opened = AsyncMongoClient[Document](database.uri)
    yield opened
    await opened.close()


async def test_equal_values_are_sealed_differently_every_time(vault: MongoVault) -> None:
    first = await vault.seal({"li": {"name": "Li", "again": "Li"}})
    second = await vault.seal({"li": {"name": "Li"}})
    assert len({first["li"]["name"], first["li"]["again"], second["li"]["name"]}) == 3


async def test_another_process_opens_what_was_sealed(vault: MongoVault, database: Database, name: str) -> None:
    sealed = await vault.seal({"li": {"name": "Li"}})
    other = MongoVault.connect(database.uri, name, MASTER_KEY)
    assert await other.open(sealed) == {"li": {"name": "Li"}}
    assert other.mark("a", "b") == vault.mark("a", "b")
    await other.close()


async def test_a_key_destroyed_by_another_process_opens_nothing_more(
    vault: MongoVault, database: Database, name: str
) -> None:
    sealed = await vault.seal({"li": {"name": "Li"}})
    assert await vault.open(sealed) == {"li": {"name": "Li"}}
    other = MongoVault.connect(database.uri, name, MASTER_KEY)
    await other.destroy("li")
    await other.destroy("li")
    await other.close()
    assert await vault.open(sealed) == {}


async def test_a_new_key_does_not_open_what_the_destroyed_one_sealed(vault: MongoVault) -> None:
    old = await vault.seal({"li": {"name": "Li"}})
    await vault.destroy("li")
    new = await vault.seal({"li": {"name": "Li"}})
    assert await vault.open(new) == {"li": {"name": "Li"}}
    with pytest.raises(SealBrokenError):
        await vault.open(old)


async def test_a_value_moved_to_another_person_does_not_open(vault: MongoVault) -> None:
    sealed = await vault.seal({"li": {"name": "Li"}, "wang": {"name": "Wang"}})
    assert len(await vault.open(sealed)) == 2
    with pytest.raises(SealBrokenError):
        await vault.open({"wang": sealed["li"]})


@pytest.mark.parametrize("position", [0, 5, 16, 17, 30, -1])
async def test_a_value_changed_in_any_part_does_not_open(vault: MongoVault, position: int) -> None:
    name = bytearray((await vault.seal({"li": {"name": "Li"}}))["li"]["name"])
    name[position] ^= 1
    with pytest.raises(SealBrokenError):
        await vault.open({"li": {"name": bytes(name)}})


async def test_bytes_that_were_never_sealed_do_not_open(vault: MongoVault) -> None:
    await vault.seal({"li": {"name": "Li"}})
    for value in (b"", b"\x02", b"Li" * 50):
        with pytest.raises(SealBrokenError):
            await vault.open({"li": {"name": value}})


async def test_another_master_key_opens_nothing_and_marks_differently(
    vault: MongoVault, database: Database, name: str
) -> None:
    sealed = await vault.seal({"li": {"name": "Li"}})
    other = MongoVault.connect(database.uri, name, random.Random("other").randbytes(96))
    with pytest.raises(SealBrokenError):
        await other.open(sealed)
    assert other.mark("citizen", "1") != vault.mark("citizen", "1")
    await other.close()


async def test_keys_and_values_are_those_of_mongodbs_client_side_encryption(
    vault: MongoVault, client: AsyncMongoClient[Document], name: str
) -> None:
    sealed = await vault.seal({"li": {"name": "李建国"}})
    namespace = f"{name}.{KEY_VAULT}"
    async with AsyncClientEncryption[Document](
        {"local": {"key": MASTER_KEY}}, namespace, client, CodecOptions()
    ) as theirs:
        assert await theirs.decrypt(Binary(sealed["li"]["name"], 6)) == "李建国"
        await theirs.rewrap_many_data_key({})
    assert await vault.open(sealed) == {"li": {"name": "李建国"}}


async def test_the_key_vault_holds_no_key_in_the_clear(
    vault: MongoVault, client: AsyncMongoClient[Document], name: str
) -> None:
    await vault.seal({"li": {"name": "Li"}, "wang": {"name": "Wang"}})
    keys = await client[name][KEY_VAULT].find().to_list()
    assert sorted(key["keyAltNames"] for key in keys) == [["li"], ["wang"]]
    assert all(len(key["keyMaterial"]) == 160 and key["masterKey"] == {"provider": "local"} for key in keys)
    assert not any(MASTER_KEY[:16] in key["keyMaterial"] for key in keys)


async def test_sealing_many_lets_others_run(vault: MongoVault) -> None:
    others_turns = 0

    async def others() -> None:
        nonlocal others_turns
        while True:
            await asyncio.sleep(0)
            others_turns += 1

    people = {f"{number}": {"a": "x", "b": "y"} for number in range(200)}
    await vault.seal(people)
    task = asyncio.create_task(others())
    await vault.seal(people)
    task.cancel()
    assert others_turns > 20


async def test_a_vault_out_of_reach_is_unavailable(
    vault: MongoVault, database: Database, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    sealed = await vault.seal({"li": {"name": "Li"}})
    monkeypatch.setattr(mongo_commands, "SERVER_SELECTION_TIMEOUT_MS", 100)
    (port,) = free_ports(1)
    nowhere = MongoVault.connect(f"mongodb://127.0.0.1:{port}/?directConnection=true", name, MASTER_KEY)
    closed = MongoVault.connect(database.uri, name, MASTER_KEY)
    await closed._client.close()
    for broken in (nowhere, closed):
        for call in (broken.ping(), broken.seal({"li": {}}), broken.open(sealed), broken.destroy("li")):
            with pytest.raises(StoreUnavailableError):
                await call
        await broken.close()


async def test_a_key_vault_without_its_index_is_refused_a_second_key(
    vault: MongoVault, client: AsyncMongoClient[Document], name: str
) -> None:
    await vault.seal({"li": {"name": "Li"}})
    with pytest.raises(OperationFailure):
        await client[name][KEY_VAULT].insert_one({"keyAltNames": ["li"]})


def test_a_master_key_is_96_random_bytes_in_base64() -> None:
    assert parse_master_key(base64.b64encode(MASTER_KEY).decode()) == MASTER_KEY


@pytest.mark.parametrize(
    "text",
    [
        "",
        "not base64!",
        base64.b64encode(MASTER_KEY[:95]).decode(),
        base64.b64encode(MASTER_KEY + b"x").decode(),
        base64.b64encode(bytes(96)).decode(),
        base64.b64encode(b"development" * 8 + b"12345678").decode(),
    ],
)
def test_anything_else_is_refused_without_being_repeated(text: str) -> None:
    with pytest.raises(ValueError, match="master key") as caught:
        parse_master_key(text)
    assert not text or text not in str(caught.value)
