"""Loads and saves volunteers and the claims that keep their numbers unique, in MongoDB documents."""

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from services.contracts.ids import VolunteerId, VolunteerNumber
from services.eventing.ports import Document, Index, Reads, Transaction
from services.registry.volunteers.rules import Volunteer
from services.runtime.areas import list_by_unit

VOLUNTEERS = "volunteers"
"""By volunteer id: what others may know, and under ``personal`` the sealed values by field."""
CLAIMS = "volunteer_claims"
"""Whose a volunteer number or an id number is: one document each, ``number|...`` or ``citizen|<mark>``.

Documents, not unique indexes: a sharded collection can have none but on its shard key.
"""
COLLECTIONS = (VOLUNTEERS, CLAIMS)
INDEXES = (Index(VOLUNTEERS, "by_unit", (("home_unit", 1), ("number", 1))),)


class Stored(msgspec.Struct, frozen=True, gc=False):
    """A volunteer with the sealed values."""

    volunteer: Volunteer
    sealed: Mapping[str, bytes]


class Claims(msgspec.Struct, frozen=True, gc=False):
    """Who holds the volunteer numbers and id numbers (by mark) that were asked for."""

    by_number: dict[str, str]
    by_citizen: dict[str, str]


def _stored(document: Document) -> Stored:
    volunteer = msgspec.convert({**document, "volunteer_id": document["_id"]}, Volunteer)
    return Stored(volunteer, document["personal"])


def _document(stored: Stored) -> Document:
    document: Document = msgspec.to_builtins(stored.volunteer)
    document["_id"] = document.pop("volunteer_id")
    document["personal"] = dict(stored.sealed)
    return document


def _number_claim(number: str) -> str:
    return f"number|{number}"


def _citizen_claim(mark: str) -> str:
    return f"citizen|{mark}"


async def load_claims(reads: Reads, numbers: Iterable[str], citizens: Iterable[str]) -> Claims:
    """Who holds these numbers and id numbers; what nobody holds is not in the answer."""
    of_number = {_number_claim(number): number for number in numbers}
    of_citizen = {_citizen_claim(mark): mark for mark in citizens}
    found = await reads.get(CLAIMS, [*of_number, *of_citizen])
    return Claims(
        by_number={of_number[key]: row["volunteer_id"] for key, row in found.items() if key in of_number},
        by_citizen={of_citizen[key]: row["volunteer_id"] for key, row in found.items() if key in of_citizen},
    )


async def load_volunteers(reads: Reads, ids: Iterable[str]) -> dict[str, Stored]:
    """Volunteers by id; those that do not exist are not in the answer."""
    return {key: _stored(document) for key, document in (await reads.get(VOLUNTEERS, ids)).items()}


async def get_volunteer(reads: Reads, volunteer: str) -> Stored | None:
    """One volunteer, if registered."""
    return (await load_volunteers(reads, [volunteer])).get(volunteer)


async def find_by_number(reads: Reads, number: str) -> Stored | None:
    """The volunteer who has this number, if anybody has."""
    holder = (await load_claims(reads, [number], ())).by_number.get(number)
    return None if holder is None else await get_volunteer(reads, holder)


async def list_volunteers(reads: Reads, area: str, after: tuple[str, str] | None, limit: int) -> list[Stored]:
    """At most ``limit`` volunteers of an area (a unit's six digits, a prefix, or ``*``), by home unit and number.

    ``after`` lies in the area.
    """
    found = await list_by_unit(reads, VOLUNTEERS, area, after, limit, order=("home_unit", "number"))
    return [_stored(document) for document in found]


async def save_volunteers(tx: Transaction, volunteers: Sequence[Stored]) -> None:
    """Writes whole volunteers."""
    if volunteers:
        await tx.replace(VOLUNTEERS, [_document(stored) for stored in volunteers])


async def take_claims(
    tx: Transaction, numbers: Mapping[VolunteerNumber, VolunteerId], citizens: Mapping[str, VolunteerId]
) -> None:
    """Claims numbers and id numbers. Raises ``AlreadyExistsError`` if somebody was faster."""
    claims = {_number_claim(number): volunteer for number, volunteer in numbers.items()}
    claims |= {_citizen_claim(mark): volunteer for mark, volunteer in citizens.items()}
    if claims:
        await tx.insert(CLAIMS, [{"_id": key, "volunteer_id": volunteer} for key, volunteer in claims.items()])


async def give_up_citizens(tx: Transaction, citizens: Sequence[str]) -> None:
    """Lets id numbers (by mark) go that turned out to be wrong."""
    if citizens:
        await tx.delete(CLAIMS, [_citizen_claim(mark) for mark in citizens])
