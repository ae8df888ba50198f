"""Calls an ASGI app in process, as a server would, without one; what a service answers must be documented."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from starlette.types import ASGIApp, Message

from services.runtime.http import ServiceApp

PROBLEM_JSON = "application/problem+json"
Documented = dict[tuple[str, str], dict[int, frozenset[str]]]
"""By method and pattern of path: the statuses, and the codes that each may have."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back; header names are in lower case; ``body`` is raw."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body, parsed."""
        return json.loads(self.body)

    @property
    def code(self) -> str:
        """The stable code of a problem; fails if the answer is none."""
        assert self.headers.get("content-type") == PROBLEM_JSON, (self.status, self.headers, self.body)
        problem = self.json
        assert problem["status"] == self.status
        assert problem["title"]
        code: str = problem["code"]
        return code


async def call(
    app: ASGIApp,
    method: str,
    path: str,
    *,
    headers: Mapping[str, str] | None = None,
    body: Any = None,
    chunks: list[bytes] | None = None,
    documented: bool = True,
) -> Answer:
    """One request. ``body``: bytes as they are, else as JSON; ``chunks``: sent piece by piece, their sum unknown.

    Fails if a service answers a status or a problem's code that its OpenAPI document does not name for the route
    (unless ``documented`` is off, as in simulations, which make many apps).
    """
    path, _, query = path.partition("?")
    sent = {name.lower(): value for name, value in (headers or {}).items()}
    if body is not None and not isinstance(body, bytes):
        body = json.dumps(body, ensure_ascii=False).encode()
        sent.setdefault("content-type", "application/json")
    if chunks is None:
        chunks = [body or b""]
        if body is not None:
            sent.setdefault("content-length", str(len(body)))
    answer = await _answer(app, http_scope(method, path, query, sent), chunks)
    if documented and isinstance(app, ServiceApp):
        _assert_documented(app, method, path, answer)
    return answer


def http_scope(method: str, path: str, query: str, headers: Mapping[str, str]) -> dict[str, Any]:
    """What a server tells an app of a request."""
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": unquote(path),
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
        "client": ("127.0.0.1", 12345),
        "server": ("127.0.0.1", 80),
    }


async def hang_up(app: ASGIApp, scope: dict[str, Any], *pieces: bytes) -> list[Message]:
    """A client that hangs up after these pieces of its body; what the app sent all the same."""
    left = [{"type": "http.request", "body": piece, "more_body": True} for piece in pieces]
    sent: list[Message] = []

    async def receive() -> Message:
        return left.pop(0) if left else {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        sent.append(message)

    await app(scope, receive, send)
    return sent


def _assert_documented(app: ServiceApp, method: str, path: str, answer: Answer) -> None:
    for route, answers in _documented(app).items():
        if route[0] == method.lower() and re.fullmatch(route[1], path):
            assert answer.status in answers, f"{method} {path} answered {answer.status}, which is not documented"
            if answer.headers.get("content-type") == PROBLEM_JSON:
                assert answer.code in answers[answer.status], f"{method} {path}: {answer.code} is not documented"
            return


def _documented(app: ServiceApp) -> Documented:
    known: Documented | None = getattr(app.state, "documented_answers", None)
    if known is None:
        known = app.state.documented_answers = _read_document(app)
    return known


def _read_document(app: ServiceApp) -> Documented:
    return {
        (method, re.sub(r"\{[^}]*\}", "[^/]+", path)): {
            int(status): frozenset(
                code for media in response.get("content", {}).values() for code in media.get("examples", {})
            )
            for status, response in operation["responses"].items()
        }
        for path, operations in app.openapi()["paths"].items()
        for method, operation in operations.items()
    }


async def _answer(app: ASGIApp, scope: dict[str, Any], chunks: list[bytes]) -> Answer:
    left = list(chunks)
    started: list[Message] = []
    received: list[bytes] = []

    async def receive() -> Message:
        if not left:
            return {"type": "http.disconnect"}
        chunk = left.pop(0)
        return {"type": "http.request", "body": chunk, "more_body": bool(left)}

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            started.append(message)
        else:
            received.append(message.get("body", b""))

    await app(scope, receive, send)
    (start,) = started
    headers = {name.decode().lower(): value.decode() for name, value in start["headers"]}
    return Answer(start["status"], headers, b"".join(received))
