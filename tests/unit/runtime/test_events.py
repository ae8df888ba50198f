"""Event streams: in order, without a gap, each once; resumed by cursor; bounded, guarded and ended with a word."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.types import Message

from services.eventing import outbox
from services.eventing.changes import Change, latest_cursor
from services.eventing.ports import StoreUnavailableError
from services.runtime import edge, events, live, tickets
from services.runtime.http import use_stop
from tests.support.asgi import Answer, call, http_scope
from tests.support.memory_store import MemoryStore
from tests.support.notes import notes_app
from tests.support.ports import SetClock, make_ports
from tests.support.tokens import bearer, http_settings

HEADERS = bearer("changes.read")
WITHIN_S = 5.0


class Feed:
    """A service's outbox as its relay leaves it: published rows, numbered."""

    def __init__(self) -> None:
        self.store = MemoryStore(outbox.INDEXES, collections=(*outbox.COLLECTIONS, *tickets.COLLECTIONS))
        self.number = 0

    async def publish(self, events_of_row: int = 1) -> None:
        """One published row of so many events."""
        first, self.number = self.number + 1, self.number + events_of_row
        items = [{"value": json.dumps({"n": n}).encode()} for n in range(first, self.number + 1)]
        row = {"_id": f"row-{first}", "events": items, "state": "marked", "epoch": 1, "streams": [f"t|k|{first}"]}

        async def write(tx: Any) -> None:
            await tx.insert("outbox", [{**row, "change_from": first, "change_to": self.number}])

        await self.store.transact(write)


@dataclass
class Stream:
    """What one client has received."""

    text: str = ""
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    is_over: bool = False
    takes: asyncio.Event = field(default_factory=asyncio.Event)
    """Cleared: the client reads nothing."""
    gone: asyncio.Event = field(default_factory=asyncio.Event)

    async def send(self, message: Message) -> None:
        await self.takes.wait()
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = {name.decode(): value.decode() for name, value in message["headers"]}
        else:
            self.text += message.get("body", b"").decode()
            self.is_over = not message.get("more_body", False)

    async def receive(self) -> Message:
        await self.gone.wait()
        return {"type": "http.disconnect"}

    @property
    def numbers(self) -> list[int]:
        """The changes, by their number in the feed."""
        return [json.loads(line[6:])["n"] for line in self.text.splitlines() if line.startswith('data: {"n"')]

    @property
    def ids(self) -> list[str]:
        return [line[4:] for line in self.text.splitlines() if line.startswith("id: ")]

    @property
    def end(self) -> str | None:
        """The code of the last event, if the stream was ended with one."""
        _, found, after = self.text.partition("event: end\ndata: ")
        return json.loads(after)["code"] if found else None


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(WITHIN_S):
        while not holds():  # noqa: ASYNC110 - what is waited for is a client's whole view, not one moment
            await asyncio.sleep(0.005)


@asynccontextmanager
async def listening(
    app: FastAPI, path: str = "/v1/events", headers: dict[str, str] | None = None
) -> AsyncIterator[Stream]:
    """A client that listens for as long as the context lasts."""
    stream = Stream()
    stream.takes.set()
    plain, _, query = path.partition("?")
    sent = HEADERS if headers is None else headers
    scope = http_scope("GET", plain, query, {name.lower(): value for name, value in sent.items()})
    answering = asyncio.create_task(app(scope, stream.receive, stream.send))
    try:
        await until(lambda: stream.status != 0)
        yield stream
    finally:
        stream.gone.set()
        stream.takes.set()
        async with asyncio.timeout(WITHIN_S):
            await answering


@pytest.fixture
def feed() -> Feed:
    return Feed()


@pytest.fixture
def app(feed: Feed) -> FastAPI:
    return notes_app(make_ports(feed.store), http_settings())


async def level(app: FastAPI, listeners: int = 1) -> None:
    """Waits until so many hear of what comes."""
    await until(lambda: len(app.state.live._listeners) == listeners)


async def test_what_is_published_is_told_in_order_and_once_to_everybody(app: FastAPI, feed: Feed) -> None:
    await feed.publish(3)
    async with listening(app) as one, listening(app) as other:
        await level(app, 2)
        assert (one.status, one.headers["content-type"]) == (200, "text/event-stream; charset=utf-8")
        assert one.headers["cache-control"] == "no-store"
        for _ in range(3):
            await feed.publish(2)
        await until(lambda: len(one.numbers) == len(other.numbers) == 6)
        assert one.numbers == other.numbers == [4, 5, 6, 7, 8, 9]
        assert one.ids == [f"1.{n}" for n in range(4, 10)]


