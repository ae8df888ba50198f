"""Runs one plan: processes and clients on one loop, faults for a while, then healing, then the verdict."""

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from services.contracts.operations import Operations
from services.eventing.batch import BatchHandler
from services.eventing.ports import (
    CommitUnknownError,
    ConflictError,
    LogError,
    Ports,
    StoreUnavailableError,
)
from tests.support.simulation.auditor import OUTBOX, POSITIONS, Auditor
from tests.support.simulation.clocks import NodeClock, NodeIds
from tests.support.simulation.log import Broker
from tests.support.simulation.loop import Node, SimulatedLoop
from tests.support.simulation.network import Network, Weather
from tests.support.simulation.observer import CountingObserver
from tests.support.simulation.plan import FAULTS_UNTIL_S, FOREVER_S, Command, Fault, Plan
from tests.support.simulation.store import SimulatedStore
from tests.support.simulation.store_server import StoreServer
from tests.support.simulation.verdict import Verdict, Violation

TRANSIENT: Final = (ConflictError, StoreUnavailableError, CommitUnknownError, LogError)
"""What a process may end with; anything else means that it found a promise broken, or that it has a bug."""
RESTART_S: Final = 1.0
LOOK_EVERY_S: Final = 0.5
LATE_UNTIL_S: Final = FAULTS_UNTIL_S + 16.0
"""By then everything that was late has landed."""
ANSWER_WITHIN_S: Final = 7.0
TRY_AGAIN_S: Final = 0.5

Main = Callable[["Life"], Coroutine[Any, Any, None]]


@dataclass(frozen=True, slots=True)
class Spec:
    """A process as it is started again and again. No ``main``: it only serves requests."""

    name: str
    service: str
    main: Main | None = None


@dataclass(eq=False, slots=True)
class Life:
    """One start of a process."""

    spec: Spec
    node: Node
    ports: Ports
    stopping: asyncio.Event
    name: str
    """Another one at every start."""


@dataclass(frozen=True, slots=True)
class Consumer:
    """One processor of one service."""

    service: str
    handler: BatchHandler[Any, Any]
    operators: Operations | None = None

    @property
    def topics(self) -> tuple[str, ...]:
        """Everything it consumes."""
        return (*self.handler.topics, *((self.operators.topic,) if self.operators is not None else ()))


class Unanswered(Exception):
    """A client got no answer."""


