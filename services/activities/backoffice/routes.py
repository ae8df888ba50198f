"""Lets one clerk propose an attendance, and another one approve or reject it."""

from datetime import datetime
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Query, Response
from pydantic import BaseModel, Field

from services.activities.backoffice import handlers, store
from services.activities.backoffice.rules import Proposal, ProposalState, Reason, Stated
from services.activities.given import PathId, Secret, TheirPorts, after_text, check_area
from services.activities.limits import UNIT_PATTERN
from services.activities.shapes import Body, Id, Instant, example
from services.contracts.ids import SessionId, UnitCode, VolunteerId
from services.runtime.auth import Caller, require
from services.runtime.commands import Command, command
from services.runtime.pages import Page, Paging, page_of
from services.runtime.problems import refusals

router = APIRouter(tags=["back office"])
SCOPE: Final = "attendance.back_office"
Deciding = Annotated[Command, Depends(command(SCOPE))]
Clerk = Annotated[Caller, Depends(require(SCOPE))]

_WHAT_WAS_STATED: Final = (
    "session_unknown",
    "outside_area",
    "session_not_published",
    "volunteer_unknown",
    "volunteer_not_active",
    "already_checked_in",
    "check_out_before_check_in",
    "time_before_window",
    "time_after_window",
    "time_in_future",
)
_WHO_DECIDES: Final = ("proposal_unknown", "proposal_decided", "second_person_required", "outside_area")


class StatedBody(Body):
    """What a clerk says there was, without a proof: it will be worth grade 0."""

    model_config = example(
        {
            "volunteer_id": "0198f3c2-7a10-7c55-9d1e-5f3b2a4c6d70",
            "from": "2026-07-14T09:00:00+08:00",
            "to": "2026-07-14T11:00:00+08:00",
            "reason": "paper_lost",
        }
    )

    volunteer_id: Id
    came_at: Annotated[Instant, Field(alias="from")]
    left_at: Annotated[Instant, Field(alias="to")]
    reason: Reason | None = None


class ProposalAnswer(BaseModel):
    """A proposal, and what became of it."""

    proposal_id: str
    session_id: str
    volunteer_id: str
    unit_served: str
    came_at: Annotated[datetime, Field(alias="from")]
    left_at: Annotated[datetime, Field(alias="to")]
    reason: Reason | None
    state: ProposalState
    proposed_by: str
    proposed_at: datetime
    decided_by: str | None
    decided_at: datetime | None


@router.post(
    "/v1/sessions/{session_id}/back-office-attendances",
    status_code=201,
    response_model=ProposalAnswer,
    openapi_extra=refusals(*_WHAT_WAS_STATED),
)
async def propose(session_id: PathId, body: StatedBody, command: Deciding, secret: Secret) -> Response:
    """Proposes an attendance that no door recorded; nothing counts before a different clerk approves."""
    stated = Stated(
        session_id=SessionId(session_id),
        volunteer_id=VolunteerId(body.volunteer_id),
        came_at=body.came_at,
        left_at=body.left_at,
        reason=body.reason,
    )
    proposal_id = command.new_id()
    return await command.run(lambda tx: handlers.propose(tx, command, proposal_id, stated, secret=secret))


@router.post(
    "/v1/back-office-attendances/{proposal_id}/approval",
    response_model=ProposalAnswer,
    openapi_extra=refusals(*{*_WHAT_WAS_STATED, *_WHO_DECIDES}),
)
async def approve(proposal_id: PathId, command: Deciding, secret: Secret) -> Response:
    """Records what another clerk proposed, as check-in and check-out of grade 0."""
    return await command.run(lambda tx: handlers.approve(tx, command, proposal_id, secret=secret))


@router.post(
    "/v1/back-office-attendances/{proposal_id}/rejection",
    response_model=ProposalAnswer,
    openapi_extra=refusals(*_WHO_DECIDES),
)
async def reject(proposal_id: PathId, command: Deciding) -> Response:
    """Closes what another clerk proposed; nothing is recorded."""
    return await command.run(lambda tx: handlers.reject(tx, command, proposal_id))


@router.get("/v1/back-office-attendances", openapi_extra=refusals("outside_area"))
async def list_proposals(
    caller: Clerk,
    ports: TheirPorts,
    page: Paging,
    unit: Annotated[str, Query(pattern=UNIT_PATTERN, description="The unit served.")],
    state: ProposalState = "proposed",
) -> Page[ProposalAnswer]:
    """A unit's proposals, the oldest first; by default those that wait for a decision."""
    check_area(caller, UnitCode(unit))
    rows = await store.list_by_state(
        ports.store, UnitCode(unit), state, after=after_text(page, ""), limit=page.limit + 1
    )
    return page_of(rows, page.limit, _answer, lambda each: (each.proposal_id,))


def _answer(proposal: Proposal) -> ProposalAnswer:
    return ProposalAnswer.model_validate(handlers.body_of(proposal))
