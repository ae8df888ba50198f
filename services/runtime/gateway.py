"""One address for the four services: ``/registry/...`` goes to registry as ``/...``."""

import asyncio
import random
import re
from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass
from html import escape
from http import HTTPStatus
from typing import Annotated, Final, Literal
from urllib.parse import urlsplit

from fastapi import FastAPI
from pydantic import AfterValidator, Field
from pydantic_settings import BaseSettings, SettingsConfigDict
from starlette.requests import ClientDisconnect
from starlette.responses import HTMLResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from services.contracts.topics import SERVICES
from services.runtime import logs
from services.runtime.clock import SystemClock
from services.runtime.edge import REQUEST_TIMEOUT_S, Observed, Tracing
from services.runtime.gateway_backend import (
    BackendAnswer,
    BackendGoneError,
    BackendLateError,
    BackendRequest,
    Backends,
    Headers,
    HttpBackends,
)
from services.runtime.ids import system_randomness
from services.runtime.metrics import Metrics
from services.runtime.operations import operations_app
from services.runtime.outcomes import Refusal
from services.runtime.problems import ProblemTable, too_many_requests
from services.runtime.rates import RateLimit
from services.runtime.serving import end, run_to_end, serve, stop_on_signals
from services.runtime.settings import Port, TracesRatio, TracesUrl, load
from services.runtime.spans import spans_to

NAME: Final = "gateway"
EXTRA_TIME_S: Final = 10.0
"""What a service gets beyond its own time limit before the gateway gives a request up."""
REQUESTS_AT_ONCE_MAX: Final = 500
"""Beyond it callers are told to try again, rather than wait where nobody sees them."""
STREAMS_AT_ONCE_MAX: Final = 400
"""Event streams, beside those; together with them less than the connections to services there may be."""
PROXIES_MAX: Final = 5
PUBLIC: Final = (b"/v1/", b"/docs", b"/openapi.json")
"""What a backend shows to the world; its metrics and health are for its own network."""

_HOP_BY_HOP: Final = frozenset(
    {
        b"connection",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    }
)
"""Headers of one connection, which no intermediary passes on (RFC 9110, section 7.6.1)."""
_ADDRESS: Final = re.compile(r"[0-9A-Fa-f.:]{2,45}")
"""An address of either kind; what else a header may hold is neither counted by nor passed on."""
_OURS: Final = frozenset(
    {b"host", b"expect", b"forwarded", b"traceparent", b"x-forwarded-for", b"x-forwarded-host", b"x-forwarded-proto"}
)
"""What the gateway says itself: a client's word for it is worth nothing."""


def _origin(url: str) -> str:
    parsed = urlsplit(url)
    if parsed.scheme not in {"http", "https"} or not parsed.hostname or parsed.path not in {"", "/"} or parsed.query:
        raise ValueError("must be like http://host:port")
    return url.rstrip("/")


Origin = Annotated[str, AfterValidator(_origin)]


