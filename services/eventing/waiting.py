"""Waits for a write that may be announced, without missing the end of the process."""

import asyncio

from services.eventing.ports import Wakeups


async def write_or_stop(wakeups: Wakeups, stop: asyncio.Event, within_s: float) -> None:
    """Returns at a write, after ``within_s`` without one, or when ``stop`` is set. Raises what the listening raises."""
    waits = {asyncio.create_task(wakeups.wait(within_s)), asyncio.create_task(stop.wait())}
    try:
        done, _ = await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for each in waits:
            each.cancel()
        await asyncio.wait(waits)
    for each in done:
        each.result()
