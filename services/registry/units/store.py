"""Loads and saves units in MongoDB documents."""

from collections.abc import Iterable, Sequence

import msgspec

from services.contracts.ids import UnitCode
from services.eventing.ports import Document, Index, Reads, Transaction
from services.registry.units.rules import Unit
from services.runtime.areas import bounds_of

UNITS = "units"
"""By code: versions, roll, number of the last edit."""
COLLECTIONS = (UNITS,)
INDEXES: tuple[Index, ...] = ()


def unit_of(document: Document) -> Unit:
    """A stored unit."""
    return msgspec.convert({**document, "code": document["_id"]}, Unit)


def _document(unit: Unit) -> Document:
    document: Document = msgspec.to_builtins(unit)
    document["_id"] = document.pop("code")
    return document


async def load_units(reads: Reads, codes: Iterable[str]) -> dict[str, Unit]:
    """Units by code; those that do not exist are not in the answer."""
    return {code: unit_of(document) for code, document in (await reads.get(UNITS, codes)).items()}


async def get_unit(reads: Reads, code: str) -> Unit | None:
    """One unit, if it exists."""
    return (await load_units(reads, [code])).get(UnitCode(code))


async def list_units(reads: Reads, area: str, after: str | None, limit: int) -> list[Unit]:
    """At most ``limit`` units of an area, by code; ``after`` is one of the area."""
    found = await reads.find(UNITS, {"_id": bounds_of(area, after)}, limit=limit)
    return [unit_of(document) for document in found]


async def save_units(tx: Transaction, units: Sequence[Unit]) -> None:
    """Writes whole units."""
    if units:
        await tx.replace(UNITS, [_document(unit) for unit in units])
