"""Stands between processes and what they speak to, and cuts or stalls what goes through until it is healed."""

import asyncio
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

CHUNK_BYTES: Final = 1 << 16
STARTS_WITHIN_S: Final = 10.0


@dataclass(slots=True, eq=False)
class Link:
    """One process's way to one server: everything between the two ports of the loopback address."""

    port: int
    """Where the process connects to."""
    target: int
    is_cut: bool = False
    flowing: asyncio.Event = field(default_factory=asyncio.Event)
    carried: int = 0
    """Bytes, both ways."""
    _open: set[asyncio.StreamWriter] = field(default_factory=set)

    async def listen(self) -> asyncio.Server:
        """Takes connections from now on."""
        self.flowing.set()
        return await asyncio.start_server(self._carry, "127.0.0.1", self.port)

    def cut(self) -> None:
        """Breaks all connections, and lets none come about."""
        self.is_cut = True
        for each in list(self._open):
            each.transport.abort()

    def stall(self) -> None:
        """Lets nothing through; nobody is told."""
        self.flowing.clear()

    def heal(self) -> None:
        """Lets everything through that waits, and all that comes."""
        self.is_cut = False
        self.flowing.set()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        there: asyncio.StreamWriter | None = None
        try:
            if self.is_cut:
                return
            answers, there = await asyncio.open_connection("127.0.0.1", self.target)
            self._open.add(there)
            ways = [asyncio.ensure_future(self._pump(*way)) for way in ((reader, there), (answers, writer))]
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            for way in ways:
                way.cancel()
            await asyncio.wait(ways)
        except OSError:  # nobody listens there: the process sees its connection end
            pass
        finally:
            for each in (writer, there):
                if each is not None:
                    self._open.discard(each)
                    each.close()  # what was written is still sent

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carries one way until its end, which waits like everything else while the link is stalled."""
        try:
            while data := await reader.read(CHUNK_BYTES):
                await self.flowing.wait()
                self.carried += len(data)
                writer.write(data)
                await writer.drain()
            await self.flowing.wait()
        except OSError:
            return


class Links:
    """All links of a platform by name; they live in a thread of their own, for a platform starts before any loop."""

    def __init__(self, ways: Mapping[str, tuple[int, int]]) -> None:
        """``ways``: the port to connect to and the port that this leads to."""
        self._loop = asyncio.new_event_loop()
        self.links = {name: Link(port, target) for name, (port, target) in ways.items()}

    def cut(self, name: str) -> None:
        """Breaks a link."""
        self._loop.call_soon_threadsafe(self.links[name].cut)

    def stall(self, name: str) -> None:
        """Stalls a link."""
        self._loop.call_soon_threadsafe(self.links[name].stall)

    def heal(self, name: str) -> None:
        """Heals a link."""
        self._loop.call_soon_threadsafe(self.links[name].heal)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Carries for as long as the context lasts."""
        thread = threading.Thread(target=self._loop.run_forever, name="links", daemon=True)
        thread.start()
        try:
            asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result(STARTS_WITHIN_S)
            yield
        finally:
            asyncio.run_coroutine_threadsafe(self._end(), self._loop).result(STARTS_WITHIN_S)
            self._loop.call_soon_threadsafe(self._loop.stop)
            thread.join()
            self._loop.close()

    async def _listen(self) -> None:
        self._servers = [await each.listen() for each in self.links.values()]

    async def _end(self) -> None:
        for server in self._servers:
            server.close()
        mine = asyncio.current_task()
        tasks = [each for each in asyncio.all_tasks() if each is not mine]
        for each in tasks:
            each.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
