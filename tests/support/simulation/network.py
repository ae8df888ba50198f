"""Carries requests between nodes: late, lost in either direction, or executed although nobody waits any more."""

import asyncio
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from tests.support.simulation.loop import Node, SimulatedLoop, current_node

T = TypeVar("T")

REQUEST_TIMEOUT_S = 4.0
"""How long a client waits for an answer; what it asked for may happen later all the same."""
SELECTION_TIMEOUT_S = 3.0
"""How long a driver waits for a server that is down; it was not asked then."""
QUICK_DELAY_S = (0.0005, 0.004)
SLOW_DELAY_MAX_S = 0.4
STALL_DELAY_MAX_S = 9.0
"""Longer than a client waits, than a lease lasts and than a session of the broker."""


class UnansweredError(Exception):
    """The request or its answer was lost or late: it may have been executed, may be later, or never."""


class ResetError(UnansweredError):
    """The connection broke: clients know at once that no answer will come."""


@dataclass(slots=True)
class Weather:
    """How bad the network and the disks are: the chance of each mishap at every request, and what is cut off."""

    rates: dict[str, float] = field(default_factory=dict)
    cuts: set[tuple[str, str]] = field(default_factory=set)
    """Pairs of a node's and a server's name between which nothing passes."""

    def clear(self) -> None:
        """Heals the world."""
        self.rates.clear()
        self.cuts.clear()


@dataclass(slots=True)
class Network:
    """One world's network; ``rng`` is the loop's own, so that one seed decides everything."""

    loop: SimulatedLoop
    weather: Weather = field(default_factory=Weather)
    counts: Counter[str] = field(default_factory=Counter)
    """How often what happened."""

    @property
    def rng(self) -> random.Random:
        return self.loop.rng

    def chance(self, mishap: str) -> bool:
        """Whether the mishap happens now."""
        rate = self.weather.rates.get(mishap)
        happens = rate is not None and self.loop.rng.random() < rate
        if happens:
            self.counts[mishap] += 1
        return happens

    def delay_s(self) -> float:
        """One way through the network, with the server's own slowness."""
        roll = self.loop.rng.random()
        if self.chance("stall"):
            return roll * STALL_DELAY_MAX_S
        if self.chance("slow"):
            return roll * SLOW_DELAY_MAX_S
        low, high = QUICK_DELAY_S
        return low + roll * (high - low)

    def loses(self, sender: Node, server: Node) -> bool:
        """Whether a message in either direction is lost now."""
        return (sender.name, server.name) in self.weather.cuts or self.chance("drop")


class Server:
    """A remote service. A request that left its sender is executed even if the sender dies."""

    def __init__(self, network: Network, name: str) -> None:
        self.network = network
        self.loop = network.loop
        self.node = Node(network.loop, name)
        self.down_until_s = 0.0
        self.requests = 0
        self.fuse: tuple[int, Callable[[], None]] | None = None
        """After this many requests something befalls the server, between a request and its sender's next."""

    async def ask(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Executes ``function`` at the server and returns its answer.

        The function runs in one step; one that returns a future is answered when the future is done. Raises what the
        function raises, or ``UnansweredError``.
        """
        sender = current_node()
        answer: asyncio.Future[Any] = self.loop.create_future()
        timer = self.loop.call_later(REQUEST_TIMEOUT_S, _give_up, answer)
        if self.network.loses(sender, self.node):
            self._lost(answer)
        else:
            self.node.call_later(self.network.delay_s(), self._execute, sender, answer, function, arguments)
        try:
            return await answer
        finally:
            timer.cancel()

    def _execute(
        self, sender: Node, answer: asyncio.Future[Any], function: Callable[..., Any], arguments: tuple[Any, ...]
    ) -> None:
        if self.loop.now < self.down_until_s:
            self._find_nobody(sender, answer, function, arguments)
            return
        self.requests += 1
        if self.fuse is not None and self.requests >= self.fuse[0]:
            self.loop.call_later(2 * self.network.delay_s(), self.fuse[1], context=self.node.context)
            self.fuse = None
        try:
            result = function(*arguments)
        except Exception as error:  # noqa: BLE001 - whatever the server refuses with is the client's answer
            self._reply(sender, answer, None, error)
            return
        if isinstance(result, asyncio.Future):
            result.add_done_callback(lambda done: self._reply(sender, answer, *_outcome(done)))
        else:
            self._reply(sender, answer, result, None)

    def _find_nobody(
        self, sender: Node, answer: asyncio.Future[Any], function: Callable[..., Any], arguments: tuple[Any, ...]
    ) -> None:
        """Half of those who find the server down wait for it, as a driver waits for the next primary."""
        wait_s = self.down_until_s - self.loop.now
        if wait_s < SELECTION_TIMEOUT_S and self.loop.rng.random() < 0.5:
            self.node.call_later(wait_s + self.network.delay_s(), self._execute, sender, answer, function, arguments)
        else:
            self._lost(answer)

    def _reply(self, sender: Node, answer: asyncio.Future[Any], result: Any, error: BaseException | None) -> None:
        if self.network.loses(sender, self.node):
            self._lost(answer)
        else:
            self.node.call_later(self.network.delay_s(), _deliver, answer, result, error)

    def _lost(self, answer: asyncio.Future[Any]) -> None:
        """Half of all losses show at once, as a reset connection; the others only by the client's time-out."""
        if self.loop.rng.random() < 0.5:
            self.node.call_later(self.network.delay_s(), _deliver, answer, None, ResetError("connection reset"))


def _give_up(answer: asyncio.Future[Any]) -> None:
    _deliver(answer, None, UnansweredError("no answer in time"))


def _deliver(answer: asyncio.Future[Any], result: Any, error: BaseException | None) -> None:
    if answer.done():
        return
    if error is None:
        answer.set_result(result)
        return
    answer.set_exception(error)
    answer.exception()  # seen: else a dead client's future complains whenever it happens to be collected


def _outcome(done: asyncio.Future[Any]) -> tuple[Any, BaseException | None]:
    error = done.exception()
    return (None, error) if error is not None else (done.result(), None)
