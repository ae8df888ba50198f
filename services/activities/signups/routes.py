"""Lets volunteers and those who organise sign up, and shows who holds a place."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Response
from pydantic import BaseModel

from services.activities.given import PathId, Reader, TheirPorts, after_text, check_area
from services.activities.programme import store as programme
from services.activities.shapes import Body, Id, example
from services.activities.signups import handlers, store
from services.activities.signups.store import HeldPlace
from services.contracts.ids import SessionId, VolunteerId
from services.runtime.commands import Command, command
from services.runtime.pages import Page, Paging, page_of
from services.runtime.problems import refusals, refused

router = APIRouter(tags=["sign-ups"])


class SignUpBody(Body):
    """Who wants a place."""

    model_config = example({"volunteer_id": "0198f3c2-7a10-7c55-9d1e-5f3b2a4c6d70"})

    volunteer_id: Id


class SignUpAnswer(BaseModel):
    """A place that is held."""

    attendance_id: str
    session_id: str
    volunteer_id: str
    places_left: int


class HeldPlaceAnswer(BaseModel):
    """Who holds a place, since when, and who entered it."""

    attendance_id: str
    volunteer_id: str
    entered_by: str
    signed_up_at: datetime


@router.post(
    "/v1/sessions/{session_id}/sign-ups",
    status_code=201,
    response_model=SignUpAnswer,
    openapi_extra=refusals(
        "session_unknown",
        "outside_area",
        "session_not_published",
        "session_closed",
        "volunteer_unknown",
        "volunteer_not_active",
        "already_signed_up",
        "overlapping_sign_up",
        "session_full",
    ),
)
async def sign_up(
    session_id: PathId, body: SignUpBody, command: Annotated[Command, Depends(command("attendance.write"))]
) -> Response:
    """Takes a place in a session that has not ended, if there is one and the volunteer is not elsewhere then."""
    return await command.run(
        lambda tx: handlers.sign_up(tx, command, SessionId(session_id), VolunteerId(body.volunteer_id))
    )


@router.get("/v1/sessions/{session_id}/sign-ups", openapi_extra=refusals("session_unknown", "outside_area"))
async def list_sign_ups(session_id: PathId, page: Paging, caller: Reader, ports: TheirPorts) -> Page[HeldPlaceAnswer]:
    """Who holds a place in a session, for the unit that is served."""
    which = SessionId(session_id)
    session = (await programme.load_sessions(ports.store, [which])).get(which)
    if session is None:
        raise refused("session_unknown")
    check_area(caller, session.facts.unit_served)
    rows = await store.list_by_session(ports.store, which, after=after_text(page, ""), limit=page.limit + 1)
    return page_of(rows, page.limit, _answer, lambda each: (each.attendance_id,))


def _answer(place: HeldPlace) -> HeldPlaceAnswer:
    return HeldPlaceAnswer(
        attendance_id=place.attendance_id,
        volunteer_id=place.volunteer_id,
        entered_by=place.entered_by,
        signed_up_at=place.signed_up_at,
    )
