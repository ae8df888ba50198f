"""What an operator can mend is told in a line with an exit code; what nobody expected is not dressed up as that."""

import errno

import pytest
from pymongo.errors import ConfigurationError, OperationFailure

from services.eventing.log_security import LogForbiddenError, LogRefusedError, LogUnreachableError
from services.eventing.ports import StoreUnavailableError
from services.runtime.schema import SCHEMA, SCHEMA_ID, SCHEMA_VERSION, check_schema, mark_schema
from services.runtime.startup import CannotStartError, cannot_listen, explained, for_an_operator, hosts_of
from tests.support.memory_store import MemoryStore

URI = "mongodb://hours:hunter2@db-1:27017,db-2:27018/hours?replicaSet=silver"


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (StoreUnavailableError("x"), 69, "no database answers at db-1:27017,db-2:27018 (MONGODB_URI) within 30 s"),
        (OperationFailure("hunter2", 18), 77, "refuses the user or the password"),
        (OperationFailure("hunter2", 13), 77, "grant readWrite on hours"),
        (OperationFailure("hunter2", 85), 78, "an index of an older release"),
        (ConfigurationError("hunter2"), 78, "MONGODB_URI cannot be used"),
        (LogUnreachableError("no broker"), 69, "no broker"),
        (LogForbiddenError("no entry"), 77, "no entry"),
        (LogRefusedError("no topic"), 78, "no topic"),
    ],
)
def test_what_an_operator_can_mend_has_a_line_and_a_code(error: Exception, code: int, said: str) -> None:
    line = explained(error, URI, "hours", 30)
    assert line is not None
    assert (line.exit_code, said in line.advice) == (code, True), line.advice
    assert "hunter2" not in line.advice


@pytest.mark.parametrize("error", [OperationFailure("x", 2), ValueError("x"), KeyError("x")])
def test_what_nobody_expected_stays_that(error: Exception) -> None:
    assert explained(error, URI, "hours", 30) is None
    assert for_an_operator(error) is None


@pytest.mark.parametrize(
    ("number", "code", "said"),
    [
        (errno.EADDRINUSE, 69, "port 80 of 0.0.0.0 is in use: set API_PORT"),
        (errno.EACCES, 78, "permission denied"),
        (errno.EADDRNOTAVAIL, 78, "set API_PORT or HOST"),
    ],
)
def test_an_address_that_cannot_be_listened_on(number: int, code: int, said: str) -> None:
    line = cannot_listen("0.0.0.0", 80, OSError(number, "x"), "API_PORT")  # noqa: S104
    assert (line.exit_code, said in line.advice) == (code, True), line.advice


def test_an_address_that_cannot_be_read_shows_nothing_of_it() -> None:
    assert hosts_of("mongodb://hunter2@@@") == "an address that cannot be read"


async def test_a_new_database_is_marked_once_and_then_passes() -> None:
    store = MemoryStore()
    await check_schema(store, "hours")
    await mark_schema(store)
    await mark_schema(store)
    assert (await store.get(SCHEMA, [SCHEMA_ID]))[SCHEMA_ID]["version"] == SCHEMA_VERSION
    await check_schema(store, "hours")


@pytest.mark.parametrize("version", [SCHEMA_VERSION - 1, SCHEMA_VERSION + 1])
async def test_a_database_of_another_release_is_refused(version: int) -> None:
    store = MemoryStore()
    store.put(SCHEMA, {"_id": SCHEMA_ID, "version": version})
    with pytest.raises(
        CannotStartError, match=f"has schema {version}, and this release needs {SCHEMA_VERSION}"
    ) as refused:
        await check_schema(store, "hours")
    assert refused.value.exit_code == 78
