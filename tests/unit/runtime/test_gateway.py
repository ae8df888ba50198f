"""The gateway passes requests on as they are, says who sent them, and hides what is not for the world."""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import pytest
from fastapi import FastAPI
from starlette.types import Message

from services.runtime import gateway as module
from services.runtime.gateway import Limits, build_gateway, client_address
from services.runtime.gateway_backend import (
    BackendAnswer,
    BackendGoneError,
    BackendLateError,
    BackendRequest,
)
from services.runtime.metrics import Metrics
from services.runtime.rates import BURST_S
from tests.support.asgi import Answer, call, hang_up, http_scope
from tests.support.canaries import CANARIES, logged

ORIGINS = {"registry": "http://registry.local:8101", "hours": "http://hours.local:8103"}


class FakeBackends:
    """Remembers what was asked and answers as a test says; keeps the port ``Backends``."""

    def __init__(
        self,
        status: int = 200,
        headers: Sequence[tuple[bytes, bytes]] = ((b"Content-Type", b"application/json"),),
        pieces: Sequence[bytes] = (b'{"ok": ', b"true}"),
        error: Callable[[BackendRequest], Exception | None] = lambda _: None,
        breaks_off: bool = False,
    ) -> None:
        self.requests: list[BackendRequest] = []
        self.bodies: list[bytes | None] = []
        self._status, self._headers, self._pieces = status, headers, pieces
        self._error, self._breaks_off = error, breaks_off
        self.meanwhile: Callable[[BackendRequest], Awaitable[None]] | None = None

    @asynccontextmanager
    async def ask(self, request: BackendRequest) -> AsyncIterator[BackendAnswer]:
        self.requests.append(request)
        if (error := self._error(request)) is not None:
            raise error
        if self.meanwhile is not None:
            await self.meanwhile(request)
        self.bodies.append(None if request.body is None else b"".join([piece async for piece in request.body]))
        yield BackendAnswer(self._status, self._headers, self._send())

    async def _send(self) -> AsyncIterator[bytes]:
        for piece in self._pieces:
            yield piece
        if self._breaks_off:
            raise BackendGoneError("broke off")

    @property
    def request(self) -> BackendRequest:
        (request,) = self.requests
        return request

    @property
    def headers(self) -> dict[str, str]:
        return {name.decode(): value.decode() for name, value in self.request.headers}


def gateway(backends: FakeBackends, **limits: int) -> FastAPI:
    return build_gateway(
        ORIGINS, backends, rng=random.Random(1), metrics=Metrics("gateway", "gateway"), limits=Limits(**limits)
    )


async def test_the_prefix_names_the_service_and_is_taken_off() -> None:
    backend = FakeBackends()
    answer = await call(gateway(backend), "GET", "/hours/v1/accounts/%E7%94%84?month=2026-07&x=%20")
    assert (answer.status, answer.json) == (200, {"ok": True})
    assert backend.request.url == "http://hours.local:8103/v1/accounts/%E7%94%84?month=2026-07&x=%20"


async def test_a_body_is_passed_on_piece_by_piece() -> None:
    backend = FakeBackends()
    headers = {"authorization": "Bearer t", "idempotency-key": "k", "content-type": "application/json"}
    chunks = [b'{"a": ', b"1}"]
    await call(gateway(backend), "POST", "/registry/v1/x", headers=headers | {"content-length": "8"}, chunks=chunks)
    assert backend.bodies == [b'{"a": 1}']
    for name, value in headers.items():
        assert backend.headers[name] == value
    assert backend.headers["content-length"] == "8"


async def test_headers_of_the_connection_and_claims_of_the_client_stay_behind() -> None:
    backend = FakeBackends()
    sent = {
        "connection": "close, x-private",
        "x-private": "1",
        "te": "trailers",
        "proxy-authorization": "Basic x",
        "upgrade": "h2c",
        "x-forwarded-for": "203.0.113.9",
        "forwarded": "for=203.0.113.9",
        "host": "platform.example",
        "accept": "application/json",
    }
    await call(gateway(backend), "GET", "/registry/v1/x", headers=sent)
    got = backend.headers
    for name in ("connection", "x-private", "te", "proxy-authorization", "upgrade", "forwarded"):
        assert name not in got
    assert got["accept"] == "application/json"
    assert got["x-forwarded-for"] == "127.0.0.1"
    assert got["x-forwarded-host"] == "platform.example"
    assert "host" not in got
    assert backend.bodies == [None]


