"""Takes a clerk's proposal of an attendance, and a second clerk's decision on it."""

from typing import Any

from services.activities.attendance import store as attendances
from services.activities.attendance.rules import Situation, attendance_id_of, decide
from services.activities.backoffice import store
from services.activities.backoffice.rules import Proposal, Stated, attend, decided, refuse_decision
from services.activities.people import store as people
from services.activities.programme import store as programme
from services.eventing.ports import Transaction
from services.eventing.times import to_text
from services.runtime.auth import Caller, outside_area
from services.runtime.commands import Command
from services.runtime.outcomes import Accepted, Outcome, Refusal


async def propose(tx: Transaction, command: Command, proposal_id: str, stated: Stated, *, secret: bytes) -> Outcome:
    """Keeps a proposal that could be approved as things stand; announces nothing."""
    by = command.caller.subject
    situation = await _situation(tx, command.caller, stated)
    decision = decide(attend(stated, by, None), situation, now=command.now, secret=secret)
    if isinstance(decision, Refusal):
        return decision
    proposal = Proposal(
        proposal_id=proposal_id,
        stated=stated,
        unit_served=decision.attendance.unit_served,
        proposed_by=by,
        proposed_at=command.now,
    )
    await store.save(tx, proposal)
    return Accepted(body_of(proposal), status=201, location=f"/v1/back-office-attendances/{proposal_id}")


async def approve(tx: Transaction, command: Command, proposal_id: str, *, secret: bytes) -> Outcome:
    """Records what was proposed. It is decided anew: much may have happened since the proposal."""
    proposal = await _undecided(tx, command, proposal_id)
    if isinstance(proposal, Refusal):
        return proposal
    by = command.caller.subject
    situation = await _situation(tx, command.caller, proposal.stated)
    decision = decide(attend(proposal.stated, proposal.proposed_by, by), situation, now=command.now, secret=secret)
    if isinstance(decision, Refusal):
        return decision
    proposal = decided(proposal, "approved", by, command.now)
    await store.save(tx, proposal)
    # Accepted as a whole presence, so there was none before.
    await attendances.save(tx, [decision.attendance], ())
    return Accepted(body_of(proposal), [command.fact(event) for event in decision.events])


async def reject(tx: Transaction, command: Command, proposal_id: str) -> Outcome:
    """Closes a proposal; what it stated was never announced."""
    proposal = await _undecided(tx, command, proposal_id)
    if isinstance(proposal, Refusal):
        return proposal
    proposal = decided(proposal, "rejected", command.caller.subject, command.now)
    await store.save(tx, proposal)
    return Accepted(body_of(proposal))


async def _undecided(tx: Transaction, command: Command, proposal_id: str) -> Proposal | Refusal:
    """The proposal, if this caller may decide on it."""
    proposal = await store.load(tx, proposal_id)
    if proposal is None:
        return Refusal("proposal_unknown")
    if not command.caller.covers(proposal.unit_served):
        return outside_area(command.caller, proposal.unit_served)
    return refuse_decision(proposal, command.caller.subject) or proposal


async def _situation(tx: Transaction, caller: Caller, stated: Stated) -> Situation:
    """Clerks act for the unit that is served, never for themselves."""
    session = (await programme.load_sessions(tx, [stated.session_id])).get(stated.session_id)
    attendance_id = attendance_id_of(stated.session_id, stated.volunteer_id)
    return Situation(
        session=session,
        volunteer=(await people.load(tx, [stated.volunteer_id])).get(stated.volunteer_id),
        within_area=session is None or caller.covers(session.facts.unit_served),
        attendance=(await attendances.load(tx, [attendance_id])).get(attendance_id),
        slip_spent_on=None,
    )


def body_of(proposal: Proposal) -> dict[str, Any]:
    """A proposal as it is answered."""
    return {
        "proposal_id": proposal.proposal_id,
        "session_id": proposal.stated.session_id,
        "volunteer_id": proposal.stated.volunteer_id,
        "unit_served": proposal.unit_served,
        "from": to_text(proposal.stated.came_at),
        "to": to_text(proposal.stated.left_at),
        "reason": proposal.stated.reason,
        "state": proposal.state,
        "proposed_by": proposal.proposed_by,
        "proposed_at": to_text(proposal.proposed_at),
        "decided_by": proposal.decided_by,
        "decided_at": None if proposal.decided_at is None else to_text(proposal.decided_at),
    }
