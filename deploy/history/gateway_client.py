"""Speaks to the platform's gateway: tokens, idempotency keys, and patience with what is not there for a while."""

import asyncio
import hashlib
import random
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, Final, Self

import httpx

from services.runtime.clock import SystemClock
from services.runtime.development import Grant, development_key, issue
from services.runtime.ids import SystemIds

CITY_AREA: Final = "3408"
TOKEN_HOURS: Final = 12
CONNECTIONS_MAX: Final = 64
REQUEST_TIMEOUT_S: Final = 60.0
BACK_OFF_FIRST_S: Final = 0.1
BACK_OFF_MAX_S: Final = 5.0
PATIENCE_S: Final = 180.0
"""How long one request is tried again before the load fails; a broker or database may be down meanwhile."""
TRY_AGAIN: Final = frozenset({502, 503, 504})


class LoadFailed(Exception):
    """The platform did not take what it must take."""


@dataclass(slots=True)
class Traffic:
    """What was sent so far."""

    requests: int = 0
    retries: int = 0


def key_of(*parts: str | bytes) -> str:
    """An idempotency key made of what is sent, so that a rerun sends the same one."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part.encode() if isinstance(part, str) else part)
        digest.update(b"\x00")
    return digest.hexdigest()[:40]


class Tokens:
    """Development tokens by role, area and subject, made as they are needed."""

    def __init__(self, key_file: Path) -> None:
        self._key = development_key(key_file)
        self._made: dict[tuple[str, str, str], str] = {}
        self._clock, self._ids = SystemClock(), SystemIds()

    def of(self, role: str, area: str = CITY_AREA, subject: str = "") -> str:
        """A token; the same one for the same question."""
        asked = (role, area, subject)
        if asked not in self._made:
            grant = Grant(role, area, subject or role, lifetime=timedelta(hours=TOKEN_HOURS))
            self._made[asked] = issue(self._key, grant, now=self._clock.now(), ids=self._ids)
        return self._made[asked]


@dataclass(slots=True)
class Gateway:
    """A client of the one address; an async context manager."""

    address: str
    tokens: Tokens
    rng: random.Random = field(default_factory=lambda: random.Random(1))
    """Only for the jitter of retries."""
    transport: httpx.AsyncBaseTransport | None = None
    """Something else than the network."""
    traffic: Traffic = field(default_factory=Traffic)
    _client: httpx.AsyncClient = field(init=False)

    async def __aenter__(self) -> Self:
        limits = httpx.Limits(max_connections=CONNECTIONS_MAX, max_keepalive_connections=CONNECTIONS_MAX)
        timeout = httpx.Timeout(REQUEST_TIMEOUT_S)
        self._client = httpx.AsyncClient(
            base_url=self.address, transport=self.transport, limits=limits, timeout=timeout, trust_env=False
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.aclose()

    async def get(self, path: str, **query: str | int) -> Any:
        """The JSON of a read that must succeed. Raises ``LoadFailed``."""
        response = await self._send("GET", path, token="", headers={}, content=None, query=query)
        if response.status_code != httpx.codes.OK:
            raise LoadFailed(f"GET {path}: {describe(response)}")
        return response.json()

    async def pages(self, path: str, **query: str | int) -> list[Any]:
        """All items of a list that comes in pages."""
        items: list[Any] = []
        after: dict[str, str | int] = {}
        while True:
            page = await self.get(path, **query, **after)
            items += page["items"]
            if page["next"] is None:
                return items
            after = {"after": page["next"]}

    async def post(
        self,
        path: str,
        *,
        token: str = "",
        key: str | None = None,
        content: bytes,
        content_type: str = "application/json",
    ) -> httpx.Response:
        """The answer to a command, tried again with the same key until there is one: accepted or refused (4xx)."""
        headers = {"content-type": content_type} | ({} if key is None else {"idempotency-key": key})
        return await self._send("POST", path, token=token, headers=headers, content=content, query={})

    async def _send(
        self,
        method: str,
        path: str,
        *,
        token: str,
        headers: dict[str, str],
        content: bytes | None,
        query: dict[str, str | int],
    ) -> httpx.Response:
        headers = {**headers, "authorization": f"Bearer {token or self.tokens.of('loader')}"}
        loop = asyncio.get_running_loop()
        give_up_at, wait_s = loop.time() + PATIENCE_S, BACK_OFF_FIRST_S
        while True:
            problem: str
            try:
                response = await self._client.request(method, path, headers=headers, content=content, params=query)
            except httpx.TransportError as error:
                problem = type(error).__name__
            else:
                self.traffic.requests += 1
                if response.status_code not in TRY_AGAIN:
                    return response
                problem = describe(response)
            if loop.time() >= give_up_at:
                raise LoadFailed(f"{method} {path} for {PATIENCE_S:.0f} s: {problem}")
            self.traffic.retries += 1
            await asyncio.sleep(wait_s * self.rng.uniform(0.5, 1.0))
            wait_s = min(2 * wait_s, BACK_OFF_MAX_S)


def code_of(response: httpx.Response) -> str | None:
    """The code of a refusal, nothing if the answer is none. Raises ``LoadFailed`` for a server's error."""
    if response.status_code < httpx.codes.BAD_REQUEST:
        return None
    if response.status_code >= httpx.codes.INTERNAL_SERVER_ERROR:
        raise LoadFailed(f"{response.request.url.path}: {describe(response)}")
    code: str = response.json()["code"]
    return code


def describe(response: httpx.Response) -> str:
    """Status and code of an answer, without any other value of it."""
    try:
        body = response.json()
    except ValueError:
        return str(response.status_code)
    return f"{response.status_code} {body.get('code', '')}" if isinstance(body, dict) else str(response.status_code)
