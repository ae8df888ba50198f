"""Loads and saves organisations in MongoDB documents."""

from collections.abc import Iterable, Sequence

import msgspec

from services.contracts.ids import OrganisationKind
from services.eventing.ports import Document, Index, Reads, Transaction
from services.registry.organisations.rules import Organisation
from services.runtime.areas import list_by_unit

ORGANISATIONS = "organisations"
"""By id."""
COLLECTIONS = (ORGANISATIONS,)
INDEXES = (
    Index(ORGANISATIONS, "by_unit", (("unit", 1), ("_id", 1))),
    Index(ORGANISATIONS, "by_kind", (("kind", 1), ("unit", 1), ("_id", 1))),
)


def organisation_of(document: Document) -> Organisation:
    """A stored organisation."""
    return msgspec.convert({**document, "organisation_id": document["_id"]}, Organisation)


def _document(organisation: Organisation) -> Document:
    document: Document = msgspec.to_builtins(organisation)
    document["_id"] = document.pop("organisation_id")
    return document


async def load_organisations(reads: Reads, ids: Iterable[str]) -> dict[str, Organisation]:
    """Organisations by id; those that do not exist are not in the answer."""
    return {key: organisation_of(document) for key, document in (await reads.get(ORGANISATIONS, ids)).items()}


async def save_organisations(tx: Transaction, organisations: Sequence[Organisation]) -> None:
    """Writes whole organisations."""
    if organisations:
        await tx.replace(ORGANISATIONS, [_document(organisation) for organisation in organisations])


async def list_organisations(
    reads: Reads, area: str, kind: OrganisationKind | None, after: tuple[str, str] | None, limit: int
) -> list[Organisation]:
    """At most ``limit`` organisations of an area (a unit's six digits, a prefix, or ``*``), by unit and id.

    ``after`` lies in the area.
    """
    where = {} if kind is None else {"kind": kind}
    order = ("unit", "_id")
    found = await list_by_unit(reads, ORGANISATIONS, area, after, limit, order=order, where=where)
    return [organisation_of(document) for document in found]
