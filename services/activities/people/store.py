"""Loads and shapes the copies of volunteers; the processor writes them, as its key documents."""

from collections.abc import Collection, Iterable
from typing import Final

from services.activities.people.rules import Volunteer
from services.contracts.ids import UnitCode, VolunteerId, VolunteerNumber
from services.eventing.ports import Document, Index, Reads, Transaction

VOLUNTEERS: Final = "volunteers"
COLLECTIONS: Final = (VOLUNTEERS,)
INDEXES: Final = (Index(VOLUNTEERS, "number", (("number", 1),)),)
"""Not unique: registry keeps numbers unique, and a copy that lags must never stop the processor."""
NUMBERS_A_QUERY_MAX: Final = 500


def to_document(volunteer: Volunteer) -> Document:
    """The copy's fields of the key document; ``_id`` and ``inbox`` are the processor's."""
    return {"number": volunteer.number, "home_unit": volunteer.home_unit, "state": volunteer.state}


def from_document(document: Document) -> Volunteer:
    """The copy in a key document that has one."""
    return Volunteer(
        volunteer_id=VolunteerId(document["_id"]),
        number=VolunteerNumber(document["number"]),
        home_unit=UnitCode(document["home_unit"]),
        state=document["state"],
    )


def _is_known(document: Document) -> bool:
    """A key document exists without a copy while the volunteer's first event is parked."""
    return "number" in document


async def load(reads: Reads, volunteer_ids: Iterable[VolunteerId]) -> dict[VolunteerId, Volunteer]:
    """The volunteers that are known, by id."""
    documents = await reads.get(VOLUNTEERS, volunteer_ids)
    return {VolunteerId(i): from_document(document) for i, document in documents.items() if _is_known(document)}


async def load_by_number(reads: Reads, numbers: Collection[VolunteerNumber]) -> dict[VolunteerNumber, Volunteer]:
    """The volunteers that are known, by number; a number that two have is nobody's, for minutes are never guessed."""
    assert len(numbers) <= NUMBERS_A_QUERY_MAX
    documents = await reads.find(VOLUNTEERS, {"number": {"$in": sorted(numbers)}}, limit=2 * NUMBERS_A_QUERY_MAX)
    found: dict[VolunteerNumber, Volunteer] = {}
    shared: set[VolunteerNumber] = set()
    for volunteer in map(from_document, documents):
        if volunteer.number in found:
            shared.add(volunteer.number)
        found[volunteer.number] = volunteer
    return {number: volunteer for number, volunteer in found.items() if number not in shared}


async def touch(tx: Transaction, volunteer_id: VolunteerId, by: str) -> None:
    """Makes this transaction exclude every other one that touches the volunteer or changes the copy.

    ``by`` differs with every use: a write that changes nothing would conflict with nobody.
    """
    await tx.update(VOLUNTEERS, {volunteer_id: {"touched_by": by}})
