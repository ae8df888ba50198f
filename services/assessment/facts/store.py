"""Loads and saves facts, rollups in slices, members and places in MongoDB documents."""

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType

import msgspec

from services.assessment.facts.rules import EntryFact, Member, Place
from services.contracts.ids import GRADES
from services.eventing.ports import Document, Index, Transaction

_NO_TRACES: Mapping[str, str] = MappingProxyType({})
MEMBERS = "members"
"""Key documents by volunteer id."""
PLACES = "places"
"""Key documents by unit code or organisation id."""
FACTS = "facts"
MINUTES = "minutes"
"""Rollup: minutes by grade per home unit, month and slice."""
PARTICIPATION = "participation"
"""Rollup: minutes of grade 1 and above per home unit, month and volunteer; a volunteer lies in one slice."""
ATTENDED = "attended"
"""Rollup: standing entries of grade 1 and above per unit served, month, session and slice."""
UNIT_VERSIONS = "unit_versions"
"""How many facts each slice counted for a unit, so that a publisher sees that a score may have moved."""
COLLECTIONS = (MEMBERS, PLACES, FACTS, MINUTES, PARTICIPATION, ATTENDED, UNIT_VERSIONS)
INDEXES = (
    Index(FACTS, "by_home_unit", (("home_unit", 1), ("month", 1), ("_id", 1))),
    Index(FACTS, "by_unit_served", (("unit_served", 1), ("month", 1), ("_id", 1))),
    Index(MINUTES, "by_unit", (("unit", 1), ("month", 1))),
    Index(MINUTES, "by_month", (("month", 1),)),
    Index(PARTICIPATION, "by_unit", (("unit", 1), ("month", 1))),
    Index(ATTENDED, "by_unit", (("unit", 1), ("month", 1))),
    Index(UNIT_VERSIONS, "by_unit", (("unit", 1),)),
    Index(PLACES, "by_unit", (("unit", 1), ("kind", 1))),
)


def place_of(document: Document | None) -> Place | None:
    """The place in a key document; ``None`` if nothing is known of it."""
    return msgspec.convert(document, Place) if document is not None and "kind" in document else None


def member_of(document: Document | None) -> Member | None:
    """The member in a key document; ``None`` if nothing is known."""
    return msgspec.convert(document, Member) if document is not None and "retired_cadre" in document else None


def fields_of(known: Member | Place) -> Document:
    """A member or place as the fields of its key document."""
    fields: Document = msgspec.to_builtins(known)
    return fields


def fact_document(fact: EntryFact, part: str) -> Document:
    """One fact as it is inserted; ``part`` names the slice."""
    document: Document = msgspec.structs.asdict(fact)
    document["_id"] = document.pop("event_id")
    document["kind"] = "entry"
    document["slice"] = part
    return document


async def save_entries(
    tx: Transaction, facts: Sequence[EntryFact], part: str, traces: Mapping[str, str] = _NO_TRACES
) -> None:
    """Appends facts and adds them to their rollups, in one read and one write a collection.

    ``traces``: trace contexts by event id; a unit's last one is kept beside its count.
    """
    await tx.insert(FACTS, [fact_document(fact, part) for fact in facts])
    counted = [fact for fact in facts if fact.grade > 0]
    await _add_minutes(tx, facts, part)
    if counted:
        await _add_participation(tx, counted)
        await _add_attended(tx, counted, part)
    traced = {unit: traces[f.event_id] for f in facts if f.event_id in traces for unit in (f.home_unit, f.unit_served)}
    await touch_units(tx, [unit for fact in facts for unit in {fact.home_unit, fact.unit_served}], part, traced)


async def touch_units(tx: Transaction, units: Iterable[str], part: str, traces: Mapping[str, str] = _NO_TRACES) -> None:
    """Counts one fact for each unit given; ``traces``: of the last of them that has one, by unit."""
    touched: dict[str, int] = {}
    for unit in units:
        touched[unit] = touched.get(unit, 0) + 1
    known = await tx.get(UNIT_VERSIONS, [f"{unit}|{part}" for unit in touched])
    await tx.replace(
        UNIT_VERSIONS, [_version(known.get(f"{unit}|{part}"), unit, part, n, traces) for unit, n in touched.items()]
    )


def _version(known: Document | None, unit: str, part: str, facts: int, traces: Mapping[str, str]) -> Document:
    before = known or {"facts": 0}
    version: Document = {"_id": f"{unit}|{part}", "unit": unit, "facts": before["facts"] + facts}
    trace = traces.get(unit, before.get("trace"))
    return version if trace is None else {**version, "trace": trace}


async def _add_minutes(tx: Transaction, facts: Sequence[EntryFact], part: str) -> None:
    rows = await tx.get(MINUTES, {f"{fact.home_unit}|{fact.month}|{part}" for fact in facts})
    for fact in facts:
        identifier = f"{fact.home_unit}|{fact.month}|{part}"
        row = rows.get(identifier)
        if row is None:
            row = {
                "_id": identifier,
                "unit": fact.home_unit,
                "month": fact.month,
                "minutes": [0] * GRADES,
                "entries": 0,
            }
            rows[identifier] = row
        row["minutes"][fact.grade] += fact.minutes
        row["entries"] += 1
    await tx.replace(MINUTES, list(rows.values()))


async def _add_participation(tx: Transaction, facts: Sequence[EntryFact]) -> None:
    rows = await tx.get(PARTICIPATION, {f"{fact.home_unit}|{fact.month}|{fact.volunteer}" for fact in facts})
    for fact in facts:
        identifier = f"{fact.home_unit}|{fact.month}|{fact.volunteer}"
        row = rows.get(identifier)
        if row is None:
            row = {
                "_id": identifier,
                "unit": fact.home_unit,
                "month": fact.month,
                "member": fact.volunteer,
                "minutes": 0,
            }
            rows[identifier] = row
        row["minutes"] += fact.minutes
    await tx.replace(PARTICIPATION, list(rows.values()))


async def _add_attended(tx: Transaction, facts: Sequence[EntryFact], part: str) -> None:
    rows = await tx.get(ATTENDED, {f"{fact.unit_served}|{fact.month}|{fact.session}|{part}" for fact in facts})
    for fact in facts:
        identifier = f"{fact.unit_served}|{fact.month}|{fact.session}|{part}"
        row = rows.get(identifier)
        if row is None:
            row = rows[identifier] = _new_attended(identifier, fact)
        row["entries"] += fact.presence
    await tx.replace(ATTENDED, list(rows.values()))


def _new_attended(identifier: str, fact: EntryFact) -> Document:
    return {
        "_id": identifier,
        "unit": fact.unit_served,
        "month": fact.month,
        "session": fact.session,
        "station_id": fact.station_id,
        "key_field": fact.key_field,
        "entries": 0,
    }
