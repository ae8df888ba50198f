"""Speaks MongoDB: raw commands, a fifth cheaper than collection methods, and errors in the store's words."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from bson.codec_options import CodecOptions
from pymongo import AsyncMongoClient
from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import (
    ConnectionFailure,
    DuplicateKeyError,
    NetworkTimeout,
    OperationFailure,
    PyMongoError,
    ServerSelectionTimeoutError,
    WaitQueueTimeoutError,
    WriteConcernError,
)
from pymongo.read_concern import ReadConcern
from pymongo.write_concern import WriteConcern

from services.eventing.ports import (
    AlreadyExistsError,
    ConflictError,
    Document,
    Sort,
    StoreError,
    StoreUnavailableError,
    Where,
)

T = TypeVar("T")

COMMAND_TIMEOUT_MS = 10_000
"""How long the server may work on one command."""
SERVER_SELECTION_TIMEOUT_MS = 3_000
CONNECT_TIMEOUT_MS = 3_000
SOCKET_TIMEOUT_MS = COMMAND_TIMEOUT_MS + 5_000
POOL_CONNECTIONS_MAX = 64
POOL_WAIT_TIMEOUT_MS = 5_000
COMMAND_DOCUMENTS_MAX = 1_000
IDS_PER_QUERY = 1_000
"""Of ``get``. Each query more costs the client a quarter of a millisecond, but a server that compares each document
found with each id asked for (docs/adr/0003) needs 190 ms for 500 ids in one query, 110 in two, 75 in five."""
READ_DOCUMENTS_MAX = 100_000
OPERATORS = frozenset({"$in", "$gt", "$gte", "$lt", "$lte", "$ne", "$exists"})

DURABLE = WriteConcern(w="majority", j=True)
MAJORITY = ReadConcern("majority")
SNAPSHOT = ReadConcern("snapshot")
CODEC: CodecOptions[Document] = CodecOptions(tz_aware=True)

NAMESPACE_EXISTS = 48
NO_SUCH_TRANSACTION = 251
DUPLICATE_KEY = 11000
CONFLICT_CODES = frozenset(
    {
        24,  # LockTimeout
        112,  # WriteConflict
        246,  # SnapshotUnavailable
        NO_SUCH_TRANSACTION,  # the server ended it: its session was killed, its time was up, or it failed over
        11601,  # Interrupted: its session was killed while it worked
    }
)
FAILOVER_CODES = frozenset(
    {
        43,  # CursorNotFound: the server restarted or failed over between two parts of an answer
        91,  # ShutdownInProgress
        134,  # ReadConcernMajorityNotAvailableYet
        189,  # PrimarySteppedDown
        11600,  # InterruptedAtShutdown
        11602,  # InterruptedDueToReplStateChange
    }
)
TIMEOUT_CODES = frozenset(
    {
        50,  # MaxTimeMSExpired
        133,  # FailedToSatisfyReadPreference
        262,  # ExceededTimeLimit
    }
)


def open_client(uri: str, name: str) -> AsyncMongoClient[Document]:
    """Make a client that waits for nothing longer than its limits; ``name`` is what the server's logs call it."""
    return AsyncMongoClient[Document](
        uri,
        appname=name,
        serverSelectionTimeoutMS=SERVER_SELECTION_TIMEOUT_MS,
        connectTimeoutMS=CONNECT_TIMEOUT_MS,
        socketTimeoutMS=SOCKET_TIMEOUT_MS,
        maxPoolSize=POOL_CONNECTIONS_MAX,
        waitQueueTimeoutMS=POOL_WAIT_TIMEOUT_MS,
        serverMonitoringMode="poll",  # streaming takes two more connections, and a failed command asks at once anyway
        tz_aware=True,
    )


def in_the_stores_words(error: PyMongoError) -> StoreError | None:
    """What a driver's error means to callers of the store; ``None`` if it is nothing they could act on: a bug of ours.

    The server's own words go no further: they can hold values of documents.
    """
    code = error.code if isinstance(error, OperationFailure) else None
    if code == DUPLICATE_KEY:
        return AlreadyExistsError("an inserted id, or a value of a unique index, exists")
    if code in CONFLICT_CODES:
        return ConflictError(f"the server ended the transaction (code {code})")
    if isinstance(error, (ConnectionFailure, WriteConcernError)) or code in FAILOVER_CODES | TIMEOUT_CODES:
        return StoreUnavailableError(f"{type(error).__name__} (code {code})")
    if code is not None and error.has_error_label("TransientTransactionError"):
        return ConflictError(f"the server ended the transaction (code {code})")
    return None


def is_lost_answer(error: PyMongoError) -> bool:
    """Whether a read that failed may be asked again at once: a connection or a server went away, but no time was up."""
    if isinstance(error, (NetworkTimeout, ServerSelectionTimeoutError, WaitQueueTimeoutError)):
        return False
    return isinstance(error, ConnectionFailure) or (
        isinstance(error, OperationFailure) and error.code in FAILOVER_CODES
    )