def test_who_read_ahead_of_the_reader_is_not_told_again() -> None:
    listener = live.Listener()
    listener.level_at = 5
    listener.put([Change(f"1.{number}", b"") for number in (4, 5, 6)])
    assert [change.cursor for change in listener.waiting] == ["1.6"]


async def test_one_reader_serves_all_and_rests_when_nobody_listens(app: FastAPI, feed: Feed) -> None:
    steps: list[str] = []
    async with listening(app), listening(app), listening(app):
        await level(app, 3)
        feed.store.fault = steps.append
        await feed.publish()
        await asyncio.sleep(0.1)
        assert steps.count("find") <= 3, "as many reads as for one"
    await until(lambda: app.state.live._reading is None)
    async with listening(app) as again:
        await level(app)
        await feed.publish()
        await until(lambda: again.numbers == [2])


@pytest.mark.parametrize("resume", ["header", "query"])
async def test_who_comes_back_goes_on_behind_the_last_it_saw(app: FastAPI, feed: Feed, resume: str) -> None:
    for _ in range(150):
        await feed.publish(3)
    path = "/v1/events" + ("?after=1.7" if resume == "query" else "")
    headers = HEADERS | ({"Last-Event-ID": "1.7"} if resume == "header" else {})
    async with listening(app, path, headers) as stream:
        await until(lambda: len(stream.numbers) >= 300)
        await feed.publish(2)
        await until(lambda: len(stream.numbers) == 445)
        assert stream.numbers == list(range(8, 453))


async def test_a_cursor_of_another_history_is_refused(app: FastAPI, feed: Feed) -> None:
    await feed.publish(3)
    for cursor in ("2.2", "1.9", "nonsense"):
        answer = await call(app, "GET", f"/v1/events?after={cursor}", headers=HEADERS)
        assert (answer.status, answer.code) == (400, "cursor_invalid")


async def test_a_client_that_takes_nothing_is_cut_off_and_told_so(
    app: FastAPI, feed: Feed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "QUEUE_EVENTS_MAX", 10)
    async with listening(app) as slow, listening(app) as quick:
        await level(app, 2)
        slow.takes.clear()
        for _ in range(30):
            await feed.publish()
            await until(lambda: len(quick.numbers) == feed.number)
        assert quick.end is None
        slow.takes.set()
        await until(lambda: slow.is_over)
        assert slow.end == "too_slow"
        assert slow.numbers == list(range(1, len(slow.numbers) + 1)), "without a gap up to where it was cut"
        assert len(slow.numbers) <= 12
    async with listening(app, "/v1/events", HEADERS | {"Last-Event-ID": slow.ids[-1]}) as again:
        await until(lambda: slow.numbers + again.numbers == list(range(1, 31)))


async def test_a_client_that_takes_nothing_for_too_long_is_left(
    app: FastAPI, feed: Feed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "SEND_S", 0.05)
    async with listening(app) as stream:
        await level(app)
        stream.takes.clear()
        await feed.publish()
        await level(app, 0)
        assert not stream.is_over


