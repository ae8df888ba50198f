"""Seals personal values with MongoDB's client-side encryption, each person's under a data key of their own.

A sealed value can be opened as long as its person's key exists: once that is destroyed, neither we nor a backup of the
documents can. Keys lie in a key vault of MongoDB's own format, wrapped by the master key, which is never stored.
"""

import asyncio
import base64
import binascii
import hmac
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, Final, NoReturn, Self

import bson
from bson.binary import Binary
from bson.raw_bson import DEFAULT_RAW_BSON_OPTIONS, RawBSONDocument
from pymongo import AsyncMongoClient
from pymongo.errors import BulkWriteError, InvalidOperation, PyMongoError
from pymongocrypt.asynchronous.state_machine import AsyncMongoCryptCallback, run_state_machine
from pymongocrypt.errors import MongoCryptError
from pymongocrypt.mongocrypt import MongoCrypt
from pymongocrypt.options import DataKeyOpts, ExplicitEncryptOpts, MongoCryptOptions

from services.eventing.ports import Document, Index, StoreUnavailableError
from services.runtime.mongo_commands import (
    COMMAND_TIMEOUT_MS,
    DUPLICATE_KEY,
    DURABLE,
    MAJORITY,
    chunks,
    in_the_stores_words,
    open_client,
)

Fields = Mapping[str, str]
"""Personal values by field."""
Sealed = Mapping[str, bytes]
"""Sealed values by field."""

MASTER_KEY_BYTES: Final = 96
MASTER_KEY_DIFFERENT_BYTES_MIN: Final = 48
"""Of 96 random bytes about 80 differ; of those of a placeholder, few do."""
KEY_VAULT: Final = "personal_keys"
COLLECTIONS: Final = (KEY_VAULT,)
INDEXES: Final = (Index(KEY_VAULT, "keyAltNames", (("keyAltNames", 1),), unique=True),)
"""Of two processes that make a person's key at once, one is refused and takes the other's."""
RANDOM: Final = "AEAD_AES_256_CBC_HMAC_SHA_512-Random"
"""Equal values are sealed differently every time."""
RANDOM_TAG: Final = b"\x02"
KEY_ID_END: Final = 17
ENCRYPTED: Final = 6
"""BSON's subtype for encrypted values: a tag for the algorithm, the key's id of 16 bytes, the type, the ciphertext."""
KEYS_PER_QUERY: Final = 100
KEYS_CACHED_FOR_MS: Final = 1_000
"""The library looks through all keys it has cached one by one, so it is kept from gathering thousands."""
VALUES_BETWEEN_PAUSES: Final = 20
"""About a millisecond of work, after which others get their turn."""


def parse_master_key(text: str) -> bytes:
    """The master key from its setting, base64. Raises ValueError, which does not repeat what was given."""
    try:
        key = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("the master key must be base64") from None
    if len(key) != MASTER_KEY_BYTES:
        raise ValueError(f"the master key must have {MASTER_KEY_BYTES} bytes")
    if len(set(key)) < MASTER_KEY_DIFFERENT_BYTES_MIN:
        raise ValueError("the master key must be random bytes, not a placeholder")
    return key


class SealBrokenError(Exception):
    """A value was not sealed by this vault for this person, or has changed since."""


