"""One address for the four services: ``/registry/...`` goes to registry as ``/...``."""

import random
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Annotated, Final, Literal

import httpx
from fastapi import FastAPI
from pydantic import AfterValidator
from pydantic_settings import BaseSettings, SettingsConfigDict
from starlette.requests import ClientDisconnect
from starlette.responses import HTMLResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from services.contracts.topics import SERVICES
from services.runtime import logs
from services.runtime.edge import REQUEST_TIMEOUT_S, Observed
from services.runtime.ids import system_randomness
from services.runtime.metrics import Metrics
from services.runtime.operations import operations_app
from services.runtime.outcomes import Refusal
from services.runtime.problems import ProblemTable
from services.runtime.serving import end, run_to_end, serve, stop_on_signals
from services.runtime.settings import Port, load

NAME: Final = "gateway"
CONNECT_TIMEOUT_S: Final = 2.0
IDLE_TIMEOUT_S: Final = 35.0
"""A backend gives up by itself after ``REQUEST_TIMEOUT_S``."""
EXTRA_TIME_S: Final = 5.0
POOL_TIMEOUT_S: Final = 5.0
CONNECTIONS_MAX: Final = 200
CONNECTIONS_KEPT_MAX: Final = 50
KEEP_S: Final = 20.0
"""Less than the backends keep an idle connection, so that none is used at the moment it closes."""
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
_OURS: Final = frozenset(
    {b"host", b"expect", b"forwarded", b"traceparent", b"x-forwarded-for", b"x-forwarded-host", b"x-forwarded-proto"}
)
"""What the gateway says itself: a client's word for it is worth nothing."""

Headers = Sequence[tuple[bytes, bytes]]


def _origin(url: str) -> str:
    parsed = httpx.URL(url)
    if parsed.scheme not in {"http", "https"} or not parsed.host or parsed.path not in {"", "/"}:
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
    log_level: Literal["debug", "info", "warning", "error"] = "info"

    @property
    def backends(self) -> dict[str, str]:
        """The address of each service."""
        return {service: getattr(self, f"{service}_url") for service in SERVICES}


class NoBackendError(Exception):
    """None of the services answers."""


@dataclass(frozen=True, slots=True)
class _Label:
    """What metrics and logs call a request that is passed on."""

    path: str


class Proxy:
    """Passes requests on whose path begins with a service's name; everything else goes to the inner app."""

    def __init__(
        self, app: ASGIApp, *, backends: Mapping[str, str], transport: httpx.AsyncBaseTransport, table: ProblemTable
    ) -> None:
        self._app, self._transport, self._table = app, transport, table
        self._backends = {name.encode(): origin for name, origin in backends.items()}
        self._labels = {name: _Label(f"/{name.decode()}/*") for name in self._backends}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        name, slash, rest = scope["raw_path"][1:].partition(b"/")
        if name not in self._backends:
            await self._app(scope, receive, send)
            return
        scope["route"] = self._labels[name]
        path = slash + rest
        if not path.startswith(PUBLIC):
            await self._refuse(Refusal("not_found"), scope, receive, send)
            return
        await self._pass_on(name, path, scope, receive, send)

    async def _pass_on(self, name: bytes, path: bytes, scope: Scope, receive: Receive, send: Send) -> None:
        query = b"?" + scope["query_string"] if scope["query_string"] else b""
        request = httpx.Request(
            scope["method"],
            self._backends[name] + (path + query).decode("ascii"),
            headers=request_headers(scope),
            content=_body(receive) if _has_body(scope) else None,
            extensions={"timeout": _TIMEOUT.as_dict()},
        )
        try:
            response = await self._transport.handle_async_request(request)
        except httpx.PoolTimeout:
            await self._refuse(Refusal("try_again"), scope, receive, send)
        except (httpx.ReadTimeout, httpx.WriteTimeout):
            await self._refuse(Refusal("gateway_timeout"), scope, receive, send)
        except httpx.TransportError:
            await self._refuse(Refusal("bad_gateway"), scope, receive, send)
        else:
            await _answer(response, b"/" + name, send)

    async def _refuse(self, refusal: Refusal, scope: Scope, receive: Receive, send: Send) -> None:
        await self._table.response(refusal)(scope, receive, send)


