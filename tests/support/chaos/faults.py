"""Carries out what a plan says goes wrong, and waits until each victim does its work again."""

import asyncio
import os
import random
import signal
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Final, NamedTuple, assert_never

from deploy.local.broker import Broker
from deploy.local.database import Database
from deploy.local.processes import GATEWAY
from deploy.local.servers import Servers
from tests.support.chaos import disks
from tests.support.chaos.appending import append_again, poison
from tests.support.chaos.asking import Asking
from tests.support.chaos.links import Links
from tests.support.chaos.load import Load
from tests.support.chaos.plan import BROKER, ENDINGS, HELD_S, Fault, Plan, victim
from tests.support.chaos.platform import StruckPlatform
from tests.support.chaos.points import arm, clock_file, sprung, trap_file, write_whole
from tests.support.chaos.spare import Spare

RECOVERS_WITHIN_S: Final = 180.0
POLL_S: Final = 0.1
UNAUTHENTICATED: Final = "401"


class NotRecoveredError(Exception):
    """A victim did not come back, or never came where it was to be struck."""


class Suffered(NamedTuple):
    """A fault that was carried out: when it began, and when its victim was of use again, counted from then."""

    fault: Fault
    began_s: float
    healed_s: float


@dataclass(frozen=True, slots=True)
class Stage:
    """Everything that faults are brought on."""

    platform: StruckPlatform
    servers: Servers
    links: Links
    load: Load
    asking: Asking


