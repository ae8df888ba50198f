"""Remembers whose presence a one-time code has proved; one code proves one attendance, for ever."""

from collections.abc import Container, Iterable, Mapping
from typing import Final

from services.contracts.ids import AttendanceId
from services.eventing.ports import Reads, Transaction

SLIPS: Final = "slips"
COLLECTIONS: Final = (SLIPS,)


async def load_spent(reads: Reads, slips: Iterable[str]) -> dict[str, AttendanceId]:
    """The attendance each of these slips was spent on, for those that were."""
    wanted = sorted(set(slips))
    documents = await reads.get(SLIPS, wanted) if wanted else {}
    return {slip: AttendanceId(document["attendance_id"]) for slip, document in documents.items()}


async def save_spent(tx: Transaction, spent: Mapping[str, AttendanceId], known: Container[str]) -> None:
    """Writes what slips were spent on, but for those that were spent before: that never changes.

    Two transactions that spend the same slip exclude each other. Raises ``AlreadyExistsError``, after which the next
    attempt knows it.
    """
    new = [{"_id": slip, "attendance_id": each} for slip, each in spent.items() if slip not in known]
    if new:
        await tx.insert(SLIPS, new)
