"""The client is patient with what is away, and sends the same command under the same key."""

from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from deploy.history import gateway_client
from deploy.history.gateway_client import Gateway, LoadFailed, Tokens, code_of, key_of

Answer = Callable[[httpx.Request], httpx.Response]


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gateway_client, "BACK_OFF_FIRST_S", 0.001)
    monkeypatch.setattr(gateway_client, "BACK_OFF_MAX_S", 0.002)
    monkeypatch.setattr(gateway_client, "PATIENCE_S", 0.05)


def gateway(tmp_path: Path, answer: Answer) -> Gateway:
    return Gateway("http://platform", Tokens(tmp_path / "key.pem"), transport=httpx.MockTransport(answer))


def refusal(status: int, code: str) -> httpx.Response:
    return httpx.Response(status, json={"code": code, "status": status})


async def test_a_command_is_tried_again_with_the_same_key_and_body(tmp_path: Path) -> None:
    seen: list[tuple[str, bytes]] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append((request.headers["idempotency-key"], request.content))
        match len(seen):
            case 1:
                raise httpx.ConnectError("away")
            case 2:
                return refusal(503, "try_again")
            case _:
                return httpx.Response(201, json={})

    async with gateway(tmp_path, answer) as client:
        response = await client.post("/x", key="k", content=b"{}")
        assert response.status_code == 201
        assert seen == [("k", b"{}")] * 3
        assert (client.traffic.requests, client.traffic.retries) == (2, 2)


async def test_a_refusal_is_an_answer(tmp_path: Path) -> None:
    async with gateway(tmp_path, lambda _: refusal(409, "already_checked_in")) as client:
        response = await client.post("/x", content=b"")
        assert code_of(response) == "already_checked_in"
        assert client.traffic.retries == 0


async def test_patience_ends(tmp_path: Path) -> None:
    async with gateway(tmp_path, lambda _: refusal(503, "try_again")) as client:
        with pytest.raises(LoadFailed, match="503 try_again"):
            await client.post("/x", content=b"")


async def test_a_servers_error_is_no_answer(tmp_path: Path) -> None:
    async with gateway(tmp_path, lambda _: refusal(500, "internal_error")) as client:
        response = await client.post("/x", content=b"")
        with pytest.raises(LoadFailed, match="500 internal_error"):
            code_of(response)


async def test_a_read_that_fails_says_what_was_read(tmp_path: Path) -> None:
    async with gateway(tmp_path, lambda _: refusal(404, "station_unknown")) as client:
        with pytest.raises(LoadFailed, match=r"GET /stations/1: 404 station_unknown"):
            await client.get("/stations/1")


async def test_all_pages_are_read(tmp_path: Path) -> None:
    pages = {None: {"items": [1, 2], "next": "b"}, "b": {"items": [3], "next": None}}

    def answer(request: httpx.Request) -> httpx.Response:
        assert request.url.params["unit"] == "340802"
        return httpx.Response(200, json=pages[request.url.params.get("after")])

    async with gateway(tmp_path, answer) as client:
        assert await client.pages("/v1/accounts", unit="340802") == [1, 2, 3]


async def test_requests_carry_a_token_of_who_sends_them(tmp_path: Path) -> None:
    tokens = Tokens(tmp_path / "key.pem")
    seen: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request.headers["authorization"])
        return httpx.Response(200, json={})

    async with Gateway("http://platform", tokens, transport=httpx.MockTransport(answer)) as client:
        await client.get("/x")
        await client.post("/x", content=b"", token=tokens.of("clerk", "340802", "c1"))
    assert seen == [f"Bearer {tokens.of('loader')}", f"Bearer {tokens.of('clerk', '340802', 'c1')}"]


def test_keys_depend_on_every_part_and_on_where_it_ends() -> None:
    keys = [key_of("a", "b"), key_of("ab"), key_of("a", b"c"), key_of("b", "a"), key_of("ab", "")]
    assert len(set(keys)) == len(keys)
    assert key_of("a", b"c") == key_of("a", b"c")