class Faults:
    """Brings faults on one stage."""

    def __init__(self, stage: Stage, seed: int, tell: Callable[[str], None]) -> None:
        self._stage = stage
        self._tell = tell
        self._platform = stage.platform
        self._servers = stage.servers
        self._rng = random.Random(f"faults {seed}")
        self._turns: dict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        """One fault at a time for each victim: the next begins when it has recovered."""
        self.killed: Counter[str] = Counter()
        self.spares_ended: list[tuple[str, int]] = []
        """Whom a process stood in for, and its exit code, of all that did."""
        self.parked = 0
        """So many records must be parked at the end."""
        self._poisons = 0

    async def carry_out(self, plan: Plan) -> list[Suffered]:
        """All of a plan, each fault at its time; returns when all victims are back."""
        began = asyncio.get_running_loop().time()
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self._suffer(fault, began)) for fault in plan.faults]
        return [task.result() for task in tasks]

    async def _suffer(self, fault: Fault, began: float) -> Suffered:
        clock = asyncio.get_running_loop().time
        await asyncio.sleep(began + fault.at_s - clock())
        async with self._turns[victim(fault)]:
            struck = clock()
            await self._strike(fault)
            suffered = Suffered(fault, round(struck - began, 2), round(clock() - struck, 2))
        at_s, healed_s = suffered.began_s, suffered.healed_s
        self._tell(f"  {fault.name} {fault.target} at {at_s:.0f} s, healed after {healed_s:.1f} s")
        return suffered

    async def _strike(self, fault: Fault) -> None:  # noqa: C901, PLR0912  # a row for each kind
        target, away_s = fault.target, fault.away_s
        match fault.kind:
            case "kill_api" | "kill_processor" | "kill_relay":
                await self._kill(target, fault.held)
            case "crash_api" | "crash_processor" | "crash_relay":
                await self._crash(target, fault.point, fault.passing)
            case "pause_processor" | "pause_relay":
                await self._pause(target, away_s, fault.held)
            case "pause_api":
                await self._pause_alone(target, away_s)
            case "kill_database" | "kill_broker":
                await self._kill_server(self._of(target), away_s)
            case "full_database" | "full_broker":
                await disks.fill(self._of(target), away_s)
            case "slow_database" | "slow_broker":
                await disks.slow(self._of(target), away_s)
            case "cut" | "stall":
                await self._break(fault)
            case "clock_jump":
                await self._set_wrong(target, fault.jump_s, away_s)
            case "duplicates":
                await self._until(lambda: self._repeat(target), f"nothing stands in {target}")
            case "poison":
                self._poisons += 1
                self.parked += await asyncio.to_thread(poison, self._servers.bootstrap, self._poisons)
            case "expired_token":
                await self._expire()
            case "overload":
                await self._stage.load.press(away_s)
            case "truncated_topic" | "recreated_topic":
                raise AssertionError(f"{ENDINGS} come when all is judged")
            case _:
                assert_never(fault.kind)

    # processes

    async def _kill(self, name: str, held: str) -> None:
        process = await self._running(name)
        async with self._standing_still(held):
            os.kill(process, signal.SIGKILL)
        self.killed[name] += 1
        await self._ready(name)

    async def _crash(self, name: str, point: str, passing: int) -> None:
        """Lets a process kill itself at a point."""
        await self._running(name)
        trap = trap_file(self._platform.folder, name)
        arm(trap, point, passing)

        async def has_died() -> int:
            return sprung(trap).exists()

        await self._until(has_died, f"{name} never came to {point}")
        self.killed[name] += 1
        await self._ready(name)

    async def _running(self, name: str) -> int:
        """The process id, once there is one: a process may just be on its way back."""
        return await self._until(lambda: asyncio.to_thread(self._platform.pid, name), f"{name} does not run")

    async def _ready(self, name: str) -> None:
        await asyncio.to_thread(self._platform.wait_ready, name, within_s=RECOVERS_WITHIN_S)

    async def _pause(self, name: str, away_s: float, held: str) -> None:
        """Stops a processor or relay until another has taken its work over, and lets both meet.

        The paused one goes on as if nothing had happened: what it had in hand must then be refused.
        """
        process = await self._running(name)
        async with self._standing_still(held):
            os.kill(process, signal.SIGSTOP)
        try:
            spare = Spare(self._platform, name)
            try:
                await asyncio.sleep(away_s)
                await self._until(spare.has_taken_over, f"nobody took over from {name}")
                os.kill(process, signal.SIGCONT)
                await self._ready(name)
            finally:
                self.spares_ended += [(name, code) for code in await spare.end()]
        finally:
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGCONT)
        await self._ready(name)

    async def _pause_alone(self, name: str, away_s: float) -> None:
        """Stops a process for longer than any client waits."""
        process = await self._running(name)
        os.kill(process, signal.SIGSTOP)
        try:
            await asyncio.sleep(away_s)
        finally:
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGCONT)
        await self._ready(name)

    async def _set_wrong(self, name: str, jump_s: int, away_s: float) -> None:
        """Lets a process's clock be wrong for a while: it jumps twice."""
        path = clock_file(self._platform.folder, name)
        write_whole(path, str(jump_s))
        try:
            await asyncio.sleep(away_s)
        finally:
            path.unlink()
        await self._ready(name)

    # servers and links

    def _of(self, name: str) -> Broker | Database:
        server = self._server(name)
        assert server is not None
        return server

    def _server(self, name: str) -> Broker | Database | None:
        return self._servers.broker if name == BROKER else self._servers.databases.get(name)

    async def _kill_server(self, server: Broker | Database, away_s: float) -> None:
        server.kill()
        await asyncio.sleep(away_s)
        # Here, not in a thread that ends before the run does: a server dies with the thread that launched it.
        server.launch()
        await asyncio.to_thread(server.wait_ready)

    @asynccontextmanager
    async def _standing_still(self, held: str) -> AsyncIterator[None]:
        """Lets a server stand still for a while before, and go on after. One that is down cannot be waited for."""
        server = self._server(held)
        if server is None or not server.is_running:
            yield
            return
        os.kill(server.pid, signal.SIGSTOP)
        try:
            await asyncio.sleep(HELD_S)
            yield
        finally:
            if server.is_running:  # another fault may have killed it
                os.kill(server.pid, signal.SIGCONT)

    async def _break(self, fault: Fault) -> None:
        """Cuts or stalls what goes between two processes; then something must go over that link again."""
        links, link = self._stage.links, self._stage.links.links[fault.target]
        (links.cut if fault.kind == "cut" else links.stall)(fault.target)
        try:
            await asyncio.sleep(fault.away_s)
        finally:
            before = link.carried
            links.heal(fault.target)

        async def carries() -> int:
            return link.carried - before

        if victim(fault) != GATEWAY:  # which nobody may ask for what two of its apis answer
            await self._until(carries, f"nothing goes over {fault.target}")
        await self._ready(victim(fault))

    async def _repeat(self, topic: str) -> int:
        return await asyncio.to_thread(append_again, self._servers.bootstrap, topic, self._rng)

    # clients

    async def _expire(self) -> None:
        """Lets all tokens be of yesterday; returns when a client was told so."""
        asking = self._stage.asking
        before = asking.troubles[UNAUTHENTICATED]
        asking.tokens.expire()

        async def was_told() -> int:
            return asking.troubles[UNAUTHENTICATED] - before

        await self._until(was_told, "nobody minds an expired token")

    async def _until(self, look: Callable[[], Awaitable[int]], problem: str) -> int:
        """What ``look`` finds, once that is not nought."""
        clock = asyncio.get_running_loop().time
        give_up_at = clock() + RECOVERS_WITHIN_S
        while not (found := await look()):
            if clock() > give_up_at:
                raise NotRecoveredError(problem)
            await asyncio.sleep(POLL_S)
        return found
