"""Reads what scores are computed from, and keeps what was last published of a unit."""

from collections import defaultdict
from collections.abc import Sequence

from services.assessment.facts import store as facts
from services.assessment.facts.rules import Place, roll_on
from services.assessment.periods import Period, window
from services.assessment.rule_sets.rules import RuleSet
from services.assessment.scores.rules import Inputs
from services.contracts.ids import GRADES
from services.eventing.ports import Document, Index, Reads, Transaction, Where
from services.runtime.areas import holds

PUBLISHED = "published_scores"
"""By unit and period: the facts counted when its score was last looked at, and the published points and revision."""
COLLECTIONS = (PUBLISHED,)
INDEXES: tuple[Index, ...] = ()
ROWS_MAX = 100_000
"""Rollup rows of one unit and window; a unit has some thousands. More is refused, never cut."""
UNITS_MAX = 500
NEVER = -1
"""A number of facts that no unit has."""
MEMBERS_A_READ = 1_000


async def units_within(reads: Reads, area: str) -> list[str]:
    """The codes of the assessed units of an area, in order."""
    documents = await reads.find(facts.PLACES, {"kind": "unit"}, limit=UNITS_MAX)
    assert len(documents) < UNITS_MAX
    return [document["_id"] for document in documents if holds(area, document["_id"])]


async def unit_names(reads: Reads, units: Sequence[str]) -> dict[str, str]:
    """The names of units, by code."""
    return {key: document.get("name", "") for key, document in (await reads.get(facts.PLACES, units)).items()}


async def load_inputs(reads: Reads, unit: str, period: Period, rule_set: RuleSet) -> Inputs:
    """All that the formulas look at, for one unit and period."""
    months = _window(rule_set, period, await _first_month(reads))
    minutes = await _rows(reads, facts.MINUTES, {"unit": unit, "month": {"$in": list(period.months)}})
    by_grade = [sum(row["minutes"][grade] for row in minutes) for grade in range(GRADES)]
    stations = await _stations(reads, unit, period)
    attended = await _attended(reads, unit, period)
    return Inputs(
        roll=await _roll(reads, unit, period),
        window=months,
        participants=await _participants(reads, unit, months, period),
        minutes=sum(by_grade[1:]),
        minutes_by_grade=(by_grade[0], by_grade[1], by_grade[2], by_grade[3]),
        stations=stations,
        attended=_months_by_station(attended),
        key_fields=frozenset(row["key_field"] for row in attended if row["key_field"] is not None),
    )


async def _rows(reads: Reads, collection: str, where: Where) -> list[Document]:
    rows = await reads.find(collection, where, limit=ROWS_MAX)
    assert len(rows) < ROWS_MAX
    return rows


async def _first_month(reads: Reads) -> str | None:
    """The first month there are any minutes for, anywhere."""
    rows = await reads.find(facts.MINUTES, {}, sort=(("month", 1),), limit=1, fields=("month",))
    return rows[0]["month"] if rows else None


def _window(rule_set: RuleSet, period: Period, first: str | None) -> tuple[str, ...]:
    lengths = [indicator.window_months for indicator in rule_set.indicators if indicator.window_months is not None]
    assert len(set(lengths)) <= 1, "one window of people a rule set"
    return window(period, lengths[0], first) if lengths else period.months


async def _roll(reads: Reads, unit: str, period: Period) -> int | None:
    place = facts.place_of((await reads.get(facts.PLACES, [unit])).get(unit))
    return roll_on(place, period.last_day.isoformat()) if place is not None else None


async def _stations(reads: Reads, unit: str, period: Period) -> tuple[str, ...]:
    rows = await _rows(reads, facts.PLACES, {"unit": unit, "kind": "station"})
    places: list[tuple[str, Place | None]] = [(row["_id"], facts.place_of(row)) for row in rows]
    last = period.last_day.isoformat()
    return tuple(sorted(key for key, place in places if place is not None and place.since <= last))


async def _attended(reads: Reads, unit: str, period: Period) -> list[Document]:
    """One row for each attended session of the period: the slices of a session are united, those at zero dropped."""
    rows = await _rows(reads, facts.ATTENDED, {"unit": unit, "month": {"$in": list(period.months)}})
    entries: defaultdict[tuple[str, str], int] = defaultdict(int)
    first: dict[tuple[str, str], Document] = {}
    for row in rows:
        key = (row["session"], row["month"])
        entries[key] += row["entries"]
        first.setdefault(key, row)
    return [row for key, row in first.items() if entries[key] > 0]


def _months_by_station(attended: Sequence[Document]) -> dict[str, frozenset[str]]:
    months: defaultdict[str, set[str]] = defaultdict(set)
    for row in attended:
        if row["station_id"] is not None:
            months[row["station_id"]].add(row["month"])
    return {station: frozenset(found) for station, found in months.items()}


async def _participants(reads: Reads, unit: str, months: Sequence[str], period: Period) -> int:
    """Retired cadres, registered by the period's end, with credited minutes in the window."""
    rows = await _rows(reads, facts.PARTICIPATION, {"unit": unit, "month": {"$in": list(months)}})
    people = sorted({row["member"] for row in rows if row["minutes"] > 0})
    last, count = period.last_day.isoformat(), 0
    for start in range(0, len(people), MEMBERS_A_READ):
        documents = await reads.get(facts.MEMBERS, people[start : start + MEMBERS_A_READ])
        members = [facts.member_of(document) for document in documents.values()]
        count += sum(1 for m in members if m is not None and m.retired_cadre and m.registered_on <= last)
    return count


async def facts_counted(reads: Reads) -> dict[str, int]:
    """How many facts were counted for each unit so far."""
    rows = await _rows(reads, facts.UNIT_VERSIONS, {})
    counted: defaultdict[str, int] = defaultdict(int)
    for row in rows:
        counted[row["unit"]] += row["facts"]
    return dict(counted)


async def traces_of(reads: Reads, unit: str) -> list[str]:
    """Trace contexts of facts counted for a unit, the last one of each slice that has one."""
    rows = await _rows(reads, facts.UNIT_VERSIONS, {"unit": unit})
    return sorted(row["trace"] for row in rows if "trace" in row)


def published_id(unit: str, period: str) -> str:
    """What is noted of one unit and period."""
    return f"{unit}|{period}"


async def load_published(reads: Reads, ids: Sequence[str]) -> dict[str, Document]:
    """What was last published: ``{facts, revision, score}`` by ``published_id``."""
    return await reads.get(PUBLISHED, ids)


async def save_published(
    tx: Transaction, identifier: str, *, facts_seen: int, revision: int, score: str, traces: Sequence[str] = ()
) -> None:
    """Notes what a published score rests on; ``score`` is its content as text, to see whether it moved.

    ``traces``: those that were there by then, so that none is continued by a score that moves for another reason.
    """
    document = {"_id": identifier, "facts": facts_seen, "revision": revision, "score": score}
    await tx.replace(PUBLISHED, [{**document, "traces": list(traces)} if traces else document])


async def look_again(tx: Transaction) -> None:
    """Makes the publisher look at every score again: what it counted before was counted in another projection."""
    known = await tx.find(PUBLISHED, {}, limit=ROWS_MAX, fields=("facts",))
    if known:
        await tx.update(PUBLISHED, {row["_id"]: {"facts": NEVER} for row in known})