class MongoVault:
    """Seals, opens and erases. Whatever it cannot do because the database does not answer is a StoreUnavailableError.

    It drives libmongocrypt through pymongocrypt, as pymongo's AsyncClientEncryption does, but makes and fetches the
    keys of many people in one round trip where that class needs one for each.
    """

    def __init__(self, client: AsyncMongoClient[Document], database: str, master_key: bytes) -> None:
        self._client = client
        self._keys = client[database].get_collection(KEY_VAULT, read_concern=MAJORITY, write_concern=DURABLE)
        self._raw_keys = self._keys.with_options(codec_options=DEFAULT_RAW_BSON_OPTIONS)
        options = MongoCryptOptions({"local": {"key": master_key}}, key_expiration_ms=KEYS_CACHED_FOR_MS)
        self._crypt = MongoCrypt(options, _OneKey(None))
        self._mark_root = hmac.digest(master_key, b"silver-service marks 1", "sha256")

    @classmethod
    def connect(cls, uri: str, database: str, master_key: bytes) -> Self:
        """Make a vault with a client of its own, which connects at its first use."""
        return cls(open_client(uri, f"{database} vault"), database, master_key)

    async def close(self) -> None:
        """Close the connections and forget the master key."""
        await self._client.close()
        self._crypt.close()

    async def ping(self) -> None:
        """Return if the key vault answers."""
        try:
            await self._client.admin.command("ping", maxTimeMS=COMMAND_TIMEOUT_MS)
        except PyMongoError as error:
            raise _known(error) from None

    async def seal(self, people: Mapping[str, Fields]) -> dict[str, dict[str, bytes]]:
        """Seal the values of people, by person id, making a key for whoever has none yet."""
        keys = await self._keys_of(people)
        keys |= await self._make_keys([person for person in people if person not in keys])
        turns = _Turns()
        return {
            person: {field: await self._seal(keys[person], value, turns) for field, value in fields.items()}
            for person, fields in people.items()
        }

    async def open(self, people: Mapping[str, Sealed]) -> dict[str, dict[str, str]]:
        """Open what was sealed, by person id; whose key was destroyed is not in the answer.

        Raises ``SealBrokenError``.
        """
        keys = await self._keys_of(people)
        turns = _Turns()
        return {
            person: {field: await self._open(keys[person], value, turns) for field, value in sealed.items()}
            for person, sealed in people.items()
            if person in keys
        }

    def mark(self, purpose: str, value: str) -> str:
        """A keyed hash (HMAC-SHA-256, hex): equal values of one purpose have equal marks that say nothing of them."""
        key = hmac.digest(self._mark_root, purpose.encode(), "sha256")
        return hmac.digest(key, value.encode(), "sha256").hex()

    async def destroy(self, person: str) -> None:
        """Erase a person: nothing that was sealed for them can be opened again. No error if they have no key."""
        try:
            await self._keys.delete_one({"keyAltNames": person})
        except PyMongoError as error:
            raise _known(error) from None

    async def _keys_of(self, people: Mapping[str, object]) -> dict[str, RawBSONDocument]:
        """The key documents that exist, by person id."""
        try:
            return {
                document["keyAltNames"][0]: document
                for part in chunks(list(people), KEYS_PER_QUERY)
                async for document in self._raw_keys.find(
                    {"keyAltNames": {"$in": part}}, batch_size=len(part) + 1, max_time_ms=COMMAND_TIMEOUT_MS
                )
            }
        except PyMongoError as error:
            raise _known(error) from None

    async def _make_keys(self, people: Sequence[str]) -> dict[str, RawBSONDocument]:
        """Make keys for people who had none a moment ago; who has got one meanwhile keeps that."""
        if not people:
            return {}
        turns = _Turns()
        made = {person: await self._make_key(person, turns) for person in people}
        try:
            await self._raw_keys.insert_many(made.values(), ordered=False)
        except BulkWriteError as error:
            if {each["code"] for each in error.details["writeErrors"]} != {DUPLICATE_KEY}:
                raise
            return await self._keys_of(made)
        except PyMongoError as error:
            raise _known(error) from None
        return made

    async def _make_key(self, person: str, turns: "_Turns") -> RawBSONDocument:
        await turns.take()
        options = DataKeyOpts(None, [bson.encode({"keyAltName": person})])
        with self._crypt.data_key_context("local", options) as context:
            return RawBSONDocument(await run_state_machine(context, _OneKey(None)))

    async def _seal(self, key: RawBSONDocument, value: str, turns: "_Turns") -> bytes:
        await turns.take()
        options = ExplicitEncryptOpts(RANDOM, key_id=key["_id"])
        with self._crypt.explicit_encryption_context(bson.encode({"v": value}), options) as context:
            sealed = bson.decode(await run_state_machine(context, _OneKey(key)))["v"]
        return bytes(sealed)

    async def _open(self, key: RawBSONDocument, value: bytes, turns: "_Turns") -> str:
        await turns.take()
        # The library would take any key it still has in its cache; a value moved from another person must not open.
        if value[:1] != RANDOM_TAG or value[1:KEY_ID_END] != bytes(key["_id"]):
            raise SealBrokenError("the value was not sealed for this person")
        with self._crypt.explicit_decryption_context(bson.encode({"v": Binary(value, ENCRYPTED)})) as context:
            try:
                opened: str = bson.decode(await run_state_machine(context, _OneKey(key)))["v"]
            except MongoCryptError as error:
                raise SealBrokenError("the value has changed since it was sealed") from error
        return opened


class _Turns:
    """Lets others run between pieces of work that do not wait for anything."""

    def __init__(self) -> None:
        self._taken = 0

    async def take(self) -> None:
        self._taken += 1
        if self._taken % VALUES_BETWEEN_PAUSES == 0:
            await asyncio.sleep(0)


class _OneKey(AsyncMongoCryptCallback):  # type: ignore[misc] # published without types
    """Answers libmongocrypt's questions with the one key document that was fetched already."""

    def __init__(self, key: RawBSONDocument | None) -> None:
        self._key = key

    async def fetch_keys(self, filter: bytes) -> AsyncIterator[bytes | memoryview]:  # noqa: A002 - the library's name
        del filter
        assert self._key is not None
        yield self._key.raw

    def bson_encode(self, doc: Mapping[str, Any]) -> bytes:
        return bson.encode(doc)

    async def close(self) -> None:
        """Nothing to release."""

    async def insert_data_key(self, data_key: bytes) -> NoReturn:
        raise NotImplementedError("made keys are inserted many at once")

    async def kms_request(self, kms_context: object) -> NoReturn:
        raise NotImplementedError("the master key is local")

    async def collection_info(self, database: str, filter: bytes) -> NoReturn:  # noqa: A002
        raise NotImplementedError("nothing is encrypted automatically")

    async def mark_command(self, database: str, cmd: bytes) -> NoReturn:
        raise NotImplementedError("nothing is encrypted automatically")


def _known(error: PyMongoError) -> Exception:
    if isinstance(error, InvalidOperation):
        return StoreUnavailableError("the client is closed")
    return in_the_stores_words(error) or error
