"""Runs a command once: idempotency, its writes, its facts and its kept answer are one transaction."""

import hashlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, assert_never

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from services.contracts.event import Event
from services.contracts.ids import EventId
from services.eventing.facts import Fact
from services.eventing.outbox import emit
from services.eventing.ports import (
    AlreadyExistsError,
    CommitUnknownError,
    ConflictError,
    Document,
    Index,
    Ports,
    StoreUnavailableError,
    Transaction,
)
from services.runtime.auth import SCOPE_ATTRIBUTE, Caller, allowed
from services.runtime.outcomes import Accepted, Outcome, Refusal
from services.runtime.problems import PROBLEM_MEDIA_TYPE, ProblemTable, headers_of, refused

IDEMPOTENCY: Final = "idempotency"
COLLECTIONS: Final = (IDEMPOTENCY,)
INDEXES: Final = (Index(IDEMPOTENCY, "expires_at", (("expires_at", 1),), expire_after_s=0),)
KEPT_DAYS: Final = 7
KEY_CHARACTERS_MAX: Final = 255
ATTEMPTS_MAX: Final = 3
"""How often a command is run again because an id or unique value appeared beside it."""
COMMAND_ATTRIBUTE: Final = "is_command"
"""Marks a dependency, so that the app documents the headers and problems of a command."""
KEY_FROM_BODY_ATTRIBUTE: Final = "key_from_body"

Work = Callable[[Transaction], Awaitable[Outcome]]


@dataclass(frozen=True, slots=True)
class Kept:
    """An answer as it is kept and repeated."""

    status: int
    body: bytes
    headers: dict[str, str]

    def response(self, *, replayed: bool) -> Response:
        """The HTTP answer; one that is repeated says so."""
        headers = self.headers | ({"Idempotency-Replayed": "true"} if replayed else {})
        return Response(self.body, self.status, headers=headers)


Answered = tuple[Kept, bool] | Refusal
"""A kept answer and whether it was kept before; or a refusal that is not kept."""


@dataclass(slots=True)
class Command:
    """One request to change something, and who asks; gives ids, facts and the transaction.

    ``now`` is the acceptance time, the same for every attempt.
    """

    caller: Caller
    key: str
    now: datetime
    ports: Ports
    traceparent: str | None
    if_match: str | None
    route: str
    request_sha256: str
    kept_days: int | None
    problems: ProblemTable

    def new_id(self) -> str:
        """A new UUIDv7; take it outside the work, which may run several times."""
        return self.ports.ids.new()

    def fact(self, data: Event) -> Fact:
        """A fact of this command: accepted now, traced to the request."""
        return Fact(id=EventId(self.new_id()), data=data, time=self.now, traceparent=self.traceparent)

    def unmatched(self, etag: str) -> Refusal | None:
        """The refusal of an edit whose ``If-Match`` is missing or names another version than ``etag``."""
        if self.if_match is None:
            return Refusal("if_match_missing")
        return None if self.if_match in ("*", etag) else Refusal("etag_mismatch")

    async def run(self, work: Work) -> Response:
        """Runs ``work`` in one transaction with the kept answer. ``work`` changes nothing outside the transaction."""
        row_id = self.ports.ids.new()

        async def once(tx: Transaction) -> Answered:
            known = await tx.get(IDEMPOTENCY, [self._id])
            if self._id in known:
                return self._repeated(known[self._id])
            watched = WatchedTransaction(tx)
            outcome = await work(watched)
            if isinstance(outcome, Refusal) and watched.has_written:
                raise _RefusedAfterWriting(outcome)
            kept = self._kept(outcome)
            if isinstance(outcome, Accepted):
                await emit(tx, outcome.facts, row_id=row_id, at=self.now)
            await tx.insert(IDEMPOTENCY, [self._row(kept)])
            return kept, False

        try:
            return self._answer(await self._attempts(once))
        except _RefusedAfterWriting as error:
            # What it wrote was aborted with its transaction; the refusal alone is kept, in another one.
            refusal = error.refusal
            return await self.run(lambda _: _the_same(refusal))

    async def _attempts(self, once: Callable[[Transaction], Awaitable[Answered]]) -> Answered:
        for attempt in range(1, ATTEMPTS_MAX + 1):
            try:
                return await self.ports.store.transact(once)
            except AlreadyExistsError:
                # The same command, or one that took a unique value, committed beside this: the next attempt sees it.
                if attempt == ATTEMPTS_MAX:
                    raise
            except CommitUnknownError:
                return await self._after_unknown_commit()
            except (ConflictError, StoreUnavailableError):
                return Refusal("try_again")
        raise AssertionError("unreachable")

    async def _after_unknown_commit(self) -> Answered:
        """The kept answer if the commit did happen; else the client tries again, with the same key."""
        try:
            known = await self.ports.store.get(IDEMPOTENCY, [self._id])
        except StoreUnavailableError:
            return Refusal("try_again")
        return self._repeated(known[self._id]) if self._id in known else Refusal("try_again")

    @property
    def _id(self) -> str:
        scope = f"{self.caller.client}\x1f{self.caller.subject}\x1f{self.route}\x1f{self.key}"
        return hashlib.sha256(scope.encode()).hexdigest()

    def _repeated(self, row: Document) -> Answered:
        if row["request_sha256"] != self.request_sha256:
            return Refusal("idempotency_key_reused")
        return Kept(row["status"], row["body"].encode(), dict(row["headers"])), True

    def _kept(self, outcome: Outcome) -> Kept:
        match outcome:
            case Accepted():
                headers = {"content-type": "application/json"}
                if outcome.etag is not None:
                    headers["etag"] = f'"{outcome.etag}"'
                if outcome.location is not None:
                    headers["location"] = outcome.location
                return Kept(outcome.status, msgspec.json.encode(outcome.body), headers)
            case Refusal():
                problem = self.problems[outcome.code]
                headers = headers_of(problem, {"content-type": PROBLEM_MEDIA_TYPE})
                return Kept(problem.status, self.problems.body(outcome), headers)
            case _:
                assert_never(outcome)

    def _row(self, kept: Kept) -> Document:
        row: dict[str, Any] = {
            "_id": self._id,
            "request_sha256": self.request_sha256,
            "status": kept.status,
            "body": kept.body.decode(),
            "headers": kept.headers,
        }
        if self.kept_days is not None:
            row["expires_at"] = self.ports.wall.now() + timedelta(days=self.kept_days)
        return row

    def _answer(self, result: Answered) -> Response:
        if isinstance(result, Refusal):
            return self.problems.response(result)
        kept, replayed = result
        return kept.response(replayed=replayed)


