"""A service's outbox, log and relays on virtual time, without faults but those a test makes."""

import asyncio
import random
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, TypeVar

from services.eventing.ports import LogWriter, Ports, Store
from services.eventing.relay.due import DueWork
from services.eventing.relay.lease import LeaseGuard, acquire
from services.eventing.relay.loop import Relay
from tests.support.memory_store import MemoryStore
from tests.support.outbox import KeptLog, outbox_store
from tests.support.ports import CountedIds, SetClock
from tests.support.simulation.clocks import NodeClock
from tests.support.simulation.loop import Node, SimulatedLoop
from tests.support.witness import Witness

T = TypeVar("T")
SOON_S = 60.0
"""Virtual seconds after which something that was to happen will not happen any more."""
LOOK_EVERY_S = 0.01


class RelayProcess:
    """One started relay: its node, what it told, how it ended."""

    def __init__(self, node: Node, task: "asyncio.Task[None]", stop: asyncio.Event, witness: Witness) -> None:
        self.node = node
        self.task = task
        self.stop = stop
        self.witness = witness


class RelayWorld:
    """One service with any number of relays."""

    def __init__(self, seed: int = 1) -> None:
        self.loop = SimulatedLoop(seed)
        self.store: MemoryStore = outbox_store()
        self.log = KeptLog()
        self.clock = SetClock()
        self.wall = NodeClock(self.loop)

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Runs one piece of work to its end, with all relays beside it."""
        result: T = self.loop.run_until_complete(work)
        return result

    def ports(self, store: Store | None = None) -> Ports:
        return Ports(store or self.store, self.clock, self.wall, CountedIds(), random.Random(1))

    def start(
        self,
        holder: str = "relay-0",
        *,
        relay: type[Relay] = Relay,
        due: Sequence[DueWork] = (),
        store: Store | None = None,
        log: LogWriter | None = None,
    ) -> RelayProcess:
        """Starts a relay in a node of its own."""
        node, stop, witness = Node(self.loop, holder), asyncio.Event(), Witness()
        process = relay(self.ports(store), log or self.log, witness, due, holder=holder, stop=stop)
        return RelayProcess(node, node.spawn(process.run()), stop, witness)

    async def guard(self, holder: str = "relay-0") -> LeaseGuard:
        """The lease, held."""
        guard = await acquire(self.store, self.wall, holder)
        assert guard is not None
        return guard

    def states(self) -> list[str]:
        """The state of every outbox row, by id."""
        return [document["state"] for document in self.store.documents("outbox").values()]

    async def marked(self) -> None:
        """Waits until every row is marked."""
        await eventually(lambda: set(self.states()) <= {"marked"})


async def eventually(is_so: Callable[[], bool]) -> float:
    """Waits until something is so; returns how long that took. Fails after ``SOON_S``."""
    clock = asyncio.get_running_loop().time
    begun = clock()
    while not is_so():
        assert clock() - begun < SOON_S, "it never came to be"
        await asyncio.sleep(LOOK_EVERY_S)
    return clock() - begun