_TIMEOUT: Final = httpx.Timeout(IDLE_TIMEOUT_S, connect=CONNECT_TIMEOUT_S, pool=POOL_TIMEOUT_S)


async def _answer(response: httpx.Response, prefix: bytes, send: Send) -> None:
    """Sends a backend's answer as it comes, never the whole of it in memory."""
    try:
        headers = answer_headers(response.headers.raw, prefix)
        await send({"type": "http.response.start", "status": response.status_code, "headers": headers})
        assert isinstance(response.stream, httpx.AsyncByteStream)
        async for chunk in response.stream:
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body", "body": b""})
    finally:
        await response.aclose()


def request_headers(scope: Scope) -> Headers:
    """What a backend gets to read: the client's headers without those of its connection, and who it was."""
    sent: Headers = [(name.lower(), value) for name, value in scope["headers"]]
    host = next((value for name, value in sent if name == b"host"), b"")
    client = scope["client"][0].encode() if scope.get("client") else b"unknown"
    return [
        *_end_to_end(sent, _OURS),
        (b"traceparent", scope["traceparent"].encode()),
        (b"x-forwarded-for", client),
        (b"x-forwarded-host", host),
        (b"x-forwarded-proto", scope["scheme"].encode()),
    ]


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


def _has_body(scope: Scope) -> bool:
    """Whether a body follows the head (RFC 9112, section 6.3)."""
    return any(name.lower() in {b"content-length", b"transfer-encoding"} for name, _ in scope["headers"])


async def _body(receive: Receive) -> AsyncIterator[bytes]:
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        more = message.get("more_body", False)
        if message.get("body"):
            yield message["body"]


def build_gateway(
    backends: Mapping[str, str], transport: httpx.AsyncBaseTransport, *, rng: random.Random, metrics: Metrics
) -> FastAPI:
    """The gateway's app, over a transport that its process opens and closes."""

    async def some_backend_answers() -> None:
        """One service that is away must not take the other three off the air."""
        for origin in backends.values():
            if await _is_alive(origin, transport):
                return
        raise NoBackendError("no service answers")

    app = operations_app(metrics, [some_backend_answers])
    table = ProblemTable(())

    async def index() -> HTMLResponse:
        return HTMLResponse(index_page(backends))

    app.add_api_route("/", index, methods=["GET"], include_in_schema=False)
    app.add_middleware(Proxy, backends=backends, transport=transport, table=table)
    app.add_middleware(Observed, rng=rng, table=table, timeout_s=REQUEST_TIMEOUT_S + EXTRA_TIME_S)
    return app


async def _is_alive(origin: str, transport: httpx.AsyncBaseTransport) -> bool:
    request = httpx.Request("GET", f"{origin}/healthz", extensions={"timeout": _TIMEOUT.as_dict()})
    try:
        response = await transport.handle_async_request(request)
    except httpx.TransportError:
        return False
    await response.aclose()
    return response.status_code == httpx.codes.OK


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


async def _main(settings: GatewaySettings) -> None:
    stop = stop_on_signals()
    limits = httpx.Limits(
        max_connections=CONNECTIONS_MAX, max_keepalive_connections=CONNECTIONS_KEPT_MAX, keepalive_expiry=KEEP_S
    )
    async with httpx.AsyncHTTPTransport(limits=limits, trust_env=False) as transport:
        metrics = Metrics(NAME, NAME)
        app = build_gateway(settings.backends, transport, rng=system_randomness(), metrics=metrics)
        await serve(app, settings.gateway_host, settings.gateway_port, stop)


def main() -> None:
    """Runs the gateway until it is asked to stop."""
    settings = load(GatewaySettings, NAME)
    logs.configure(NAME, NAME, level=settings.log_level)
    end(run_to_end(_main(settings)))


if __name__ == "__main__":
    main()