class GatewaySettings(BaseSettings):
    """Where the gateway listens, and where its backends do."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore")

    registry_url: Origin
    activities_url: Origin
    hours_url: Origin
    assessment_url: Origin
    gateway_host: str = "0.0.0.0"  # noqa: S104 - as every server's in a container
    gateway_port: Port = 8000
    gateway_requests_per_s: Annotated[int, Field(ge=0)] = 200
    """What one address may ask a second, on average, a whole office behind it; 0 is no limit."""
    gateway_proxies: Annotated[int, Field(ge=0, le=PROXIES_MAX)] = 0
    """How many proxies of ours stand before the gateway: so many entries of ``X-Forwarded-For`` are believed."""
    traces_url: TracesUrl = None
    traces_ratio: TracesRatio = 0.01
    log_level: Literal["debug", "info", "warning", "error"] = "info"

    @property
    def origins(self) -> dict[str, str]:
        """The address of each service."""
        return {service: getattr(self, f"{service}_url") for service in SERVICES}


@dataclass(frozen=True, slots=True)
class Limits:
    """What one address may ask a second, on average (0: as it likes), and how many proxies hide its address."""

    requests_per_s: int = 0
    proxies: int = 0


class NoBackendError(Exception):
    """None of the services answers."""


@dataclass(frozen=True, slots=True)
class _Label:
    """What metrics and logs call a request that is passed on."""

    path: str


class Proxy:
    """Passes requests on whose path begins with a service's name; everything else goes to the inner app."""

    def __init__(
        self, app: ASGIApp, *, origins: Mapping[str, str], backends: Backends, table: ProblemTable, limits: "Limits"
    ) -> None:
        self._app, self._backends, self._table = app, backends, table
        self._rate, self._proxies = RateLimit(limits.requests_per_s), limits.proxies
        self._origins = {name.encode(): origin for name, origin in origins.items()}
        self._labels = {name: _Label(f"/{name.decode()}/*") for name in self._origins}
        self._at_once = self._streams = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        name, slash, rest = scope["raw_path"][1:].partition(b"/") if scope["type"] == "http" else (b"", b"", b"")
        if name not in self._origins:
            await self._app(scope, receive, send)
            return
        scope["route"] = self._labels[name]
        scope["client_address"] = client_address(scope, self._proxies)
        wait_s = self._rate.wait_s(scope["client_address"], asyncio.get_running_loop().time())
        if wait_s:
            error = too_many_requests(wait_s)
            await self._table.response(error.refusal, error.headers)(scope, receive, send)
            return
        refusal = await self._pass_on(name, slash + rest, scope, receive, send)
        if refusal is not None:
            await self._table.response(refusal)(scope, receive, send)

    async def _pass_on(self, name: bytes, path: bytes, scope: Scope, receive: Receive, send: Send) -> Refusal | None:
        """Sends the service's answer; or, if none of it is out yet, says what to answer instead."""
        if not path.startswith(PUBLIC):
            return Refusal("not_found")
        if self._at_once >= REQUESTS_AT_ONCE_MAX:
            return Refusal("try_again")
        query = b"?" + scope["query_string"] if scope["query_string"] else b""
        url = self._origins[name] + (path + query).decode("ascii", "replace")
        upload = Upload(receive) if _has_body(scope) else None
        exchange = Exchange(send, prefix=b"/" + name)
        self._at_once += 1
        try:
            body = upload.pieces() if upload else None
            async with self._backends.ask(BackendRequest(scope["method"], url, request_headers(scope), body)) as answer:
                if is_stream(answer):
                    return await self._pass_stream_on(answer, exchange, scope)
                await exchange.answer(answer)
        except (BackendGoneError, BackendLateError) as error:
            if upload is not None and upload.is_broken_off:
                raise ClientDisconnect from error
            if exchange.begun:
                raise  # half an answer is out: only a broken connection tells the client so
            return Refusal("bad_gateway" if isinstance(error, BackendGoneError) else "gateway_timeout")
        finally:
            self._at_once -= 1
        return None

    async def _pass_stream_on(self, answer: BackendAnswer, exchange: "Exchange", scope: Scope) -> Refusal | None:
        """A stream goes on for long: it has a place of its own, and no time limit but its service's."""
        if self._streams >= STREAMS_AT_ONCE_MAX:
            return Refusal("try_again")
        scope["time_limit"].reschedule(None)
        self._streams += 1
        self._at_once -= 1
        try:
            await exchange.answer(answer)
        finally:
            self._streams -= 1
            self._at_once += 1
        return None


class Upload:
    """The body a client sends, as it comes."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self.is_broken_off = False

    async def pieces(self) -> AsyncIterator[bytes]:
        """The pieces in order. Raises ``ClientDisconnect`` if the client hangs up before the last."""
        more = True
        while more:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                self.is_broken_off = True
                raise ClientDisconnect
            more = message.get("more_body", False)
            if message.get("body"):
                yield message["body"]


class Exchange:
    """The way of one answer back to its client."""

    def __init__(self, send: Send, *, prefix: bytes) -> None:
        self._send, self._prefix = send, prefix
        self.begun = False

    async def answer(self, answer: BackendAnswer) -> None:
        """Sends a service's answer as it comes, never the whole of it in memory."""
        headers = answer_headers(answer.headers, self._prefix)
        self.begun = True
        await self._send({"type": "http.response.start", "status": answer.status, "headers": headers})
        async for piece in answer.pieces:
            await self._send({"type": "http.response.body", "body": piece, "more_body": True})
        await self._send({"type": "http.response.body", "body": b""})


def request_headers(scope: Scope) -> Headers:
    """What a backend gets to read: the client's headers without those of its connection, and who it was."""
    sent: Headers = [(name.lower(), value) for name, value in scope["headers"]]
    host = next((value for name, value in sent if name == b"host"), b"")
    return [
        *_end_to_end(sent, _OURS),
        (b"traceparent", scope["traceparent"].encode()),
        (b"x-forwarded-for", scope["client_address"].encode()),
        (b"x-forwarded-host", host),
        (b"x-forwarded-proto", scope["scheme"].encode()),
    ]


