"""Carries out what a plan says goes wrong, and waits until each victim does its work again."""

import asyncio
import os
import signal
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Final, NamedTuple

import httpx

from deploy.local.broker import Broker
from deploy.local.database import Database
from deploy.local.processes import Platform
from deploy.local.server_process import free_ports
from deploy.local.servers import Servers
from tests.support.chaos.plan import BROKER, HELD_S, Fault, Plan

RECOVERS_WITHIN_S: Final = 180.0
POLL_S: Final = 0.1
ENDS_WITHIN_S: Final = 5.0
"""What every process promises after SIGTERM."""
SPARE_NAME: Final = "spare"


class NotRecoveredError(Exception):
    """A victim did not come back."""


class Suffered(NamedTuple):
    """A fault that was carried out: when it began, and when its victim was of use again, counted from then."""

    fault: Fault
    began_s: float
    healed_s: float


class Faults:
    """Brings faults on one platform and its servers."""

    def __init__(self, platform: Platform, servers: Servers) -> None:
        self._platform = platform
        self._servers = servers
        self._turns: dict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        """One fault at a time for each victim: the next begins when it has recovered."""
        self.killed: Counter[str] = Counter()
        self.spares_ended: list[int] = []
        """Exit codes of the processors that stood in for a paused one."""

    async def carry_out(self, plan: Plan) -> list[Suffered]:
        """All of a plan, each fault at its time; returns when all victims are back."""
        began = asyncio.get_running_loop().time()
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self._suffer(fault, began)) for fault in plan.faults]
        return [task.result() for task in tasks]

    async def _suffer(self, fault: Fault, began: float) -> Suffered:
        clock = asyncio.get_running_loop().time
        await asyncio.sleep(began + fault.at_s - clock())
        async with self._turns[fault.target]:
            struck = clock()
            await self._strike(fault)
            return Suffered(fault, round(struck - began, 2), round(clock() - struck, 2))

    async def _strike(self, fault: Fault) -> None:
        match fault.kind:
            case "kill_api" | "kill_processor" | "kill_relay":
                await self._kill(fault.target, fault.held)
            case "kill_database":
                await self._kill_server(self._servers.databases[fault.target], fault.away_s)
            case "kill_broker":
                assert self._servers.broker is not None
                await self._kill_server(self._servers.broker, fault.away_s)
            case "pause_processor":
                await self._pause(fault.target, fault.away_s, fault.held)

    async def _kill(self, name: str, held: str) -> None:
        process = await self._running(name)
        async with self._standing_still(held):
            os.kill(process, signal.SIGKILL)
        self.killed[name] += 1
        await self._ready(name)

    async def _running(self, name: str) -> int:
        """The process id, once there is one: a process may just be on its way back."""
        return await self._until(lambda: asyncio.to_thread(self._platform.pid, name), f"{name} does not run")

    async def _ready(self, name: str) -> None:
        await asyncio.to_thread(self._platform.wait_ready, name, within_s=RECOVERS_WITHIN_S)

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

    def _server(self, name: str) -> Broker | Database | None:
        return self._servers.broker if name == BROKER else self._servers.databases.get(name)

    async def _pause(self, name: str, away_s: float, held: str) -> None:
        """Stops a processor until another has taken its partitions over, and lets both meet.

        The paused one goes on as if nothing had happened: what it had in hand must then be refused.
        """
        process = await self._running(name)
        async with self._standing_still(held):
            os.kill(process, signal.SIGSTOP)
        try:
            spare = Spare(self._platform, name)
            try:
                await asyncio.sleep(away_s)
                await self._until(spare.is_ready, f"nobody took over from {name}")
                os.kill(process, signal.SIGCONT)
                await self._ready(name)
            finally:
                self.spares_ended.append(await spare.end())
        finally:
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGCONT)
        await self._ready(name)

    async def _until(self, look: Callable[[], Awaitable[int]], problem: str) -> int:
        """What ``look`` finds, once that is not nought."""
        clock = asyncio.get_running_loop().time
        give_up_at = clock() + RECOVERS_WITHIN_S
        while not (found := await look()):
            if clock() > give_up_at:
                raise NotRecoveredError(problem)
            await asyncio.sleep(POLL_S)
        return found


class Spare:
    """A second processor of a service, beside those that supervisord keeps."""

    def __init__(self, platform: Platform, name: str) -> None:
        service, _, kind = name.partition("-")
        (port,) = free_ports(1)
        self._url = f"http://127.0.0.1:{port}"
        environment = {**os.environ, **platform.environ, f"{service.upper()}_{kind.upper()}_PORT": str(port)}
        with Path(platform.data_dir / "logs" / f"{name}-{SPARE_NAME}.log").open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", f"services.{service}", kind],
                env=environment,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    async def is_ready(self) -> int:
        """Whether it holds its share of the partitions."""
        assert self._process.poll() is None, "the spare processor ended by itself"
        try:
            async with httpx.AsyncClient(trust_env=False) as client:
                return int((await client.get(f"{self._url}/readyz")).status_code == httpx.codes.OK)
        except httpx.TransportError:
            return 0

    async def end(self) -> int:
        """Tells it to end; its exit code. It is killed if it does not keep its promise."""
        self._process.terminate()
        try:
            return await asyncio.to_thread(self._process.wait, 2 * ENDS_WITHIN_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return await asyncio.to_thread(self._process.wait)
