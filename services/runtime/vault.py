"""Seals personal values under a key of each person, with MongoDB's client-side encryption; destroying a key erases."""

import asyncio
import hashlib
import hmac
from collections.abc import AsyncIterator, Iterable, Mapping
from typing import Any, Final

import bson
from bson.binary import Binary
from pymongocrypt.asynchronous.explicit_encrypter import AsyncExplicitEncrypter
from pymongocrypt.asynchronous.state_machine import AsyncMongoCryptCallback
from pymongocrypt.options import MongoCryptOptions

from services.eventing.ports import AlreadyExistsError, Document, Store, Transaction

KEYS: Final = "person_keys"
"""By person id: the person's data key as libmongocrypt made it, itself encrypted under the master key."""
COLLECTIONS: Final = (KEYS,)
MASTER_KEY_BYTES: Final = 96
"""What MongoDB's local key provider asks for."""
ALGORITHM: Final = "AEAD_AES_256_CBC_HMAC_SHA_512-Random"
PROVIDER: Final = "local"
ENCRYPTED_SUBTYPE: Final = 6
SEAL_ATTEMPTS_MAX: Final = 3
MARK_PURPOSE: Final = b"silver-service marks v1"

Fields = Mapping[str, str]
Sealed = Mapping[str, bytes]


class StoreVault:
    """A vault whose keys stand in a store; values are sealed and opened in this process alone.

    What it seals is what ``ClientEncryption`` of any MongoDB driver seals with the same keys. The master key never
    leaves the process; without a person's key document nobody can open what was sealed for them.
    """

    def __init__(self, store: Store, master_key: bytes) -> None:
        assert len(master_key) == MASTER_KEY_BYTES
        self._store = store
        self._master_key = master_key
        self._mark_key = hmac.digest(master_key, MARK_PURPOSE, "sha256")

    async def seal(self, people: Mapping[str, Fields]) -> dict[str, dict[str, bytes]]:
        """Seals the values of people, by person id, making a key for whoever has none. Raises what the store raises."""
        keys = await self._keys_for(people)
        crypt = _Crypt(self._master_key, keys.values())
        sealed = {}
        try:
            for person, values in people.items():
                sealed[person] = {name: await crypt.seal(keys[person], value) for name, value in values.items()}
                await asyncio.sleep(0)  # sealing never waits by itself; a list of thousands must not keep the loop
        finally:
            crypt.close()
        return sealed

    async def open(self, people: Mapping[str, Sealed]) -> dict[str, dict[str, str]]:
        """The values that were sealed; a person whose key was destroyed is not in the answer."""
        keys = await self._known_keys(people)
        crypt = _Crypt(self._master_key, keys.values())
        try:
            return {
                person: {name: await crypt.open(value) for name, value in people[person].items()} for person in keys
            }
        finally:
            crypt.close()

    def mark(self, purpose: str, value: str) -> str:
        """A keyed hash (HMAC-SHA-256, hex): equal values of one purpose have equal marks."""
        return hmac.new(self._mark_key, f"{purpose}\x1f{value}".encode(), hashlib.sha256).hexdigest()

    async def destroy(self, person: str) -> None:
        """Makes all that was ever sealed for a person unreadable, for everybody, for ever."""

        async def forget(tx: Transaction) -> None:
            await tx.delete(KEYS, [person])

        await self._store.transact(forget)

    async def ping(self) -> None:
        """Returns if keys can be read. Raises ``StoreUnavailableError``."""
        await self._store.ping()

    async def _known_keys(self, people: Iterable[str]) -> dict[str, bytes]:
        return {person: document["key"] for person, document in (await self._store.get(KEYS, people)).items()}

    async def _keys_for(self, people: Iterable[str]) -> dict[str, bytes]:
        """Every person's key; new ones are stored before anything is sealed under them."""
        wanted = list(people)
        for _ in range(SEAL_ATTEMPTS_MAX):
            known = await self._known_keys(wanted)
            missing = [person for person in wanted if person not in known]
            if not missing:
                return known
            try:
                return known | await self._make_keys(missing)
            except AlreadyExistsError:
                continue  # somebody else made one of them beside us: theirs counts
        raise AlreadyExistsError("person keys are being made elsewhere")

    async def _make_keys(self, people: Iterable[str]) -> dict[str, bytes]:
        crypt = _Crypt(self._master_key, ())
        try:
            made = {person: await crypt.new_key(person) for person in people}
        finally:
            crypt.close()
        documents: list[Document] = [{"_id": person, "key": key} for person, key in made.items()]

        async def keep(tx: Transaction) -> None:
            await tx.insert(KEYS, documents)

        await self._store.transact(keep)
        return made


class _Crypt:
    """libmongocrypt for one operation: it knows the keys it was given and caches nothing beyond its end."""

    def __init__(self, master_key: bytes, keys: Iterable[bytes]) -> None:
        options = MongoCryptOptions({PROVIDER: {"key": master_key}})
        self._encrypter = AsyncExplicitEncrypter(_KeysInHand(keys), options)

    async def new_key(self, person: str) -> bytes:
        """A new data key as a BSON document, encrypted under the master key, named after its person."""
        key: bytes = await self._encrypter.create_data_key(PROVIDER, key_alt_names=[person])
        return key

    async def seal(self, key: bytes, value: str) -> bytes:
        """One value under one key."""
        sealed = await self._encrypter.encrypt(bson.encode({"v": value}), ALGORITHM, key_id=bytes(_id_of(key)))
        return bytes(bson.decode(sealed)["v"])

    async def open(self, value: bytes) -> str:
        """One value; its key must be in hand."""
        opened = await self._encrypter.decrypt(bson.encode({"v": Binary(value, ENCRYPTED_SUBTYPE)}))
        text: str = bson.decode(opened)["v"]
        return text

    def close(self) -> None:
        """Frees what libmongocrypt holds."""
        self._encrypter.close()


class _KeysInHand(AsyncMongoCryptCallback):  # type: ignore[misc]  # published without types
    """Answers libmongocrypt's questions from the keys of the operation; asks nobody."""

    def __init__(self, keys: Iterable[bytes]) -> None:
        self._keys = {bytes(_id_of(key)): key for key in keys}

    async def fetch_keys(self, filter: bytes) -> AsyncIterator[bytes]:  # noqa: A002 - the library's signature
        wanted: list[Any] = bson.decode(filter)["$or"][0]["_id"]["$in"]
        for identifier in wanted:
            if (key := self._keys.get(bytes(identifier))) is not None:
                yield key

    async def insert_data_key(self, data_key: bytes) -> bytes:
        return bytes(data_key)

    def bson_encode(self, doc: Mapping[str, Any]) -> bytes:
        return bson.encode(doc)

    async def kms_request(self, kms_context: Any) -> None:
        raise NotImplementedError("the local provider asks nobody")

    async def collection_info(self, database: str, filter: bytes) -> Any:  # noqa: A002
        raise NotImplementedError("only explicit encryption")

    async def mark_command(self, database: str, cmd: bytes) -> Any:
        raise NotImplementedError("only explicit encryption")

    async def close(self) -> None:
        """Nothing to close."""


def _id_of(key: bytes) -> Binary:
    identifier: Binary = bson.decode(key, bson.CodecOptions(uuid_representation=0))["_id"]
    return identifier
