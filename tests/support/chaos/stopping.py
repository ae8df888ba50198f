"""Tells every process to end, as an operator would, and says how long each took and how it ended."""

import asyncio
import os
import signal
from pathlib import Path
from typing import Final, NamedTuple

from deploy.local.processes import PROCESSES, Platform
from tests.support.town import until

ENDS_WITHIN_S: Final = 5.0
"""What every process promises."""
GONE: Final = frozenset({"Z", "X"})
"""States of a process that has ended and that nobody has asked for its exit code yet."""


class Stopped(NamedTuple):
    """How one process ended after SIGTERM; ``in_order`` if with the exit code 0."""

    name: str
    seconds: float
    in_order: bool


async def stop_all(platform: Platform) -> list[Stopped]:
    """Ends all processes at the same time. Nothing may be asked of them afterwards."""
    return await asyncio.gather(*(_stop(platform, name) for name in PROCESSES))


async def _stop(platform: Platform, name: str) -> Stopped:
    clock = asyncio.get_running_loop().time
    process = await asyncio.to_thread(platform.pid, name)
    told_at = clock()
    os.kill(process, signal.SIGTERM)
    await until(lambda: _runs(process), lambda runs: not runs)
    seconds = round(clock() - told_at, 2)
    # supervisord asks for exit codes once a second.
    state = await until(lambda: asyncio.to_thread(platform._state, name), lambda seen: seen["pid"] != process)
    return Stopped(name, seconds, state["statename"] == "EXITED" and state["exitstatus"] == 0)


async def _runs(process: int) -> bool:
    """Whether a process of this machine has not ended, whoever's child it is."""
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state not in GONE


def faults_of_stops(stops: list[Stopped]) -> list[str]:
    """Those that took longer than they promise, or did not end in order."""
    return [
        f"stop: {each.name} ended after {each.seconds} s{'' if each.in_order else ', not in order'}"
        for each in stops
        if each.seconds > ENDS_WITHIN_S or not each.in_order
    ]
