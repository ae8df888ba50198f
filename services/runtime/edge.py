"""Stands around a service's routes as plain ASGI: admits requests; traces, measures, logs and secures each answer."""

import asyncio
import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Final, NamedTuple
from urllib.parse import parse_qsl

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.eventing.ports import Clock
from services.eventing.traces import Span, Spans, Trace, next_step
from services.runtime import logs
from services.runtime.auth import Caller
from services.runtime.metrics import AUTHENTICATION_FAILURES, COMMANDS_REPLAYED, HTTP_IN_FLIGHT, HTTP_SECONDS, Metrics
from services.runtime.outcomes import Refusal
from services.runtime.problems import ProblemTable, RefusedError, too_many_requests
from services.runtime.rates import RateLimit
from services.runtime.tokens import Authenticator

REQUEST_TIMEOUT_S: Final = 30.0
"""From a request's head to its answer's end; what is not committed by then is not."""
STATUS_CLIENT_GONE: Final = 499
"""What logs and metrics say of a request whose client hung up (nginx's number); nobody receives it."""
SECURITY_HEADERS: Final[Mapping[str, str]] = {
    "cache-control": "no-store",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
    "referrer-policy": "no-referrer",
    "strict-transport-security": "max-age=31536000; includeSubDomains",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}
"""On every answer that does not set its own. Browsers heed HSTS over TLS only, so that it does no harm without."""
EVENTS_PATH: Final = "/v1/events"
"""The one route that a ticket opens as well as a token."""
PROTECTED: Final = "/v1/"
"""Everything below needs a valid token."""

_log = logs.logger(__name__)


@dataclass(frozen=True, slots=True)
class Tracing:
    """Where spans go, which share of the traces that begin here is sampled, and the time they are told in."""

    spans: Spans
    ratio: float
    wall: Clock

    def record(self, span: Span) -> None:
        """Hands a finished step on."""
        self.spans.record(span)


class Observed:
    """Gives each request its trace, and each answer its headers, metric and log line; no error leaves it silent."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        rng: random.Random,
        table: ProblemTable,
        timeout_s: float = REQUEST_TIMEOUT_S,
        tracing: Tracing | None = None,
    ) -> None:
        self._app, self._rng, self._table, self._timeout_s = app, rng, table, timeout_s
        self._tracing = tracing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        came_with = Headers(scope=scope).get("traceparent")
        trace = next_step(came_with, self._rng, ratio=self._tracing.ratio if self._tracing else 0.0)
        scope["traceparent"] = trace.traceparent
        metrics: Metrics = scope["app"].state.metrics
        answer = _Answer(send)
        loop = asyncio.get_running_loop()
        started_s = loop.time()
        metrics.add(HTTP_IN_FLIGHT, 1)
        with logs.tracing(trace.trace_id):
            try:
                await self._answer(scope, receive, answer, trace)
            finally:
                metrics.add(HTTP_IN_FLIGHT, -1)
                seconds = loop.time() - started_s
                _tell(scope, answer, seconds, metrics)
                if self._tracing is not None and trace.is_sampled:
                    self._tracing.record(_span(scope, answer, trace, came_with, self._tracing.wall.now(), seconds))

    async def _answer(self, scope: Scope, receive: Receive, answer: "_Answer", trace: Trace) -> None:
        try:
            async with asyncio.timeout(self._timeout_s) as limit:
                scope["time_limit"] = limit  # what answers with a stream has limits of its own
                await self._app(scope, receive, answer.send)
        except ClientDisconnect:
            answer.status = STATUS_CLIENT_GONE
        except Exception as error:
            _log.error("request failed", route=_route(scope), exc_info=error)
            if answer.begun:
                raise  # half an answer is out: only a broken connection tells the client so
            late = isinstance(error, TimeoutError)
            refusal = Refusal("try_again") if late else Refusal("internal_error", extra={"trace_id": trace.trace_id})
            await self._table.response(refusal)(scope, receive, answer.send)


def _span(
    scope: Scope, answer: "_Answer", trace: Trace, came_with: str | None, ended_at: datetime, seconds: float
) -> Span:
    route = _route(scope)
    return Span(
        name=f"{scope['method']} {route}",
        kind="server",
        trace=trace,
        parent=came_with,
        ended_at=ended_at,
        seconds=seconds,
        attributes={
            "http.request.method": scope["method"],
            "http.route": route,
            "http.response.status_code": answer.status,
        },
        failed=answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR,
    )


def _tell(scope: Scope, answer: "_Answer", seconds: float, metrics: Metrics) -> None:
    route = _route(scope)
    metrics.observe(HTTP_SECONDS, seconds, scope["method"], route, str(answer.status))
    if answer.replayed:
        metrics.count(COMMANDS_REPLAYED, 1)
    caller = scope.get("caller")
    _log.info(
        "request answered",
        method=scope["method"],
        route=route,
        status=answer.status,
        duration_ms=round(seconds * 1_000, 3),
        client=caller.client if caller else None,
        subject=caller.subject if caller else None,
    )


class _Answer:
    """What goes out: adds headers to its head and remembers its status."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.status = 500
        self.begun = False
        self.replayed = False

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status, self.begun = message["status"], True
            headers = MutableHeaders(scope=message)
            for name, value in SECURITY_HEADERS.items():
                headers.setdefault(name, value)
            self.replayed = "idempotency-replayed" in headers
        await self._send(message)


