"""Does what is due (time-outs, deadlines, expiries) under the relay's lease."""

import asyncio
from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from services.eventing.observe import Observer
from services.eventing.ports import Clock
from services.eventing.relay.lease import LeaseGuard


class DueWork(Protocol):
    """One kind of due work. What it creates is named by its timer (``derived_id``), so that a repeat is recognised."""

    name: str

    async def run(self, now: datetime, guard: LeaseGuard) -> int:
        """Does some of what is due at ``now`` (business time); returns how many items, 0 if nothing is left.

        Every transaction goes through ``guard.transact``, which holds the lease (``guard.hold(tx)``) and lets the next
        leader end it. Raises what the store raises.
        """
        ...


async def do_due_work(due: Sequence[DueWork], clock: Clock, guard: LeaseGuard, observer: Observer) -> int:
    """Runs each kind once; returns the items done."""
    done = 0
    for work in due:
        guard.assert_sure()
        items = await work.run(clock.now(), guard)
        if items:
            observer.due_work_done(work.name, items)
        done += items
        await asyncio.sleep(0)  # a kind that never awaits must not keep the lease from being renewed
    return done
