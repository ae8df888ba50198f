"""Asks the gateway as a stubborn client: one command, one key, again and again until there is an answer for good."""

import asyncio
import json
import random
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Final, Self

import httpx

from deploy.history.gateway_client import BACK_OFF_FIRST_S, CONNECTIONS_MAX, TRY_AGAIN
from tests.support.chaos.credentials import Credentials

ANSWER_WITHIN_S: Final = 10.0
"""A client waits no longer, though the command may well be under way: then it is asked twice at a time."""
BACK_OFF_MAX_S: Final = 2.0
PATIENCE_S: Final = 240.0
ACCEPTED: Final = frozenset({200, 201})
ASK_AGAIN: Final = TRY_AGAIN | {429, 500}
"""Also who asks too often; and whether a server had a reason to fail is for the judge to say."""
UNAUTHENTICATED: Final = 401
REPLAYED: Final = "idempotency-replayed"
CSV: Final = "text/csv"


class NeverAnsweredError(Exception):
    """A question had no answer for good, though everything should long have healed."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer for good, and how often was asked for it."""

    status: int
    headers: httpx.Headers
    content: bytes
    tries: int

    @property
    def is_accepted(self) -> bool:
        """Whether the command was carried out, now or before."""
        return self.status in ACCEPTED

    @property
    def json(self) -> Any:
        """The body."""
        return json.loads(self.content)

    @property
    def code(self) -> str:
        """The code of a refusal; of anything else its status."""
        try:
            return str(self.json["code"])
        except (ValueError, KeyError, TypeError):
            return f"status {self.status}"


class Pace:
    """Lets so many begin a second, evenly."""

    def __init__(self, a_second: float) -> None:
        self.a_second = a_second
        self._next_s = 0.0

    async def wait(self) -> None:
        """Returns when it is the caller's turn."""
        now, every_s = asyncio.get_running_loop().time(), 1.0 / self.a_second
        self._next_s = max(self._next_s, now) + every_s
        await asyncio.sleep(self._next_s - every_s - now)


@dataclass(slots=True)
class Asking:
    """A client of the one address, an async context manager. ``troubles``: what kept it from an answer, by kind."""

    address: str
    tokens: Credentials
    rng: random.Random
    """Only for the jitter of retries."""
    pace: Pace
    transport: httpx.AsyncBaseTransport | None = None
    """Something else than the network."""
    patience_s: float = PATIENCE_S
    commands: int = 0
    replayed: int = 0
    """Answers that said that they were given before."""
    troubles: Counter[str] = field(default_factory=Counter)
    slowest_s: float = 0.0
    _client: httpx.AsyncClient = field(init=False)

    async def __aenter__(self) -> Self:
        limits = httpx.Limits(max_connections=CONNECTIONS_MAX, max_keepalive_connections=CONNECTIONS_MAX)
        self._client = httpx.AsyncClient(
            base_url=self.address, transport=self.transport, limits=limits, timeout=ANSWER_WITHIN_S, trust_env=False
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.aclose()

    async def command(
        self,
        path: str,
        body: Any,
        *,
        key: str,
        method: str = "POST",
        role: str = "loader",
        subject: str = "",
        if_match: str = "",
    ) -> Answer:
        """A command: ``body`` is a list as text, a batch as bytes (which is its own key), anything else JSON."""
        await self.pace.wait()
        kind = CSV if isinstance(body, str) else "application/json"
        headers = {"content-type": kind}
        headers |= {"idempotency-key": key} if key else {}
        headers |= {"if-match": if_match} if if_match else {}
        answer = await self._ask(method, path, headers, _bytes(body), {}, role, subject)
        self.commands += 1
        self.replayed += REPLAYED in answer.headers
        return answer

    async def get(self, path: str, **query: str | int) -> Answer:
        """A question."""
        return await self._ask("GET", path, {}, None, query)

    async def read(self, path: str, **query: str | int) -> Any:
        """The JSON of a read that must succeed."""
        answer = await self.get(path, **query)
        assert answer.is_accepted, f"GET {path}: {answer.status} {answer.code}"
        return answer.json

    async def pages(self, path: str, **query: str | int) -> list[Any]:
        """All items of a list that comes in pages."""
        items: list[Any] = []
        after: dict[str, str | int] = {}
        while True:
            page = await self.read(path, **query, **after)
            items += page["items"]
            if page["next"] is None:
                return items
            after = {"after": page["next"]}

    async def _ask(
        self,
        method: str,
        path: str,
        headers: dict[str, str],
        content: bytes | None,
        query: dict[str, str | int],
        role: str = "loader",
        subject: str = "",
    ) -> Answer:
        clock = asyncio.get_running_loop().time
        began, wait_s, tries = clock(), BACK_OFF_FIRST_S, 0
        while True:
            tries += 1
            token = self.tokens.of(role, subject=subject)
            known = headers | {"authorization": f"Bearer {token}"}
            try:
                answer = await self._client.request(method, path, headers=known, content=content, params=query)
            except httpx.TransportError as error:
                trouble = type(error).__name__
            else:
                if answer.status_code == UNAUTHENTICATED:
                    self.tokens.renew(role, subject=subject)
                elif answer.status_code not in ASK_AGAIN:
                    self.slowest_s = max(self.slowest_s, clock() - began)
                    return Answer(answer.status_code, answer.headers, answer.content, tries)
                trouble = str(answer.status_code)
            self.troubles[trouble] += 1
            if clock() - began > self.patience_s:
                raise NeverAnsweredError(f"{method} {path} for {self.patience_s:.0f} s: {trouble}")
            await asyncio.sleep(wait_s * self.rng.uniform(0.5, 1.0))
            wait_s = min(2 * wait_s, BACK_OFF_MAX_S)


def _bytes(body: Any) -> bytes:
    if isinstance(body, bytes):
        return body
    return body.encode() if isinstance(body, str) else json.dumps(body).encode()
