"""A stubborn client asks with one key until there is an answer for good."""

import random
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import httpx
import pytest

from tests.support.chaos.asking import Asking, NeverAnsweredError, Pace
from tests.support.chaos.credentials import Credentials

Step = Callable[[httpx.Request], httpx.Response]


@pytest.fixture
def asked() -> list[httpx.Request]:
    return []


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.support.chaos.asking.BACK_OFF_FIRST_S", 0.001)


def answers(status: int, **body: str) -> Step:
    return lambda request: httpx.Response(status, json=body)


def breaks(request: httpx.Request) -> httpx.Response:
    raise httpx.ReadError("the connection broke", request=request)


@pytest.fixture
def asking(asked: list[httpx.Request], tmp_path: Path) -> Callable[..., Asking]:
    def make(*steps: Step, patience_s: float = 5.0) -> Asking:
        todo: Iterator[Step] = iter(steps)

        def handle(request: httpx.Request) -> httpx.Response:
            asked.append(request)
            return next(todo)(request)

        return Asking(
            "http://gateway",
            Credentials(tmp_path / "key.pem"),
            random.Random(1),
            Pace(1000),
            httpx.MockTransport(handle),
            patience_s,
        )

    return make


async def test_an_unanswered_command_is_asked_again_with_the_same_key_and_body(
    asking: Callable[..., Asking], asked: list[httpx.Request]
) -> None:
    client = asking(breaks, answers(502), answers(503), answers(504), answers(201, id="1"))
    async with client:
        answer = await client.command("/registry/v1/volunteers", {"number": "1"}, key="one")
    assert (answer.is_accepted, answer.tries, answer.json) == (True, 5, {"id": "1"})
    assert {request.headers["idempotency-key"] for request in asked} == {"one"}
    assert len({request.content for request in asked}) == 1
    assert client.troubles == {"ReadError": 1, "502": 1, "503": 1, "504": 1}


@pytest.mark.parametrize("status", [409, 422])
async def test_a_refusal_is_an_answer_for_good(
    status: int, asking: Callable[..., Asking], asked: list[httpx.Request]
) -> None:
    async with asking(answers(status, code="session_full")) as client:
        answer = await client.command("/x", {}, key="one")
    assert (answer.is_accepted, answer.status, answer.code) == (False, status, "session_full")
    assert len(asked) == 1


async def test_a_service_that_fails_is_asked_again_and_that_is_counted(asking: Callable[..., Asking]) -> None:
    client = asking(answers(500), answers(201, id="1"))
    async with client:
        answer = await client.command("/x", {}, key="one")
    assert answer.is_accepted
    assert client.troubles == {"500": 1}


async def test_an_expired_token_is_fetched_anew_and_the_command_keeps_its_key(
    asking: Callable[..., Asking], asked: list[httpx.Request]
) -> None:
    client = asking(answers(200), answers(401, code="token_expired"), answers(200))
    async with client:
        await client.command("/x", {}, key="one")
        client.tokens.expire()
        answer = await client.command("/x", {}, key="two")
    assert answer.is_accepted
    assert [request.headers["idempotency-key"] for request in asked] == ["one", "two", "two"]
    assert len({request.headers["authorization"] for request in asked}) == 3
    assert client.troubles == {"401": 1}


async def test_what_is_never_answered_is_a_failure(asking: Callable[..., Asking]) -> None:
    async with asking(breaks, breaks, breaks, patience_s=0.0) as client:
        with pytest.raises(NeverAnsweredError, match="GET /x"):
            await client.get("/x")


async def test_an_answer_that_was_given_before_is_counted(asking: Callable[..., Asking]) -> None:
    def replayed(_: httpx.Request) -> httpx.Response:
        return httpx.Response(200, headers={"Idempotency-Replayed": "true"}, json={})

    async with asking(answers(200), replayed) as client:
        for _ in range(2):
            await client.command("/x", {}, key="one")
    assert (client.commands, client.replayed) == (2, 1)


async def test_a_batch_has_no_key_but_its_bytes(asking: Callable[..., Asking], asked: list[httpx.Request]) -> None:
    async with asking(answers(200)) as client:
        await client.command("/activities/v1/batches", b'{"kind": "kiosk"}', key="")
    assert "idempotency-key" not in asked[0].headers
    assert asked[0].content == b'{"kind": "kiosk"}'


async def test_a_list_is_sent_as_text(asking: Callable[..., Asking], asked: list[httpx.Request]) -> None:
    async with asking(answers(200)) as client:
        await client.command("/registry/v1/imports/units", "单位代码\n", key="one")
    assert asked[0].headers["content-type"] == "text/csv"
    assert asked[0].content.decode() == "单位代码\n"


async def test_a_list_in_pages_is_read_to_its_end(asking: Callable[..., Asking], asked: list[httpx.Request]) -> None:
    def page(items: list[int], following: str | None) -> Step:
        return lambda _: httpx.Response(200, json={"items": items, "next": following})

    async with asking(page([1, 2], "b"), page([3], None)) as client:
        assert await client.pages("/x", limit=2) == [1, 2, 3]
    assert [request.url.params.get("after") for request in asked] == [None, "b"]


async def test_commands_begin_evenly(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    monkeypatch.setattr("asyncio.sleep", sleep)
    pace = Pace(10)
    waits: list[Awaitable[None]] = [pace.wait() for _ in range(3)]
    for each in waits:
        await each
    assert slept == pytest.approx([0.0, 0.1, 0.2], abs=0.02)
