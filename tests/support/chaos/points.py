"""Names the points at which a process can be made to kill itself, and tells it by a file which one is meant."""

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Final

from deploy.local.servers import SERVICES

POINTS: Final = {
    "api": (
        "received",
        "decoded",
        "transaction_open",
        "decided",
        "written_1",
        "written_2",
        "written_3",
        "commit_sent",
        "commit_acknowledged",
    ),
    "processor": (
        "received",
        "decoded",
        "transaction_open",
        "decided",
        "written_1",
        "written_2",
        "commit_sent",
        "commit_acknowledged",
    ),
    "relay": (
        "transaction_open",
        "written_1",
        "written_2",
        "commit_sent",
        "commit_acknowledged",
        "published",
        "marked",
        "lease_renewed",
    ),
}
"""Every point by kind of process, in the order in which work passes them.

``written_n``: the transaction's n-th write is answered. ``commit_sent``: the commit is with the database, and nobody
has heard of its result. A relay's transactions are those that mark, renew the lease and do due work.
"""
TAKES_COMMANDS: Final = ("registry", "activities")
PUBLISHES: Final = ("registry", "activities", "hours")
"""Those whose relays have something to publish all the time; scores come seldom."""


def services_at(kind: str, point: str) -> tuple[str, ...]:
    """The services whose processes of a kind pass a point again and again under the load of a run."""
    if kind == "api":
        return TAKES_COMMANDS
    if kind == "relay" and point in {"published", "marked", "written_2"}:
        return PUBLISHES
    return SERVICES


class Trap:
    """A process's side: dies at the armed passing of the armed point.

    The file holds ``point passings``. It is taken away before the death, so that the next life goes on healthy.
    """

    def __init__(self, path: Path, die: Callable[[], None] | None = None) -> None:
        self._path = path
        self._die = die or _kill_myself
        self._armed = 0
        """When the file that is counted for was written, in nanoseconds."""
        self._passed = 0

    def passed(self, point: str) -> None:
        """The process is at a point."""
        try:
            written = self._path.stat().st_mtime_ns
            meant, times = self._path.read_text().split()
        except FileNotFoundError:
            return
        if written != self._armed:
            self._armed, self._passed = written, 0
        if point == meant:
            self._passed += 1
            if self._passed == int(times):
                self._path.rename(sprung(self._path))
                self._die()


def trap_file(folder: Path, name: str) -> Path:
    """Where a process looks for what is meant for it."""
    return folder / f"{name}.point"


def clock_file(folder: Path, name: str) -> Path:
    """Where a process looks for the seconds by which its clock is wrong."""
    return folder / f"{name}.clock"


def sprung(trap: Path) -> Path:
    """What a trap's file is called once the process has died of it."""
    return trap.with_suffix(".sprung")


def arm(trap: Path, point: str, passings: int) -> None:
    """Sets a trap; a process sees all of it or nothing."""
    trap.parent.mkdir(parents=True, exist_ok=True)
    sprung(trap).unlink(missing_ok=True)
    write_whole(trap, f"{point} {passings}")


def write_whole(path: Path, text: str) -> None:
    """Writes a small file that others read at any time."""
    half = path.with_suffix(".half")
    half.write_text(text)
    half.rename(path)


def _kill_myself() -> None:
    os.kill(os.getpid(), signal.SIGKILL)
