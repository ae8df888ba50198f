"""Asks a service over HTTP on the gateway's behalf, piece by piece in both directions."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Final, Protocol

import aiohttp
from yarl import URL

CONNECT_TIMEOUT_S: Final = 2.0
IDLE_TIMEOUT_S: Final = 35.0
"""A service gives a request up by itself before this."""
KEEP_S: Final = 20.0
"""Less than the services keep an idle connection, so that none is used at the moment it closes."""
CONNECTIONS_MAX: Final = 1_000
_NOT_ADDED: Final = ("Accept", "Accept-Encoding", "Content-Type", "User-Agent")
"""What the client library would say of itself; only what the caller said is passed on."""

Headers = Sequence[tuple[bytes, bytes]]


class BackendGoneError(Exception):
    """The service could not be reached, or hung up."""


class BackendLateError(Exception):
    """The service was reached and sent nothing for too long."""


@dataclass(frozen=True, slots=True)
class BackendRequest:
    """What is asked; ``body`` is none if the caller sent none. A ``content-length`` among the headers is kept."""

    method: str
    url: str
    headers: Headers
    body: AsyncIterator[bytes] | None


@dataclass(frozen=True, slots=True)
class BackendAnswer:
    """What comes back: the head at once, the body as it arrives, as it was encoded."""

    status: int
    headers: Headers
    pieces: AsyncIterator[bytes]


class Backends(Protocol):
    """Reaches services."""

    def ask(self, request: BackendRequest) -> AbstractAsyncContextManager[BackendAnswer]:
        """The answer, for as long as the context lasts. Raises ``BackendGoneError`` or ``BackendLateError``."""
        ...


class HttpBackends:
    """Keeps the port ``Backends`` over aiohttp's client."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session

    @classmethod
    @asynccontextmanager
    async def open(cls) -> AsyncIterator["HttpBackends"]:
        """A pool of connections."""
        session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=CONNECTIONS_MAX, keepalive_timeout=KEEP_S),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_TIMEOUT_S, sock_read=IDLE_TIMEOUT_S),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            skip_auto_headers=_NOT_ADDED,
        )
        async with session:
            yield cls(session)

    @asynccontextmanager
    async def ask(self, request: BackendRequest) -> AsyncIterator[BackendAnswer]:
        try:
            async with self._session.request(
                request.method,
                URL(request.url, encoded=True),
                headers=_texts(request.headers),
                data=request.body,
                allow_redirects=False,
            ) as response:
                yield BackendAnswer(response.status, response.raw_headers, response.content.iter_any())
        except aiohttp.ConnectionTimeoutError as error:
            raise BackendGoneError("no connection in time") from error
        except aiohttp.ServerTimeoutError as error:
            raise BackendLateError("nothing came in time") from error
        except aiohttp.ClientError as error:
            raise BackendGoneError(type(error).__name__) from error


def _texts(headers: Headers) -> list[tuple[str, str]]:
    return [(name.decode("latin-1"), _text(value)) for name, value in headers]


def _text(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")
