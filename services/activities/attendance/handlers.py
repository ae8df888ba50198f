"""Checks people in and out, one at a time."""

from typing import Any

from services.activities.attendance import store
from services.activities.attendance.rules import (
    Attendance,
    CheckIn,
    CheckOut,
    End,
    Situation,
    attendance_id_of,
    decide,
)
from services.activities.codes import store as codes
from services.activities.people import store as people
from services.activities.programme import store as programme
from services.activities.programme.rules import Session
from services.activities.proofs.rules import slip_claimed
from services.contracts.ids import ActorId, SessionId, VolunteerId
from services.eventing.ports import Transaction
from services.eventing.times import to_text
from services.runtime.auth import Caller
from services.runtime.commands import Command
from services.runtime.outcomes import Accepted, Outcome, Refusal


async def record_end(
    tx: Transaction,
    command: Command,
    session_id: SessionId,
    volunteer_id: VolunteerId,
    end: CheckIn | CheckOut,
    *,
    secret: bytes,
) -> Outcome:
    """Records that somebody came or left, or says why not."""
    attendance_id = attendance_id_of(session_id, volunteer_id)
    session = (await programme.load_sessions(tx, [session_id])).get(session_id)
    known = await store.load(tx, [attendance_id])
    slip = slip_claimed(end.claim, session_id)
    spent = {} if slip is None else await codes.load_spent(tx, [slip])
    situation = Situation(
        session=session,
        volunteer=(await people.load(tx, [volunteer_id])).get(volunteer_id),
        within_area=session is None or may_record(command.caller, session, volunteer_id),
        attendance=known.get(attendance_id),
        slip_spent_on=None if slip is None else spent.get(slip),
    )
    decision = decide(end, situation, now=command.now, secret=secret)
    if isinstance(decision, Refusal):
        return decision
    await store.save(tx, [decision.attendance], known)
    await codes.save_spent(tx, {} if decision.slip is None else {decision.slip: attendance_id}, spent)
    facts = [command.fact(event) for event in decision.events]
    return Accepted(body_of(decision.attendance), facts, status=201 if isinstance(end, CheckIn) else 200)


def may_record(caller: Caller, session: Session, volunteer_id: VolunteerId) -> bool:
    """The unit that is served, and the volunteers themselves, may say that they came."""
    return caller.covers(session.facts.unit_served) or caller.subject == ActorId(volunteer_id)


def body_of(attendance: Attendance) -> dict[str, Any]:
    """An attendance as it is answered: ids, times and how it was proved."""
    return {
        "attendance_id": attendance.attendance_id,
        "session_id": attendance.session_id,
        "volunteer_id": attendance.volunteer_id,
        "home_unit": attendance.home_unit,
        "unit_served": attendance.unit_served,
        "check_in": _end_body(attendance.check_in),
        "check_out": None if attendance.check_out is None else _end_body(attendance.check_out),
    }


def _end_body(end: End) -> dict[str, Any]:
    return {
        "at": to_text(end.at),
        "accepted_at": to_text(end.accepted_at),
        "entry_mode": end.entry_mode,
        "proofs": [proof.method for proof in end.proofs],
        "entered_by": end.entered_by,
        "approved_by": end.approved_by,
        "batch_id": end.batch_id,
    }
