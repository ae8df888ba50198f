"""Loads and shapes the copies of units and organisations; the processor writes them, as its key documents."""

from collections.abc import Iterable
from typing import Final

from services.activities.places.rules import Place
from services.contracts.ids import UnitCode
from services.eventing.ports import Document, Reads

PLACES: Final = "places"
COLLECTIONS: Final = (PLACES,)


def to_document(place: Place) -> Document:
    """The copy's fields of the key document; ``_id`` and ``inbox`` are the processor's."""
    return {"kind": place.kind, "unit": place.unit}


def from_document(document: Document) -> Place:
    """The copy in a key document that has one."""
    return Place(place_id=document["_id"], kind=document["kind"], unit=UnitCode(document["unit"]))


async def load(reads: Reads, place_ids: Iterable[str]) -> dict[str, Place]:
    """The units and organisations that are known, by id; one whose first event is parked is not known."""
    wanted = sorted(set(place_ids))
    documents = await reads.get(PLACES, wanted) if wanted else {}
    return {i: from_document(document) for i, document in documents.items() if "kind" in document}
