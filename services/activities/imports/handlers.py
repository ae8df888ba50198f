"""Takes in a programme's sheet: all it names loaded at once, decided row by row, saved once."""

from collections.abc import Sequence
from typing import Any

from services.activities.imports.rules import Programme, Result, decide_rows, named_places
from services.activities.places import store as places
from services.activities.programme import store
from services.activities.sheets.rules import CellError, PlannedRow
from services.eventing.ports import Transaction
from services.runtime.commands import Command
from services.runtime.outcomes import Accepted, Outcome
from services.runtime.problems import ProblemTable

Rows = Sequence[PlannedRow | list[CellError]]


async def take_in(tx: Transaction, command: Command, rows: Rows, *, dry_run: bool) -> Outcome:
    """Writes and announces what the rows change, and says what is wrong with the others; a dry run only says it."""
    planned = [row for row in rows if isinstance(row, PlannedRow)]
    programme = Programme(
        places=await places.load(tx, named_places(planned)),
        activities=await store.load_activities(tx, sorted({row.activity.activity_id for row in planned})),
        sessions=await store.load_sessions(tx, sorted({row.plan.session_id for row in planned})),
        covers=command.caller.covers,
    )
    known = (set(programme.activities), set(programme.sessions))
    result = decide_rows(rows, programme)
    body = _body(rows, result, command.problems)
    if dry_run:
        return Accepted(body)
    activities = [programme.activities[each] for each in sorted(result.activities)]
    sessions = [programme.sessions[each] for each in sorted(result.sessions)]
    await store.save_new(
        tx,
        [each for each in activities if each.activity_id not in known[0]],
        [each for each in sessions if each.facts.session_id not in known[1]],
        by=command.caller.subject,
        at=command.now,
    )
    await store.save(
        tx,
        [each for each in activities if each.activity_id in known[0]],
        [each for each in sessions if each.facts.session_id in known[1]],
    )
    return Accepted(body, [command.fact(event) for event in result.events])


def _body(rows: Rows, result: Result, problems: ProblemTable) -> dict[str, Any]:
    errors = [
        {"row": each.row, "column": each.column, "code": each.code, "title": problems[each.code].title}
        for each in result.errors
    ]
    return {"rows": len(rows), "accepted": result.accepted, "unchanged": result.unchanged, "errors": errors}
