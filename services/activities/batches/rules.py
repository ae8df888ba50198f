"""Decides a batch row by row, by the rules of the live commands; what a row changed holds for the rows after it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

import msgspec

from services.activities.attendance.rules import Attendance, Command, Decision, Situation, attendance_id_of, decide
from services.activities.people.rules import Volunteer
from services.activities.programme.rules import Session
from services.activities.proofs.rules import slip_claimed
from services.contracts.activities import CheckedIn, CheckedOut
from services.contracts.ids import AttendanceId, SessionId, UnitCode, VolunteerNumber
from services.runtime.outcomes import Refusal

BATCH_ROWS_MAX: Final = 500
BATCH_BYTES_MAX: Final = 1024 * 1024


class Row(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One row that could be read: whose number, which session, and what is said to have happened."""

    row: int
    session_id: SessionId
    number: VolunteerNumber
    command: Command


class RefusedRow(msgspec.Struct, frozen=True, gc=False):
    """One row that was refused, and why."""

    row: int
    code: str


@dataclass(slots=True)
class World:
    """All that the rows of a batch are decided on, loaded at once; takes in what each accepted row changes."""

    sessions: dict[SessionId, Session]
    volunteers: dict[VolunteerNumber, Volunteer]
    attendances: dict[AttendanceId, Attendance]
    spent: dict[str, AttendanceId]
    covers: Callable[[UnitCode], bool]


@dataclass(slots=True)
class Result:
    """What a batch comes to, in row order: what is announced, what is to be written, which rows were refused."""

    accepted: int = 0
    events: list[CheckedIn | CheckedOut] = field(default_factory=list)
    attendances: dict[AttendanceId, Attendance] = field(default_factory=dict)
    spent: dict[str, AttendanceId] = field(default_factory=dict)
    refused: list[RefusedRow] = field(default_factory=list)


def decide_rows(rows: Sequence[Row], world: World, *, now: datetime, secret: bytes) -> Result:
    """Decides every row as if each had come alone, one after the other."""
    assert len(rows) <= BATCH_ROWS_MAX
    result = Result()
    seen: set[int] = set()
    for row in rows:
        decision = Refusal("row_repeated") if row.row in seen else _decide_row(row, world, now, secret)
        seen.add(row.row)
        if isinstance(decision, Refusal):
            result.refused.append(RefusedRow(row.row, decision.code))
        else:
            _take_in(decision, world, result)
    assert result.accepted + len(result.refused) == len(rows)
    return result


def _decide_row(row: Row, world: World, now: datetime, secret: bytes) -> Decision | Refusal:
    session, volunteer = world.sessions.get(row.session_id), world.volunteers.get(row.number)
    attendance = (
        None if volunteer is None else world.attendances.get(attendance_id_of(row.session_id, volunteer.volunteer_id))
    )
    slip = slip_claimed(row.command.claim, row.session_id)
    situation = Situation(
        session=session,
        volunteer=volunteer,
        within_area=session is None or world.covers(session.facts.unit_served),
        attendance=attendance,
        slip_spent_on=None if slip is None else world.spent.get(slip),
    )
    return decide(row.command, situation, now=now, secret=secret)


def _take_in(decision: Decision, world: World, result: Result) -> None:
    attendance = decision.attendance
    world.attendances[attendance.attendance_id] = attendance
    result.attendances[attendance.attendance_id] = attendance
    result.events.extend(decision.events)
    result.accepted += 1
    if decision.slip is not None:
        world.spent[decision.slip] = attendance.attendance_id
        result.spent[decision.slip] = attendance.attendance_id
