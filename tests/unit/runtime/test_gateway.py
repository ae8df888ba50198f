"""The gateway passes requests on as they are, says who sent them, and hides what is not for the world."""

import random
from collections.abc import AsyncIterator, Callable

import httpx
import pytest
from fastapi import FastAPI

from services.runtime.gateway import build_gateway
from services.runtime.metrics import Metrics
from tests.support.asgi import call
from tests.support.canaries import CANARIES, logged

BACKENDS = {"registry": "http://registry.local:8101", "hours": "http://hours.local:8103"}
Handler = Callable[[httpx.Request], httpx.Response]


def gateway(handler: Handler) -> FastAPI:
    return build_gateway(
        BACKENDS, httpx.MockTransport(handler), rng=random.Random(1), metrics=Metrics("gateway", "gateway")
    )


class Backend:
    """Remembers what it was asked."""

    def __init__(self, answer: httpx.Response | None = None) -> None:
        self.requests: list[httpx.Request] = []
        self.answer = answer or httpx.Response(200, json={"ok": True})

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        return self.answer

    @property
    def request(self) -> httpx.Request:
        (request,) = self.requests
        return request


async def test_the_prefix_names_the_service_and_is_taken_off() -> None:
    backend = Backend()
    answer = await call(gateway(backend), "GET", "/hours/v1/accounts/%E7%94%84?month=2026-07&x=%20")
    assert (answer.status, answer.json) == (200, {"ok": True})
    assert str(backend.request.url) == "http://hours.local:8103/v1/accounts/%E7%94%84?month=2026-07&x=%20"


async def test_a_body_is_passed_on_piece_by_piece() -> None:
    backend = Backend()
    headers = {"authorization": "Bearer t", "idempotency-key": "k", "content-type": "application/json"}
    chunks = [b'{"a": ', b"1}"]
    await call(gateway(backend), "POST", "/registry/v1/x", headers=headers | {"content-length": "8"}, chunks=chunks)
    assert backend.request.content == b'{"a": 1}'
    for name, value in headers.items():
        assert backend.request.headers[name] == value
    assert backend.request.headers["content-length"] == "8"


async def test_headers_of_the_connection_and_claims_of_the_client_stay_behind() -> None:
    backend = Backend()
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
    got = backend.request.headers
    for name in ("connection", "x-private", "te", "proxy-authorization", "upgrade", "forwarded"):
        assert name not in got
    assert got["accept"] == "application/json"
    assert got["x-forwarded-for"] == "127.0.0.1"
    assert got["x-forwarded-host"] == "platform.example"
    assert got["host"] == "registry.local:8101"
    assert "content-length" not in got
    assert "transfer-encoding" not in got


async def test_the_answer_comes_back_as_it_was_without_its_connections_headers() -> None:
    answered = httpx.Response(
        412,
        headers=[
            ("etag", '"3"'),
            ("set-cookie", "a=1"),
            ("connection", "close, x-b"),
            ("x-b", "1"),
            ("keep-alive", "5"),
        ],
        content=b"compressed or not",
    )
    answer = await call(gateway(Backend(answered)), "GET", "/registry/v1/x")
    assert (answer.status, answer.body) == (412, b"compressed or not")
    assert answer.headers["etag"] == '"3"'
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
async def test_a_location_on_the_backend_is_one_behind_the_gateway(location: str, seen: str) -> None:
    answer = await call(
        gateway(Backend(httpx.Response(201, headers={"location": location}))), "POST", "/registry/v1/x", body={}
    )
    assert answer.headers["location"] == seen


async def test_an_answer_is_streamed() -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield b"one"
        yield b"two"

    answer = await call(gateway(Backend(httpx.Response(200, content=pieces()))), "GET", "/registry/v1/x")
    assert answer.body == b"onetwo"


async def test_every_request_has_a_trace() -> None:
    backend = Backend()
    parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    await call(gateway(backend), "GET", "/registry/v1/x", headers={"traceparent": parent})
    passed_on = backend.request.headers["traceparent"]
    assert passed_on.startswith("00-0af7651916cd43dd8448eb211c80319c-")
    assert "b7ad6b7169203331" not in passed_on


@pytest.mark.parametrize(
    "path",
    ["/registry/metrics", "/registry/readyz", "/registry/healthz", "/registry", "/registry/", "/accounts/v1/x", "/x"],
)
async def test_what_is_not_for_the_world_is_not_found(path: str) -> None:
    backend = Backend()
    answer = await call(gateway(backend), "GET", path)
    assert (answer.status, answer.code) == (404, "not_found")
    assert not backend.requests


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (httpx.ConnectError("refused"), 502, "bad_gateway"),
        (httpx.ConnectTimeout("late"), 502, "bad_gateway"),
        (httpx.RemoteProtocolError("hung up"), 502, "bad_gateway"),
        (httpx.ReadTimeout("late"), 504, "gateway_timeout"),
        (httpx.PoolTimeout("full"), 503, "try_again"),
    ],
)
async def test_a_backend_that_does_not_answer_is_a_problem_of_its_own(error: Exception, status: int, code: str) -> None:
    def fail(_: httpx.Request) -> httpx.Response:
        raise error

    answer = await call(gateway(fail), "GET", "/registry/v1/x")
    assert (answer.status, answer.code) == (status, code)


async def test_the_gateway_is_ready_while_any_service_answers() -> None:
    away: set[str] = set()

    def backend(request: httpx.Request) -> httpx.Response:
        if request.url.host in away:
            raise httpx.ConnectError("refused")
        return httpx.Response(200)

    app = gateway(backend)
    assert (await call(app, "GET", "/readyz")).status == 200
    away.add("registry.local")
    assert (await call(app, "GET", "/readyz")).status == 200
    away.add("hours.local")
    assert (await call(app, "GET", "/readyz")).code == "not_ready"


async def test_the_first_page_links_to_every_api() -> None:
    page = (await call(gateway(Backend()), "GET", "/")).body.decode()
    for service in BACKENDS:
        assert f'href="{service}/docs"' in page
        assert f'href="{service}/openapi.json"' in page


async def test_log_and_metrics_of_the_gateway_hold_no_path() -> None:
    app = gateway(Backend())
    with logged() as log:
        await call(app, "GET", f"/registry/v1/volunteers/{CANARIES['phone']}?name={CANARIES['citizen_id']}")
    (line,) = log.lines
    assert line["route"] == "/registry/*"
    metrics = (await call(app, "GET", "/metrics")).body.decode()
    assert 'route="/registry/*"' in metrics
    assert CANARIES["phone"] not in metrics
