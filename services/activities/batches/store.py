"""Keeps the receipts of batches, for ever; loads all that a batch is decided on in a few round trips."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, Final

from services.activities.attendance import store as attendances
from services.activities.attendance.rules import attendance_id_of
from services.activities.batches.rules import Row, World
from services.activities.codes import store as codes
from services.activities.people import store as people
from services.activities.programme import store as programme
from services.activities.proofs.rules import slip_claimed
from services.contracts.ids import ActorId, UnitCode
from services.eventing.ports import Reads, Transaction
from services.eventing.times import to_text

BATCHES: Final = "batches"
COLLECTIONS: Final = (BATCHES,)


async def load_world(reads: Reads, rows: Sequence[Row], covers: Callable[[UnitCode], bool]) -> World:
    """What the rows are decided on: four reads, however many rows there are."""
    sessions = await programme.load_sessions(reads, sorted({row.session_id for row in rows}))
    volunteers = await people.load_by_number(reads, {row.number for row in rows})
    known = [(row.session_id, volunteers[row.number].volunteer_id) for row in rows if row.number in volunteers]
    slips = [slip_claimed(row.command.claim, row.session_id) for row in rows]
    return World(
        sessions=sessions,
        volunteers=volunteers,
        attendances=await attendances.load(reads, sorted({attendance_id_of(*each) for each in known})),
        spent=await codes.load_spent(reads, [slip for slip in slips if slip is not None]),
        covers=covers,
    )


async def load_receipt(reads: Reads, batch_id: str) -> dict[str, Any] | None:
    """The receipt of a batch, if it was taken in."""
    documents = await reads.get(BATCHES, [batch_id])
    if batch_id not in documents:
        return None
    document = documents[batch_id]
    return {"batch_id": batch_id, "accepted": document["accepted"], "refused": document["refused"]}


async def save_receipt(
    tx: Transaction, receipt: dict[str, Any], *, kind: str, entered_by: ActorId, sent_by: ActorId, at: datetime
) -> None:
    """Writes a new receipt, and who sent the batch. Raises ``AlreadyExistsError`` if there is one."""
    document = {
        "_id": receipt["batch_id"],
        "accepted": receipt["accepted"],
        "refused": receipt["refused"],
        "kind": kind,
        "entered_by": entered_by,
        "sent_by": sent_by,
        "accepted_at": to_text(at),
    }
    await tx.insert(BATCHES, [document])
