"""A link carries what goes through it, breaks when it is cut, holds everything while it is stalled, and heals."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress

import pytest

from deploy.local.server_process import free_ports
from tests.support.chaos.links import Links

MOMENT_S = 0.3
ENDS_WITHIN_S = 10.0


@pytest.fixture
def ports() -> list[int]:
    return free_ports(2)


@pytest.fixture
def links(ports: list[int]) -> Iterator[Links]:
    links = Links({"client>server": (ports[0], ports[1])})
    with links.running():
        yield links


@asynccontextmanager
async def echo(port: int) -> AsyncIterator[None]:
    answering: list[asyncio.Task[None] | None] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        answering.append(asyncio.current_task())
        with suppress(ConnectionError):
            while line := await reader.readline():
                writer.write(line)
                await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", port)
    try:
        yield
    finally:
        server.close()
        await asyncio.wait({each for each in answering if each}, timeout=ENDS_WITHIN_S)


async def ask(stream: tuple[asyncio.StreamReader, asyncio.StreamWriter], line: bytes) -> bytes:
    reader, writer = stream
    writer.write(line)
    return await reader.readline()


async def test_a_link_carries_both_ways(links: Links, ports: list[int]) -> None:
    async with echo(ports[1]):
        stream = await asyncio.open_connection("127.0.0.1", ports[0])
        assert await ask(stream, b"one\n") == b"one\n"
        stream[1].close()


async def test_a_cut_breaks_connections_and_lets_none_come_about_until_it_is_healed(
    links: Links, ports: list[int]
) -> None:
    async with echo(ports[1]):
        stream = await asyncio.open_connection("127.0.0.1", ports[0])
        assert await ask(stream, b"one\n") == b"one\n"
        links.cut("client>server")
        assert await _ended(stream[0])
        again = await asyncio.open_connection("127.0.0.1", ports[0])
        assert await _ended(again[0])
        links.heal("client>server")
        healed = await asyncio.open_connection("127.0.0.1", ports[0])
        assert await ask(healed, b"two\n") == b"two\n"
        for each in (stream, again, healed):
            each[1].close()


async def _ended(reader: asyncio.StreamReader) -> bool:
    try:
        return await reader.read(1) == b""
    except ConnectionError:
        return True


async def test_a_stall_holds_everything_and_loses_nothing(links: Links, ports: list[int]) -> None:
    async with echo(ports[1]):
        stream = await asyncio.open_connection("127.0.0.1", ports[0])
        assert await ask(stream, b"one\n") == b"one\n"
        links.stall("client>server")
        await asyncio.sleep(MOMENT_S)
        answer = asyncio.ensure_future(ask(stream, b"two\n"))
        done, _ = await asyncio.wait({answer}, timeout=MOMENT_S)
        assert not done
        links.heal("client>server")
        assert await answer == b"two\n"
        stream[1].close()


async def test_a_server_that_does_not_listen_ends_the_connection(links: Links, ports: list[int]) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", ports[0])
    assert await _ended(reader)
    writer.close()