async def test_the_answer_comes_back_as_it_was_without_its_connections_headers() -> None:
    headers = [
        (b"ETag", b'"3"'),
        (b"Content-Encoding", b"br"),
        (b"Connection", b"close, X-B"),
        (b"X-B", b"1"),
        (b"Keep-Alive", b"5"),
    ]
    answer = await call(gateway(FakeBackends(412, headers, [b"one", b"two"])), "GET", "/registry/v1/x")
    assert (answer.status, answer.body) == (412, b"onetwo")
    assert (answer.headers["etag"], answer.headers["content-encoding"]) == ('"3"', "br")
    assert not answer.headers.keys() & {"connection", "x-b", "keep-alive"}
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    ("location", "seen"),
    [
        ("/v1/volunteers/P-1", "/registry/v1/volunteers/P-1"),
        ("https://elsewhere.example/x", "https://elsewhere.example/x"),
        ("//elsewhere.example/x", "//elsewhere.example/x"),
    ],
)
async def test_a_location_on_the_service_is_one_behind_the_gateway(location: str, seen: str) -> None:
    backend = FakeBackends(201, [(b"Location", location.encode())])
    assert (await call(gateway(backend), "POST", "/registry/v1/x", body={})).headers["location"] == seen


async def test_every_request_has_a_trace() -> None:
    backend = FakeBackends()
    parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    await call(gateway(backend), "GET", "/registry/v1/x", headers={"traceparent": parent})
    passed_on = backend.headers["traceparent"]
    assert passed_on.startswith("00-0af7651916cd43dd8448eb211c80319c-")
    assert "b7ad6b7169203331" not in passed_on


@pytest.mark.parametrize(
    "path",
    ["/registry/metrics", "/registry/readyz", "/registry/healthz", "/registry", "/registry/", "/accounts/v1/x", "/x"],
)
async def test_what_is_not_for_the_world_is_not_found(path: str) -> None:
    backend = FakeBackends()
    answer = await call(gateway(backend), "GET", path)
    assert (answer.status, answer.code) == (404, "not_found")
    assert not backend.requests


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [(BackendGoneError("refused"), 502, "bad_gateway"), (BackendLateError("late"), 504, "gateway_timeout")],
)
async def test_a_service_that_does_not_answer_is_a_problem_of_its_own(error: Exception, status: int, code: str) -> None:
    answer = await call(gateway(FakeBackends(error=lambda _: error)), "GET", "/registry/v1/x")
    assert (answer.status, answer.code) == (status, code)


async def test_an_answer_that_breaks_off_breaks_off_here_too() -> None:
    """An orderly end would tell the client that half an answer is a whole one."""
    with pytest.raises(BackendGoneError):
        await call(gateway(FakeBackends(breaks_off=True)), "GET", "/registry/v1/x")


async def test_an_event_stream_is_passed_on_as_it_comes_beyond_the_time_limit_and_beside_other_requests(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "REQUEST_TIMEOUT_S", 0.0)
    monkeypatch.setattr(module, "EXTRA_TIME_S", 0.05)
    monkeypatch.setattr(module, "REQUESTS_AT_ONCE_MAX", 1)
    monkeypatch.setattr(module, "STREAMS_AT_ONCE_MAX", 1)
    more = asyncio.Event()
    stream = FakeBackends(headers=[(b"Content-Type", b"text/event-stream; charset=utf-8")])
    plain = FakeBackends()

    async def pieces() -> AsyncIterator[bytes]:
        yield b"data: 1\n\n"
        await more.wait()
        yield b"data: 2\n\n"

    monkeypatch.setattr(stream, "_send", pieces)

    class Both(FakeBackends):
        def ask(self, request: BackendRequest) -> AbstractAsyncContextManager[BackendAnswer]:  # type: ignore[override]
            return (stream if "events" in request.url else plain).ask(request)

    app = gateway(Both())
    received: list[bytes] = []

    async def send(message: Message) -> None:
        received.append(message.get("body", b""))

    async def receive() -> Message:
        await asyncio.Event().wait()
        raise AssertionError

    listening = asyncio.create_task(app(http_scope("GET", "/hours/v1/events", "", {}), receive, send))
    await asyncio.sleep(0.2)
    assert b"".join(received) == b"data: 1\n\n", "what came is out before the rest is there"
    assert (await call(app, "GET", "/hours/v1/accounts")).status == 200
    assert (await call(app, "GET", "/hours/v1/events")).code == "try_again"
    more.set()
    await listening
    assert b"".join(received) == b"data: 1\n\ndata: 2\n\n"


