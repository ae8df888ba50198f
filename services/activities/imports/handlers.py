"""Takes in a programme's sheet, chunk by chunk: all it names loaded at once, decided row by row, saved once."""

from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from services.activities.imports.rules import Programme, Result, decide_rows, named_places
from services.activities.places import store as places
from services.activities.programme import store
from services.activities.sheets.rules import PlannedRow
from services.contracts.ids import UnitCode
from services.eventing.ports import Reads, Transaction
from services.runtime.cells import CellError
from services.runtime.commands import Command
from services.runtime.lists import Tally
from services.runtime.outcomes import Accepted, Outcome

CHUNK_ROWS_MAX: Final = 500

Rows = Sequence[PlannedRow | list[CellError]]


async def rehearse(reads: Reads, rows: Rows, covers: Callable[[UnitCode], bool]) -> Tally:
    """What would become of all rows of a sheet."""
    return _tally(rows, decide_rows(rows, await _load(reads, rows, covers)))


async def take_in(tx: Transaction, command: Command, rows: Rows) -> Outcome:
    """Writes and announces what the rows of one chunk change; answers with their tally."""
    programme = await _load(tx, rows, command.caller.covers)
    known_activities, known_sessions = frozenset(programme.activities), frozenset(programme.sessions)
    result = decide_rows(rows, programme)
    activities = [programme.activities[each] for each in sorted(result.activities)]
    sessions = [programme.sessions[each] for each in sorted(result.sessions)]
    await store.save_new(
        tx,
        [each for each in activities if each.activity_id not in known_activities],
        [each for each in sessions if each.facts.session_id not in known_sessions],
        by=command.caller.subject,
        at=command.now,
    )
    await store.save(
        tx,
        [each for each in activities if each.activity_id in known_activities],
        [each for each in sessions if each.facts.session_id in known_sessions],
    )
    facts = [command.fact(event) for event in result.events]
    return Accepted(msgspec.to_builtins(_tally(rows, result)), facts)


async def _load(reads: Reads, rows: Rows, covers: Callable[[UnitCode], bool]) -> Programme:
    planned = [row for row in rows if isinstance(row, PlannedRow)]
    return Programme(
        places=await places.load(reads, named_places(planned)),
        activities=await store.load_activities(reads, sorted({row.activity.activity_id for row in planned})),
        sessions=await store.load_sessions(reads, sorted({row.plan.session_id for row in planned})),
        covers=covers,
    )


def _tally(rows: Rows, result: Result) -> Tally:
    assert result.accepted + result.unchanged + result.refused == len(rows)
    return Tally(
        rows=len(rows),
        accepted=result.accepted,
        unchanged=result.unchanged,
        refused=result.refused,
        errors=result.errors,
    )