class World:
    """What all worlds have in common; a kind of world says which processes there are and what its clients do."""

    services: tuple[str, ...] = ()

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.loop = SimulatedLoop(plan.seed)
        self.loop.on_death = self._died
        self.network = Network(self.loop, Weather(dict(plan.rates)))
        self.broker = Broker(self.network, "broker", partitions=plan.partitions)
        self.stores = {name: StoreServer(self.network, name) for name in self.services}
        self.auditor = Auditor(self.broker, self.fail, append_only=self.append_only())
        for server in self.stores.values():
            server.on_majority = self.auditor.on_majority
        self.broker.on_append = self.auditor.on_append
        self.coverage = self.network.counts
        self.observer = CountingObserver(self.coverage)
        self.violation: Violation | None = None
        self.lives: dict[str, Life] = {}
        self.settled: dict[str, asyncio.Event] = {}
        self._starts: Counter[str] = Counter()
        self._down_for: dict[str, float] = {}
        self._healed = False

    # what a kind of world says

    def append_only(self) -> frozenset[tuple[str, str]]:
        """The collections whose documents are never changed, as ``(service, collection)``."""
        return frozenset()

    def prepare(self) -> None:
        """Prepares the databases."""

    def specs(self) -> Sequence[Spec]:
        """All processes."""
        raise NotImplementedError

    def consumers(self) -> Sequence[Consumer]:
        """Every processor."""
        raise NotImplementedError

    async def carry_out(self, command: Command) -> None:
        """Does what one client wants, however often that takes."""
        raise NotImplementedError

    def what_is_due(self) -> str:
        """What is due and not done yet, in words."""
        return ""

    async def check(self) -> None:
        """Compares the outcome with the world's own model."""

    # running

    def run(self) -> Verdict:
        """Runs the plan to its end, or to its first violation."""
        try:
            self.loop.root.spawn(self._guarded(self._main()))
            if not self.loop.run(FOREVER_S):
                self.fail("not_drained", self.what_is_left() or self.what_is_due() or "checks")
            for failure in self.loop.failures:
                self.fail("unhandled", repr(failure.get("exception") or failure.get("message")))
        finally:
            self.loop.close()
        self._count()
        return Verdict(self.plan, self.violation, self.loop.trace, self.loop.steps, self.loop.now, self.coverage)

    def fail(self, code: str, detail: str) -> None:
        """Takes the first violation and ends the run."""
        if self.violation is None:
            self.violation = Violation(code, detail, round(self.loop.now, 3))
        self.loop.halt()

    async def _guarded(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except Exception as error:  # noqa: BLE001 - a bug of the world is a violation as well
            self.fail("harness", _told(error))

    async def _main(self) -> None:
        self.prepare()
        for spec in self.specs():
            self.start(spec)
        for fault in self.plan.faults:
            self.loop.root.call_later(fault.at, self._begin, fault)
        self.settled = {command.id: asyncio.Event() for command in self.plan.commands}
        clients = [asyncio.ensure_future(self._client(command)) for command in self.plan.commands]
        await asyncio.sleep(FAULTS_UNTIL_S)
        self._heal()
        await asyncio.gather(*clients)
        await asyncio.sleep(max(0.0, LATE_UNTIL_S - self.loop.now))
        while not self.is_drained():  # noqa: ASYNC110 - looks at the world from outside
            await asyncio.sleep(LOOK_EVERY_S)
        self.auditor.check_end()
        for consumer in self.consumers():
            self.auditor.check_consumer(consumer.service, consumer.handler)
        await self.check()
        self.loop.halt()

    async def _client(self, command: Command) -> None:
        for each in command.after:
            await self.settled[each].wait()
        await asyncio.sleep(max(0.0, command.at - self.loop.now))
        await self.carry_out(command)
        self.settled[command.id].set()

    # being done

    def is_drained(self) -> bool:
        """Whether everything is published, marked and applied, and nothing is due."""
        return self.what_is_left() == "" and self.what_is_due() == ""

    def what_is_left(self) -> str:
        """What is not done yet, in words."""
        unsettled = [each for each, event in self.settled.items() if not event.is_set()]
        if unsettled:
            return f"commands {unsettled[:3]}"
        for name, server in self.stores.items():
            rows = server.now_at_majority(OUTBOX)
            if left := [each for each, row in rows.items() if row["state"] == "unmarked"]:
                return f"{len(left)} unmarked rows of {name}"
        for consumer in self.consumers():
            processor, topics = consumer.handler.processor, consumer.topics
            positions = self.stores[consumer.service].now_at_majority(POSITIONS)
            for partition, log in self.broker.logs.items():
                document = positions.get(f"{processor}|{partition.topic}|{partition.partition}")
                position = document["next"] if document is not None else 0
                if partition.topic in topics and position < len(log):
                    return f"{processor} at {position} of {len(log)} on {partition}"
        return ""

    # processes

    def start(self, spec: Spec) -> None:
        """Starts a process, for the first time or again."""
        self._starts[spec.name] += 1
        name = f"{spec.name}#{self._starts[spec.name]}"
        before = self.lives.get(spec.name)
        node = Node(self.loop, spec.name)
        node.skew_s = before.node.skew_s if before is not None else 0.0
        rng = random.Random(f"{self.plan.seed} {name}")
        clock = NodeClock(self.loop)
        store = SimulatedStore(self.stores[spec.service], name, rng)
        node.ports = Ports(store=store, clock=clock, wall=clock, ids=NodeIds(self.loop), rng=rng)
        life = Life(spec, node, node.ports, asyncio.Event(), name)
        self.lives[spec.name] = life
        self.loop.note(name.encode())
        if spec.main is not None:
            node.spawn(spec.main(life)).add_done_callback(partial(self._ended, life))

    def _ended(self, life: Life, task: "asyncio.Task[None]") -> None:
        """A process ended by itself: as asked, or because of something that passes; else something is wrong."""
        if task.cancelled() or self.lives.get(life.spec.name) is not life:
            return
        error = task.exception()
        broken = [each for each in _leaves(error) if not isinstance(each, TRANSIENT)]
        if broken:
            self.fail(f"stopped:{type(broken[0]).__name__}", f"{life.name}: {_told(broken[0])}")
        elif error is None and not life.stopping.is_set():
            self.fail("stopped", f"{life.name} returned")
        self.coverage["restart"] += 1
        life.node.kill()
        self.loop.root.call_later(RESTART_S, self._restart, life)

    def _died(self, node: Node) -> None:
        """A node's fuse has burnt down."""
        self.coverage["crash"] += 1
        life = self.lives[node.name]
        assert life.node is node
        lasts = RESTART_S if self._healed else self._down_for[node.name]
        self.loop.root.call_later(lasts, self._restart, life)

    def _restart(self, life: Life) -> None:
        if self.lives.get(life.spec.name) is life and not life.node.alive:
            self.start(life.spec)

    # faults

    def _begin(self, fault: Fault) -> None:
        self.loop.note(fault.kind.encode())
        match fault.kind:
            case "failover":
                server = self.stores[fault.server]
                server.fuse = (server.requests + fault.steps, server.fail_over)
            case "broker_down":
                self.broker.down_until_s = self.loop.now + fault.lasts
            case "cut":
                cut = (fault.node, fault.server)
                self.network.weather.cuts.add(cut)
                self.loop.root.call_later(fault.lasts, self.network.weather.cuts.discard, cut)
            case _:
                self._befall(fault, self.lives[fault.node])
        if fault.kind != "crash":
            self.coverage[fault.kind] += 1

    def _befall(self, fault: Fault, life: Life) -> None:
        """A fault of one process; none befalls the dead."""
        if not life.node.alive:
            return
        match fault.kind:
            case "crash":
                life.node.fuse = life.node.steps + fault.steps
                self._down_for[fault.node] = fault.lasts
            case "stop":
                life.stopping.set()
            case "pause":
                life.node.pause()
                self.loop.root.call_later(fault.lasts, life.node.resume)
            case "skew":
                life.node.skew_s = fault.by
            case "expel":
                self.broker.expel(life.name)
            case _:
                raise AssertionError(f"{fault.kind} befalls no process")

    def _heal(self) -> None:
        """From here on nothing goes wrong any more, so that everything must come to its end."""
        self._healed = True
        self.network.weather.clear()
        self.broker.down_until_s = 0.0
        for life in list(self.lives.values()):
            life.node.fuse = None
            if life.node.alive:
                life.node.resume()

    def _count(self) -> None:
        self.coverage["published_again"] += sum(self.auditor.logged.values()) - len(self.auditor.logged)
        self.coverage["events"] += len(self.auditor.committed)

    # clients

    async def ask(self, process: str, serve: Callable[[Life], Coroutine[Any, Any, Any]]) -> Any:
        """Sends one request to a process and waits for its answer. Raises ``Unanswered``."""
        network, life = self.network, self.lives[process]
        answer: asyncio.Future[Any] = self.loop.create_future()

        async def served() -> None:
            result = await serve(life)
            if not network.chance("drop"):
                self.loop.root.call_later(network.delay_s(), _answer, answer, result)

        def arrive() -> None:
            if life.node.alive:
                life.node.spawn(self._guarded(served()))

        if not network.chance("drop"):
            self.loop.root.call_later(network.delay_s(), arrive)
        try:
            async with asyncio.timeout(ANSWER_WITHIN_S if life.node.alive else TRY_AGAIN_S):
                return await answer
        except TimeoutError:
            raise Unanswered(process) from None


def _answer(answer: asyncio.Future[Any], result: Any) -> None:
    if not answer.done():
        answer.set_result(result)


def _leaves(error: BaseException | None) -> list[BaseException]:
    """The errors in a group of errors."""
    if isinstance(error, BaseExceptionGroup):
        return [leaf for each in error.exceptions for leaf in _leaves(each)]
    return [] if error is None else [error]


def _told(error: BaseException) -> str:
    """An error and where it was raised."""
    frame = error.__traceback__
    while frame is not None and frame.tb_next is not None:
        frame = frame.tb_next
    place = "" if frame is None else f" at {frame.tb_frame.f_code.co_filename.rsplit('/', 1)[-1]}:{frame.tb_lineno}"
    return f"{type(error).__name__}: {error}{place}"