def client_address(scope: Scope, proxies: int) -> str:
    """Where a request came from: its connection's other end, or what the last of so many trusted proxies saw.

    Whatever stands further left in ``X-Forwarded-For`` is the client's own word.
    """
    near: str = scope["client"][0] if scope.get("client") else "unknown"
    if not proxies:
        return near
    said = b",".join(value for name, value in scope["headers"] if name.lower() == b"x-forwarded-for")
    seen = [address for each in said.decode("latin-1").split(",") if (address := each.strip())]
    far = seen[-proxies] if len(seen) >= proxies else near
    return far if _ADDRESS.fullmatch(far) else near


def answer_headers(sent: Headers, prefix: bytes) -> Headers:
    """What a client gets to read; a ``Location`` on the backend is one behind the gateway's prefix."""
    lowered = [(name.lower(), value) for name, value in sent]
    return [
        (name, prefix + value if name == b"location" and value[:1] == b"/" != value[1:2] else value)
        for name, value in _end_to_end(lowered, frozenset())
    ]


def _end_to_end(headers: Headers, dropped: frozenset[bytes]) -> Headers:
    named = {option.strip().lower() for name, value in headers if name == b"connection" for option in value.split(b",")}
    return [(name, value) for name, value in headers if name not in _HOP_BY_HOP | dropped | named]


def is_stream(answer: BackendAnswer) -> bool:
    """Whether an answer is server-sent events."""
    return any(
        name.lower() == b"content-type" and value.startswith(b"text/event-stream") for name, value in answer.headers
    )


def _has_body(scope: Scope) -> bool:
    """Whether a body follows the head (RFC 9112, section 6.3)."""
    return any(name.lower() in {b"content-length", b"transfer-encoding"} for name, _ in scope["headers"])


def build_gateway(
    origins: Mapping[str, str],
    backends: Backends,
    *,
    rng: random.Random,
    metrics: Metrics,
    limits: Limits = Limits(),
    tracing: Tracing | None = None,
) -> FastAPI:
    """The gateway's app; ``origins`` are the services' addresses by name."""

    async def some_service_answers() -> None:
        """One service that is away must not take the other three off the air."""
        for origin in origins.values():
            if await _is_alive(origin, backends):
                return
        raise NoBackendError("no service answers")

    app = operations_app(metrics, [some_service_answers])
    table = ProblemTable(())

    async def index() -> HTMLResponse:
        return HTMLResponse(index_page(origins))

    app.add_api_route("/", index, methods=["GET"], include_in_schema=False)
    app.add_middleware(Proxy, origins=origins, backends=backends, table=table, limits=limits)
    app.add_middleware(Observed, rng=rng, table=table, timeout_s=REQUEST_TIMEOUT_S + EXTRA_TIME_S, tracing=tracing)
    return app


async def _is_alive(origin: str, backends: Backends) -> bool:
    try:
        async with backends.ask(BackendRequest("GET", f"{origin}/healthz", (), None)) as answer:
            return answer.status == HTTPStatus.OK
    except (BackendGoneError, BackendLateError):
        return False


def index_page(services: Iterable[str]) -> str:
    """A page that says where what is."""
    rows = "".join(
        f'<li>{escape(name)}: <a href="{name}/docs">API</a>, <a href="{name}/openapi.json">OpenAPI</a></li>'
        for name in services
    )
    return (
        '<!doctype html><html lang="zh"><meta charset="utf-8"><title>银龄志愿服务平台</title>'
        f"<h1>银龄志愿服务平台</h1><ul>{rows}</ul>"
        '<p><a href="healthz">healthz</a>, <a href="readyz">readyz</a>, <a href="metrics">metrics</a></p></html>'
    )


async def _main(settings: GatewaySettings, metrics: Metrics) -> None:
    stop = stop_on_signals()
    async with HttpBackends.open() as backends, spans_to(settings.traces_url, NAME, NAME) as spans:
        limits = Limits(settings.gateway_requests_per_s, settings.gateway_proxies)
        tracing = Tracing(spans, settings.traces_ratio, SystemClock()) if spans is not None else None
        app = build_gateway(
            settings.origins, backends, rng=system_randomness(), metrics=metrics, limits=limits, tracing=tracing
        )
        await serve(app, settings.gateway_host, settings.gateway_port, stop)


def main() -> None:
    """Runs the gateway until it is asked to stop."""
    settings = load(GatewaySettings, NAME)
    metrics = Metrics(NAME, NAME)
    logs.configure(NAME, NAME, level=settings.log_level, on_refused=metrics.log_fields_refused)
    end(run_to_end(_main(settings, metrics)))


if __name__ == "__main__":
    main()