async def test_a_stream_outlives_a_requests_time_limit_and_is_kept_alive(
    feed: Feed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(edge.Observed.__init__, "__kwdefaults__", {"timeout_s": 0.05, "tracing": None})
    monkeypatch.setattr(live, "HEARTBEAT_S", 0.02)
    app = notes_app(make_ports(feed.store), http_settings())
    async with listening(app) as stream:
        await until(lambda: stream.text.count(": \n\n") >= 5)
        await feed.publish()
        await until(lambda: stream.numbers == [1])


async def test_a_stream_ends_with_a_word_when_its_time_is_up_or_the_process_stops(
    app: FastAPI, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop = asyncio.Event()
    use_stop(app, stop)
    async with listening(app) as stream:
        await level(app)
        stop.set()
        await until(lambda: stream.is_over)
        assert stream.end == "stopping"
    use_stop(app, asyncio.Event())
    monkeypatch.setattr(live, "LISTENING_S_MAX", 0.05)
    monkeypatch.setattr(live, "HEARTBEAT_S", 0.02)
    async with listening(app) as stream:
        await until(lambda: stream.is_over)
        assert stream.end == "expired"


async def test_a_store_that_is_away_for_a_while_only_delays(
    app: FastAPI, feed: Feed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "RETRY_S", 0.01)
    monkeypatch.setattr(live, "POLL_S", 0.02)
    async with listening(app) as stream:
        await level(app)
        failures = iter([StoreUnavailableError("away")] * 5)

        def fault(step: str) -> None:
            if step == "find" and (error := next(failures, None)) is not None:
                raise error

        feed.store.fault = fault
        await feed.publish()
        await until(lambda: stream.numbers == [1])
        assert stream.end is None


async def test_a_reader_that_breaks_ends_its_streams_and_the_next_begins_anew(
    app: FastAPI, feed: Feed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "POLL_S", 0.02)

    def fault(step: str) -> None:
        if step == "find":
            raise ZeroDivisionError

    async with listening(app) as stream:
        await level(app)
        feed.store.fault = fault
        await until(lambda: stream.is_over)
        assert stream.end == "broken"
    feed.store.fault = None
    async with listening(app) as stream:
        await level(app)
        await feed.publish()
        await until(lambda: stream.numbers == [1])


async def test_more_listeners_than_there_may_be_are_told_to_try_again(
    app: FastAPI, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "LISTENERS_MAX", 1)
    async with listening(app):
        await level(app)
        answer = await call(app, "GET", "/v1/events", headers=HEADERS)
        assert (answer.status, answer.code) == (503, "try_again")


# who may listen


async def ticket_of(app: FastAPI, headers: dict[str, str] = HEADERS) -> Answer:
    return await call(app, "POST", "/v1/event-tickets", headers=headers)


@pytest.fixture
def wall() -> SetClock:
    return SetClock()


@pytest.fixture
def guarded(feed: Feed, wall: SetClock) -> FastAPI:
    return notes_app(make_ports(feed.store, wall=wall), http_settings())


async def test_a_ticket_opens_one_stream_without_a_token_and_is_then_used_up(app: FastAPI, feed: Feed) -> None:
    answer = await ticket_of(app)
    assert (answer.status, answer.json["expires_in_s"]) == (201, tickets.TICKET_S)
    ticket = answer.json["ticket"]
    assert ticket not in str(feed.store.documents(tickets.TICKETS)), "only its hash is kept"
    async with listening(app, f"/v1/events?ticket={ticket}", {}) as stream:
        await level(app)
        await feed.publish()
        await until(lambda: stream.numbers == [1])
    again = await call(app, "GET", f"/v1/events?ticket={ticket}")
    assert (again.status, again.code) == (401, "ticket_invalid")
    assert (await ticket_of(app)).json["ticket"] != ticket


async def test_a_ticket_is_good_for_half_a_minute_and_nowhere_else(guarded: FastAPI, wall: SetClock) -> None:
    ticket = (await ticket_of(guarded)).json["ticket"]
    for path in ("/v1/changes", "/v1/notes", "/v1/events/", "/v1/event-tickets"):
        answer = await call(guarded, "GET", f"{path}?ticket={ticket}", documented=False)
        assert (answer.status, answer.code) == (401, "unauthenticated"), path
    wall.move(timedelta(seconds=tickets.TICKET_S))
    answer = await call(guarded, "GET", f"/v1/events?ticket={ticket}")
    assert (answer.status, answer.code) == (401, "ticket_invalid")


@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        ({}, 401, "unauthenticated"),
        ({"Authorization": "Bearer nonsense"}, 401, "token_invalid"),
        (bearer("notes.read"), 403, "scope_missing"),
        (bearer("changes.read", area="340802"), 403, "outside_area"),
        (bearer("changes.read", area="own"), 403, "outside_area"),
    ],
)
async def test_nobody_else_listens_or_gets_a_ticket(
    app: FastAPI, headers: dict[str, str], status: int, code: str
) -> None:
    asks: list[Callable[[], Awaitable[Answer]]] = [
        lambda: ticket_of(app, headers),
        lambda: call(app, "GET", "/v1/events", headers=headers),
    ]
    for ask in asks:
        answer = await ask()
        assert (answer.status, answer.code) == (status, code)
    if headers:  # a ticket beside a token that is not good changes nothing
        answer = await call(app, "GET", "/v1/events?ticket=" + "0" * 64, headers=headers)
        assert (answer.status, answer.code) == (status, code)


async def test_the_latest_cursor_is_behind_all_there_is(feed: Feed) -> None:
    assert await latest_cursor(feed.store) == "0.0"
    await feed.publish(3)
    await feed.publish(2)
    assert await latest_cursor(feed.store) == "1.5"
