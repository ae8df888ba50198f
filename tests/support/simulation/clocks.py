"""Tells each node its own, possibly wrong, time, and makes ids as a process with that clock would."""

import uuid
from datetime import UTC, datetime, timedelta

from tests.support.simulation.loop import SimulatedLoop, current_node

EPOCH = datetime(2026, 7, 1, tzinfo=UTC)
"""When every simulation begins."""
UUID_TIME_SHIFT = 80
UUID_VERSION_7 = 7 << 76
UUID_VARIANT = 2 << 62


class NodeClock:
    """The time of the node that asks; keeps the port ``Clock``."""

    def __init__(self, loop: SimulatedLoop) -> None:
        self._loop = loop

    def now(self) -> datetime:
        return EPOCH + timedelta(seconds=self._loop.now + current_node().skew_s)


class NodeIds:
    """UUIDv7: the asking node's milliseconds, then a serial scattered over the random bits; keeps the port ``Ids``."""

    def __init__(self, loop: SimulatedLoop) -> None:
        self._loop = loop

    def new(self) -> str:
        at = EPOCH + timedelta(seconds=self._loop.now + current_node().skew_s)
        milliseconds = int(at.timestamp() * 1000)
        high = self._loop.rng.getrandbits(12) << 64
        low = self._loop.rng.getrandbits(62)
        return str(uuid.UUID(int=milliseconds << UUID_TIME_SHIFT | UUID_VERSION_7 | high | UUID_VARIANT | low))
