"""Says in one line what keeps a process from starting and what to do, and with which exit code it then ends."""

import errno
import os
import socket
from typing import Any, Final

from pymongo.errors import ConfigurationError, InvalidURI, OperationFailure, PyMongoError
from pymongo.uri_parser import parse_uri

from services.eventing.log_security import LogForbiddenError, LogRefusedError, LogUnreachableError
from services.eventing.ports import StoreUnavailableError

EXIT_UNAVAILABLE: Final = 69
"""EX_UNAVAILABLE: a broker or a database does not answer, or a port is taken; worth another start."""
EXIT_FORBIDDEN: Final = 77
"""EX_NOPERM: a broker or a database does not take our name, our password or what we ask for."""
EXIT_WRONG: Final = 78
"""EX_CONFIG: a setting, a topic or a database is not what this release needs; no other start mends it."""

_AUTHENTICATION_FAILED: Final = 18
_UNAUTHORIZED: Final = 13
_INDEX_CONFLICTS: Final = frozenset({85, 86})


class CannotStartError(Exception):
    """What an operator must do first, in one line without a secret, and the process's exit code."""

    def __init__(self, advice: str, exit_code: int) -> None:
        super().__init__(advice)
        self.advice, self.exit_code = advice, exit_code


def for_an_operator(error: BaseException) -> CannotStartError | None:
    """The line for what ended a process, if it is one that an operator can mend."""
    if isinstance(error, CannotStartError):
        return error
    return _of_the_log(error) if isinstance(error, LogRefusedError) else None


def must_be_free(host: str, port: int, variable: str) -> None:
    """Raises ``CannotStartError`` if a server of ours could not listen there."""
    if port == 0:
        return
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
            probe.listen(1)
        except OSError as error:
            raise cannot_listen(host, port, error, variable) from error


def cannot_listen(host: str, port: int, error: OSError, variable: str = "its ..._PORT variable") -> CannotStartError:
    """What to do about an address that cannot be listened on."""
    if error.errno == errno.EADDRINUSE:
        return CannotStartError(
            f"port {port} of {host} is in use: set {variable} to a free one, or stop what listens there",
            EXIT_UNAVAILABLE,
        )
    why = os.strerror(error.errno or 0).lower()
    return CannotStartError(f"cannot listen on port {port} of {host} ({why}): set {variable} or HOST", EXIT_WRONG)


def explained(error: BaseException, uri: str, database: str, waited_s: float) -> CannotStartError | None:
    """An operator's line for what a start met; ``None`` for what nobody expected."""
    if isinstance(error, LogRefusedError):
        return _of_the_log(error)
    where = f"at {hosts_of(uri)} (MONGODB_URI)"
    if isinstance(error, StoreUnavailableError):
        return CannotStartError(
            f"no database answers {where} within {waited_s:g} s: check that the replica set runs and has a primary, "
            "the address and the set's name, and that both sides agree on TLS",
            EXIT_UNAVAILABLE,
        )
    if isinstance(error, InvalidURI | ConfigurationError):
        return CannotStartError("MONGODB_URI cannot be used: check its form and the files it names", EXIT_WRONG)
    if isinstance(error, OperationFailure):
        return _of_the_database(error, where, database)
    return None


def hosts_of(uri: str) -> str:
    """The addresses in a URI, without user and password."""
    try:
        parsed: dict[str, Any] = parse_uri(uri)
    except (PyMongoError, ValueError):
        return "an address that cannot be read"
    return ",".join(f"{host}:{port}" for host, port in parsed["nodelist"])


def _of_the_log(error: LogRefusedError) -> CannotStartError:
    match error:
        case LogUnreachableError():
            return CannotStartError(str(error), EXIT_UNAVAILABLE)
        case LogForbiddenError():
            return CannotStartError(str(error), EXIT_FORBIDDEN)
        case _:
            return CannotStartError(str(error), EXIT_WRONG)


def _of_the_database(error: OperationFailure, where: str, database: str) -> CannotStartError | None:
    if error.code == _AUTHENTICATION_FAILED:
        return CannotStartError(
            f"the database {where} refuses the user or the password: check both and authSource in MONGODB_URI",
            EXIT_FORBIDDEN,
        )
    if error.code == _UNAUTHORIZED:
        return CannotStartError(
            f"the database user {where} may not do what the service needs: grant readWrite on {database}",
            EXIT_FORBIDDEN,
        )
    if error.code in _INDEX_CONFLICTS:
        return CannotStartError(
            f"the database {database} has an index of an older release that does not fit this one: follow "
            "docs/deployment.md, Upgrading",
            EXIT_WRONG,
        )
    return None