def chunks(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    """Cut a sequence into parts of at most ``size``; what fits into one part is not copied."""
    if 0 < len(items) <= size:
        yield items
        return
    for start in range(0, len(items), size):
        yield items[start : start + size]


class Commands:
    """Runs raw commands on one database in one session. Raises the driver's errors as they are."""

    def __init__(self, database: AsyncDatabase[Document], session: AsyncClientSession, ids_per_query: int) -> None:
        self._database = database
        self._session = session
        self._ids_per_query = ids_per_query

    async def get(self, collection: str, ids: Iterable[str]) -> dict[str, Document]:
        """The documents that exist of these ids."""
        found: dict[str, Document] = {}
        for part in chunks(list(ids), self._ids_per_query):
            documents = await self._find({"find": collection, "filter": {"_id": {"$in": part}}}, len(part))
            found.update([(document["_id"], document) for document in documents])
        return found

    async def find(
        self, collection: str, where: Where, sort: Sort, limit: int, fields: Sequence[str] | None
    ) -> list[Document]:
        """At most ``limit`` documents, sorted; of each only ``fields`` if given."""
        _check(where)
        command: Document = {"find": collection, "filter": where, "sort": dict(sort)}
        if fields is not None:
            command["projection"] = dict.fromkeys(("_id", *fields), 1)
        return await self._find(command, limit)

    async def count(self, collection: str, where: Where) -> int:
        """The number of documents; outside transactions, where the command does not exist."""
        assert not self._session.in_transaction, "documents cannot be counted in a transaction"
        _check(where)
        command: Document = {"count": collection, "query": where, "maxTimeMS": COMMAND_TIMEOUT_MS}
        number: int = (await self._run(command | self._read_concern()))["n"]
        return number

    async def insert(self, collection: str, documents: Sequence[Document]) -> int:
        """Add documents; return how many."""
        return await self._write({"insert": collection, "documents": documents})

    async def update(self, collection: str, updates: Sequence[Document]) -> int:
        """Run update statements; return how many found their document, or made it."""
        return await self._write({"update": collection, "updates": updates})

    async def delete(self, collection: str, ids: Sequence[str]) -> int:
        """Remove documents; return how many there were."""
        return await self._write({"delete": collection, "deletes": [{"q": {"_id": each}, "limit": 1} for each in ids]})

    async def _find(self, command: Document, limit: int) -> list[Document]:
        """One round trip if all fits into one answer (16 MB)."""
        assert 0 < limit <= READ_DOCUMENTS_MAX, f"a read of {limit} documents"
        command |= {"limit": limit, "batchSize": limit, "maxTimeMS": COMMAND_TIMEOUT_MS}
        if not self._session.in_transaction:  # there the first command has said it for all
            command |= self._read_concern()
        cursor = (await self._run(command))["cursor"]
        found: list[Document] = cursor["firstBatch"]
        while cursor["id"]:  # counts against the time limit of its find; has none of its own
            cursor = (await self._run({"getMore": cursor["id"], "collection": command["find"]}))["cursor"]
            found += cursor["nextBatch"]
        return found

    def _read_concern(self) -> Document:
        """What a majority holds, not older than what this session saw last."""
        # The driver adds the session's time to no raw command but a transaction's first.
        seen = self._session.operation_time
        return {"readConcern": MAJORITY.document | ({} if seen is None else {"afterClusterTime": seen})}

    async def _write(self, command: Document) -> int:
        command["maxTimeMS"] = COMMAND_TIMEOUT_MS
        reply = await self._run(command)
        if refused := reply.get("writeErrors"):  # the driver does not look at this part of a raw command's reply
            first = refused[0]
            kind = DuplicateKeyError if first["code"] == DUPLICATE_KEY else OperationFailure
            raise kind(first.get("errmsg", ""), first["code"], dict(first))
        count: int = reply["n"]
        return count

    async def _run(self, command: Document) -> Document:
        return await self._database.command(command, codec_options=CODEC, session=self._session)


def _check(where: Where) -> None:
    """Assert that a filter uses no operator but those that every implementation of the store knows."""
    for field, condition in where.items():
        assert not field.startswith("$"), f"{field} is none of a store's operators"
        if isinstance(condition, Mapping):
            unknown = [name for name in condition if name.startswith("$") and name not in OPERATORS]
            assert not unknown, f"{unknown} are none of a store's operators"


def set_fields(identifier: str, fields: Mapping[str, Any], *, upsert: bool) -> Document:
    """The update statement that sets top-level fields of one document."""
    # The server would take a dot for a path into the document.
    assert not [name for name in fields if "." in name or name.startswith("$")], "only top-level fields can be updated"
    return {"q": {"_id": identifier}, "u": {"$set": fields}, "upsert": upsert}


def replace_whole(document: Document) -> Document:
    """The update statement that puts a whole document in its id's place, whether one is there or not."""
    return {"q": {"_id": document["_id"]}, "u": document, "upsert": True}