async def test_a_client_that_hangs_up_is_given_no_answer_and_counted_as_such() -> None:
    app = gateway(FakeBackends())
    scope = http_scope("POST", "/registry/v1/x", "", {"content-length": "9"})
    with logged() as log:
        assert await hang_up(app, scope, b"half") == []
    assert [line["status"] for line in log.lines] == [499]


async def test_more_requests_than_it_can_bear_are_told_to_try_again(monkeypatch: pytest.MonkeyPatch) -> None:
    backend = FakeBackends()
    app = gateway(backend)
    seen: list[Answer] = []

    async def another(_: BackendRequest) -> None:
        seen.append(await call(app, "GET", "/registry/v1/second"))

    monkeypatch.setattr(module, "REQUESTS_AT_ONCE_MAX", 1)
    backend.meanwhile = another
    assert (await call(app, "GET", "/registry/v1/first")).status == 200
    assert [(answer.status, answer.code) for answer in seen] == [(503, "try_again")]
    backend.meanwhile = None
    assert (await call(app, "GET", "/registry/v1/third")).status == 200


async def test_an_address_that_asks_too_often_is_told_when_to_come_back_and_the_service_is_spared() -> None:
    backends = FakeBackends()
    app = gateway(backends, requests_per_s=1)
    answers = [await call(app, "GET", "/hours/v1/accounts") for _ in range(BURST_S + 2)]
    assert [answer.status for answer in answers] == [200] * BURST_S + [429] * 2
    assert (answers[-1].code, answers[-1].headers["retry-after"]) == ("too_many_requests", "1")
    assert answers[-1].headers["x-frame-options"] == "DENY"
    assert len(backends.requests) == BURST_S


@pytest.mark.parametrize(
    ("proxies", "forwarded", "address"),
    [
        (0, ["10.0.0.9"], "127.0.0.1"),
        (1, [], "127.0.0.1"),
        (1, ["10.0.0.9"], "10.0.0.9"),
        (1, ["6.6.6.6, 10.0.0.9"], "10.0.0.9"),
        (1, ["6.6.6.6", "10.0.0.9"], "10.0.0.9"),
        (2, ["6.6.6.6, 2001:db8::7, 10.0.0.9"], "2001:db8::7"),
        (2, ["10.0.0.9"], "127.0.0.1"),
        (1, ["<script>"], "127.0.0.1"),
    ],
)
def test_only_what_trusted_proxies_saw_is_believed(proxies: int, forwarded: list[str], address: str) -> None:
    scope = http_scope("GET", "/", "", {})
    scope["headers"] = [(b"X-Forwarded-For", each.encode()) for each in forwarded]
    assert client_address(scope, proxies) == address


async def test_the_gateway_is_ready_while_any_service_answers() -> None:
    away: set[str] = set()

    def gone(request: BackendRequest) -> Exception | None:
        return BackendGoneError("refused") if request.url.removesuffix("/healthz") in away else None

    app = gateway(FakeBackends(error=gone))
    assert (await call(app, "GET", "/readyz")).status == 200
    away.add(ORIGINS["registry"])
    assert (await call(app, "GET", "/readyz")).status == 200
    away.add(ORIGINS["hours"])
    assert (await call(app, "GET", "/readyz")).code == "not_ready"


async def test_the_first_page_links_to_every_api() -> None:
    page = (await call(gateway(FakeBackends()), "GET", "/")).body.decode()
    for service in ORIGINS:
        assert f'href="{service}/docs"' in page
        assert f'href="{service}/openapi.json"' in page


async def test_log_and_metrics_of_the_gateway_hold_no_path() -> None:
    app = gateway(FakeBackends())
    with logged() as log:
        await call(app, "GET", f"/registry/v1/volunteers/{CANARIES['phone']}?name={CANARIES['citizen_id']}")
    (line,) = log.lines
    assert line["route"] == "/registry/*"
    metrics = (await call(app, "GET", "/metrics")).body.decode()
    assert 'route="/registry/*"' in metrics
    assert CANARIES["phone"] not in metrics
