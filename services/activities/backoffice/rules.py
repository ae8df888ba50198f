"""Decides on attendances that the back office types in: one clerk proposes, another one decides."""

from datetime import datetime
from typing import Literal, assert_never

import msgspec

from services.activities.attendance.rules import Attend
from services.activities.proofs.rules import Entry
from services.contracts.ids import ActorId, SessionId, UnitCode, VolunteerId
from services.runtime.outcomes import Refusal

Reason = Literal["device_failed", "paper_lost", "entered_wrongly", "forgotten"]
"""Why a record comes in this way; a code, since free text never enters an event."""
ProposalState = Literal["proposed", "approved", "rejected"]
Verdict = Literal["approved", "rejected"]


class Stated(msgspec.Struct, frozen=True, kw_only=True):
    """What a clerk says there was."""

    session_id: SessionId
    volunteer_id: VolunteerId
    came_at: datetime
    left_at: datetime
    reason: Reason | None


class Proposal(msgspec.Struct, frozen=True, kw_only=True):
    """An attendance that one clerk stated; nothing is announced before a second one says so too."""

    proposal_id: str
    stated: Stated
    unit_served: UnitCode
    proposed_by: ActorId
    proposed_at: datetime
    state: ProposalState = "proposed"
    decided_by: ActorId | None = None
    decided_at: datetime | None = None


def refuse_decision(proposal: Proposal, by: ActorId) -> Refusal | None:
    """Refuses who proposed, and whoever comes after the decision."""
    match proposal.state:
        case "proposed":
            return Refusal("second_person_required") if by == proposal.proposed_by else None
        case "approved" | "rejected":
            return Refusal("proposal_decided")
        case _:
            assert_never(proposal.state)


def decided(proposal: Proposal, verdict: Verdict, by: ActorId, at: datetime) -> Proposal:
    """The proposal after the second person's decision."""
    assert by != proposal.proposed_by
    assert proposal.state == "proposed"
    return msgspec.structs.replace(proposal, state=verdict, decided_by=by, decided_at=at)


def attend(stated: Stated, proposed_by: ActorId, approved_by: ActorId | None) -> Attend:
    """The command that a statement stands for; it claims no proof, so it is worth grade 0."""
    entry = Entry(entered_by=proposed_by, mode="back_office", approved_by=approved_by)
    return Attend(came_at=stated.came_at, left_at=stated.left_at, claim=None, entry=entry)