class _RefusedAfterWriting(Exception):
    """Aborts the transaction of a work that wrote before it refused."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.code)
        self.refusal = refusal


async def _the_same(refusal: Refusal) -> Refusal:
    return refusal


class WatchedTransaction:
    """A transaction that remembers whether it was written to; keeps the port ``Transaction``."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx
        self.get, self.find = tx.get, tx.find
        self.has_written = False

    async def insert(self, collection: str, documents: Sequence[Document]) -> None:
        self.has_written = True
        await self._tx.insert(collection, documents)

    async def replace(self, collection: str, documents: Sequence[Document]) -> None:
        self.has_written = True
        await self._tx.replace(collection, documents)

    async def update(self, collection: str, changes: Mapping[str, Mapping[str, Any]], *, upsert: bool = False) -> None:
        self.has_written = True
        await self._tx.update(collection, changes, upsert=upsert)

    async def delete(self, collection: str, ids: Sequence[str]) -> None:
        self.has_written = True
        await self._tx.delete(collection, ids)


def command(
    scope: str, *, key_from_body: bool = False, kept_days: int | None = KEPT_DAYS
) -> Callable[[Request], Awaitable[Command]]:
    """A dependency that gives the command of a request whose token has this scope.

    ``key_from_body``: the key is the hex SHA-256 of the exact body (a batch's id) and no header is needed.
    ``kept_days``: how long the answer is repeated; ``None`` is for ever.
    """

    async def command_of(request: Request) -> Command:
        caller = allowed(request, scope)
        body = await request.body()
        key = hashlib.sha256(body).hexdigest() if key_from_body else _key_of(request)
        if_match = request.headers.get("if-match")
        state = request.app.state
        return Command(
            caller=caller,
            key=key,
            now=state.ports.clock.now(),
            ports=state.ports,
            traceparent=request.scope.get("traceparent"),
            if_match=None if if_match is None else if_match.strip().strip('"'),
            route=f"{request.method} {request.scope['path']}",
            request_sha256=_request_sha256(request, key, if_match, body),
            kept_days=kept_days,
            problems=state.problems,
        )

    setattr(command_of, SCOPE_ATTRIBUTE, scope)
    setattr(command_of, COMMAND_ATTRIBUTE, True)
    setattr(command_of, KEY_FROM_BODY_ATTRIBUTE, key_from_body)
    return command_of


def _key_of(request: Request) -> str:
    key = request.headers.get("idempotency-key")
    if not key:
        raise refused("idempotency_key_missing")
    if len(key) > KEY_CHARACTERS_MAX or not key.isascii() or not key.isprintable():
        raise refused("idempotency_key_invalid", f"at most {KEY_CHARACTERS_MAX} printable ASCII characters")
    return key


def _request_sha256(request: Request, key: str, if_match: str | None, body: bytes) -> str:
    """What a repeat must have in common. The key, which is nowhere kept in clear, salts it: bodies may be personal."""
    head = (key.encode(), request.scope["query_string"], (if_match or "").encode())
    digest = hashlib.sha256(b"".join(b"%d:%s" % (len(part), part) for part in head))
    digest.update(body)
    return digest.hexdigest()