def _route(scope: Scope) -> str:
    """The template of the path: a path itself holds ids, and a client could make any number of them."""
    return getattr(scope.get("route"), "path", None) or "unmatched"


class LargeBodies(NamedTuple):
    """Paths whose bodies may be larger than others, with their limit."""

    paths: re.Pattern[str]
    bytes_max: int


class Admission:
    """Lets in what has a valid token, is not one too many of its caller's and has a body of bearable size, before
    anything of it is read.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        authenticator: Authenticator,
        table: ProblemTable,
        rate: RateLimit,
        body_bytes_max: int,
        large_bodies: Sequence[LargeBodies],
    ) -> None:
        self._app, self._authenticator, self._table, self._rate = app, authenticator, table, rate
        self._body_bytes_max, self._large_bodies = body_bytes_max, large_bodies

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            headers = Headers(scope=scope)
            try:
                if scope["path"].startswith(PROTECTED) and not _has_ticket(scope, headers):
                    scope["caller"] = await self._authenticated(scope, headers.get("authorization"))
                    self._check_rate(scope["caller"])
                self._check_size(scope["path"], headers.get("content-length", ""))
            except RefusedError as error:
                await self._table.response(error.refusal, error.headers)(scope, receive, send)
                return
        await self._app(scope, receive, send)

    async def _authenticated(self, scope: Scope, authorization: str | None) -> Caller:
        try:
            return await self._authenticator.caller(authorization)
        except RefusedError as error:
            metrics: Metrics = scope["app"].state.metrics
            metrics.count(AUTHENTICATION_FAILURES, 1, error.refusal.code)
            raise

    def _check_rate(self, caller: Caller) -> None:
        wait_s = self._rate.wait_s(f"{caller.client}\x1f{caller.subject}", asyncio.get_running_loop().time())
        if wait_s:
            raise too_many_requests(wait_s)

    def _check_size(self, path: str, content_length: str) -> None:
        """Refuses by the announced size; a body without one is counted by its route while it is read."""
        size = int(content_length) if content_length.isascii() and content_length.isdigit() else 0
        if size > self._body_bytes_max:
            limits = [large.bytes_max for large in self._large_bodies if large.paths.fullmatch(path)]
            if size > max(limits, default=self._body_bytes_max):
                raise RefusedError(Refusal("body_too_large"))


def _has_ticket(scope: Scope, headers: Headers) -> bool:
    """Whether a request shows a ticket instead of a token, at the one route that looks at it."""
    return (
        scope["path"] == EVENTS_PATH
        and "authorization" not in headers
        and any(name == "ticket" for name, _ in parse_qsl(scope["query_string"].decode("latin-1")))
    )
