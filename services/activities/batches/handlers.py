"""Takes batches in: all rows loaded at once, decided one by one, saved once."""

from collections.abc import Sequence
from typing import Any

import msgspec

from services.activities.attendance import store as attendances
from services.activities.batches import store
from services.activities.batches.rules import RefusedRow, Result, Row, decide_rows
from services.activities.codes import store as codes
from services.contracts.ids import ActorId
from services.eventing.ports import Transaction
from services.runtime.commands import Command
from services.runtime.outcomes import Accepted, Outcome
from services.runtime.problems import ProblemTable, refused


class Batch(msgspec.Struct, frozen=True, kw_only=True):
    """A batch as it was read: its digest, who entered it, the rows that could be read and those that could not."""

    batch_id: str
    kind: str
    entered_by: ActorId
    rows: Sequence[Row]
    unreadable: Sequence[RefusedRow]


async def take_in(tx: Transaction, command: Command, batch: Batch, *, secret: bytes) -> Outcome:
    """Records what the rows say. The same bytes have the same receipt, whoever sends them."""
    receipt = await store.load_receipt(tx, batch.batch_id)
    if receipt is not None:
        return Accepted(receipt)
    world = await store.load_world(tx, batch.rows, command.caller.covers)
    known, spent = frozenset(world.attendances), frozenset(world.spent)
    result = decide_rows(batch.rows, world, now=command.now, secret=secret)
    if _is_for_another_area(batch, result):
        # Nothing is kept, or whoever may send these bytes would get this receipt for ever.
        raise refused("outside_area", "no row of the batch is for a unit of the sender's area")
    receipt = _receipt(batch, result, command.problems)
    await attendances.save(tx, result.attendances.values(), known)
    await codes.save_spent(tx, result.spent, spent)
    await store.save_receipt(
        tx, receipt, kind=batch.kind, entered_by=batch.entered_by, sent_by=command.caller.subject, at=command.now
    )
    return Accepted(receipt, [command.fact(event) for event in result.events])


def _is_for_another_area(batch: Batch, result: Result) -> bool:
    return bool(result.refused) and not (
        result.accepted or batch.unreadable or any(row.code != "outside_area" for row in result.refused)
    )


def _receipt(batch: Batch, result: Result, problems: ProblemTable) -> dict[str, Any]:
    refused = sorted([*batch.unreadable, *result.refused], key=lambda each: each.row)
    return {
        "batch_id": batch.batch_id,
        "accepted": result.accepted,
        "refused": [{"row": each.row, "code": each.code, "title": problems[each.code].title} for each in refused],
    }
