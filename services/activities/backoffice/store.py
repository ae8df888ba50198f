"""Loads, saves and lists proposals of the back office."""

from typing import Final

from services.activities.backoffice.rules import Proposal, ProposalState, Stated
from services.contracts.ids import ActorId, SessionId, UnitCode, VolunteerId
from services.eventing.ports import Document, Index, Reads, Transaction
from services.eventing.times import from_text, to_text

PROPOSALS: Final = "proposals"
COLLECTIONS: Final = (PROPOSALS,)
INDEXES: Final = (Index(PROPOSALS, "state", (("unit_served", 1), ("state", 1), ("_id", 1))),)


def _document(proposal: Proposal) -> Document:
    stated = proposal.stated
    return {
        "_id": proposal.proposal_id,
        "session_id": stated.session_id,
        "volunteer_id": stated.volunteer_id,
        "unit_served": proposal.unit_served,
        "came_at": to_text(stated.came_at),
        "left_at": to_text(stated.left_at),
        "reason": stated.reason,
        "proposed_by": proposal.proposed_by,
        "proposed_at": to_text(proposal.proposed_at),
        "state": proposal.state,
        "decided_by": proposal.decided_by,
        "decided_at": None if proposal.decided_at is None else to_text(proposal.decided_at),
    }


def _proposal(document: Document) -> Proposal:
    decided_by, decided_at = document["decided_by"], document["decided_at"]
    return Proposal(
        proposal_id=document["_id"],
        stated=Stated(
            session_id=SessionId(document["session_id"]),
            volunteer_id=VolunteerId(document["volunteer_id"]),
            came_at=from_text(document["came_at"]),
            left_at=from_text(document["left_at"]),
            reason=document["reason"],
        ),
        unit_served=UnitCode(document["unit_served"]),
        proposed_by=ActorId(document["proposed_by"]),
        proposed_at=from_text(document["proposed_at"]),
        state=document["state"],
        decided_by=None if decided_by is None else ActorId(decided_by),
        decided_at=None if decided_at is None else from_text(decided_at),
    )


async def load(reads: Reads, proposal_id: str) -> Proposal | None:
    """The proposal, if it exists."""
    documents = await reads.get(PROPOSALS, [proposal_id])
    return _proposal(documents[proposal_id]) if proposal_id in documents else None


async def save(tx: Transaction, proposal: Proposal) -> None:
    """Writes a proposal, new or not; two transactions that decide on the same one exclude each other."""
    await tx.replace(PROPOSALS, [_document(proposal)])


async def list_by_state(
    reads: Reads, unit_served: UnitCode, state: ProposalState, *, after: str, limit: int
) -> list[Proposal]:
    """A unit's proposals in one state by id, those after an id."""
    where = {"unit_served": unit_served, "state": state, "_id": {"$gt": after}}
    return [_proposal(document) for document in await reads.find(PROPOSALS, where, limit=limit)]
