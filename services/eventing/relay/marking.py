"""Marks outbox rows as published and numbers their events as changes, under the lease's epoch."""

from collections.abc import Sequence

from services.eventing.outbox import MARKED, OUTBOX, UNMARKED
from services.eventing.ports import Store, Transaction
from services.eventing.relay.lease import CHANGES, OWNER, LeaseGuard


async def mark(store: Store, guard: LeaseGuard, row_ids: Sequence[str]) -> int:
    """Marks the rows whose events the log has acknowledged; returns how many events that were.

    Each row gets the numbers of its events (``change_from`` to ``change_to``, from 1 without a gap over all rows and
    epochs, in the order of ``row_ids``) and the epoch. A row that turns out to be marked (a commit whose result never
    came) keeps its numbers. Raises ``LeaseLostError`` or what the store raises.
    """

    async def work(tx: Transaction) -> int:
        where = {"_id": {"$in": list(row_ids)}, "state": UNMARKED}
        found = await tx.find(OUTBOX, where, limit=len(row_ids), fields=("count",))
        counts = {row["_id"]: row["count"] for row in found}
        events: int = sum(counts.values())
        if not events:
            return 0
        number = await guard.hold(tx, CHANGES, advance=events)
        changes = {}
        for row_id in row_ids:
            if row_id in counts:
                first, number = number + 1, number + counts[row_id]
                changes[row_id] = {"state": MARKED, "change_from": first, "change_to": number, "epoch": guard.epoch}
        await tx.update(OUTBOX, changes)
        return events

    return await store.transact(work, owner=OWNER)
