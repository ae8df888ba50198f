"""Rebuilds a projection all the time and says how much of the live one differs."""

import asyncio
from typing import Final

from services.eventing.ports import Clock, LogError, StoreError
from services.recovery.builder import Builder
from services.runtime.logs import logger
from services.runtime.metrics import PARITY_CHECKED_AT, PARITY_DIFFERENCES, Metrics

GENERATION: Final = "parity"
EVERY_S: Final = 30.0
"""Between two comparisons; a drift is told within this and the time that one takes."""
_log = logger(__name__)


async def watch(
    builder: Builder, service: str, metrics: Metrics, wall: Clock, stop: asyncio.Event, *, every_s: float = EVERY_S
) -> None:
    """Compares again and again until ``stop``. What it cannot reach it tries again: the last check's age tells."""
    while not stop.is_set():
        began = wall.now()
        try:
            verdict = await builder.round()
        except (LogError, StoreError) as error:
            _log.warning("parity could not be checked", name=service, exc_info=error)
        else:
            metrics.set(PARITY_DIFFERENCES, verdict.wrong, service)
            metrics.set(PARITY_CHECKED_AT, began.timestamp(), service)
            if verdict.differences:
                first = verdict.differences[0]
                _log.error("parity broken", items=verdict.wrong, unit=first.unit, name=first.collection)
        try:
            async with asyncio.timeout(every_s):
                await stop.wait()
        except TimeoutError:
            continue
