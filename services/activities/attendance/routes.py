"""Lets volunteers and leaders check in and out, and shows who came."""

from datetime import datetime
from typing import Annotated, Final, Literal

from fastapi import APIRouter, Depends, Response
from pydantic import BaseModel, Field

from services.activities.attendance import handlers, store
from services.activities.attendance.rules import Attendance, CheckIn, CheckOut
from services.activities.given import PathId, Reader, Secret, TheirPorts, after_text, check_area
from services.activities.people import store as people
from services.activities.programme import store as programme
from services.activities.proofs.rules import Claim, ClaimMethod, Entry
from services.activities.shapes import Body, CodeOrCard, Id, Instant, example
from services.contracts.activities import EntryMode, ProofMethod
from services.contracts.ids import ActorId, SessionId, VolunteerId
from services.runtime.commands import Command, command
from services.runtime.pages import Page, Paging, SortKey, page_of
from services.runtime.problems import refusals, refused

router = APIRouter(tags=["attendance"])
Recording = Annotated[Command, Depends(command("attendance.write"))]

_ALWAYS: Final = (
    "session_unknown",
    "outside_area",
    "session_not_published",
    "volunteer_unknown",
    "time_before_window",
    "time_after_window",
    "time_in_future",
    "proof_missing",
    "code_invalid",
    "code_already_used",
    "card_invalid",
)
_CHECK_IN: Final = refusals(*_ALWAYS, "volunteer_not_active", "already_checked_in")
_CHECK_OUT: Final = refusals(*_ALWAYS, "not_checked_in", "already_checked_out", "check_out_before_check_in")


class ProofBody(CodeOrCard):
    """What proves presence: a code or card that was read, or somebody's word."""

    method: ClaimMethod


class EndBody(Body):
    """Who came or left, when, and what proves it."""

    model_config = example(
        {
            "volunteer_id": "0198f3c2-7a10-7c55-9d1e-5f3b2a4c6d70",
            "at": "2026-07-14T08:57:31+08:00",
            "proof": {"method": "personal_card", "card": "V34080200001"},
        }
    )

    volunteer_id: Id
    at: Annotated[Instant | None, Field(description="When it happened; left out: now.")] = None
    proof: Annotated[ProofBody | None, Field(description="Refused without one: `proof_missing`.")] = None

    def happened(self, accepted_at: datetime) -> datetime:
        """When it happened."""
        return accepted_at if self.at is None else self.at

    def claim(self) -> Claim | None:
        """What is claimed to prove it."""
        return None if self.proof is None else Claim(self.proof.method, self.proof.text)


class EndAnswer(BaseModel):
    """One end of a presence as it was accepted."""

    at: datetime
    accepted_at: datetime
    entry_mode: EntryMode
    proofs: list[ProofMethod]
    entered_by: str
    approved_by: str | None
    batch_id: str | None


class AttendanceAnswer(BaseModel):
    """One person's presence at one session; minutes and grades are for the hours service to say."""

    attendance_id: str
    session_id: str
    volunteer_id: str
    home_unit: str
    unit_served: str
    check_in: EndAnswer
    check_out: EndAnswer | None


class SessionAttendanceAnswer(BaseModel):
    """Who is there, and who has left again."""

    attendance_id: str
    volunteer_id: str
    state: Literal["present", "left"]


@router.post(
    "/v1/sessions/{session_id}/check-ins", status_code=201, response_model=AttendanceAnswer, openapi_extra=_CHECK_IN
)
async def check_in(session_id: PathId, body: EndBody, command: Recording, secret: Secret) -> Response:
    """Records that a volunteer came, signed up or not: by code, card, the leader's word or their own."""
    end = CheckIn(at=body.happened(command.now), claim=body.claim(), entry=_entry(command))
    volunteer_id = VolunteerId(body.volunteer_id)
    return await command.run(
        lambda tx: handlers.record_end(tx, command, SessionId(session_id), volunteer_id, end, secret=secret)
    )


@router.post("/v1/sessions/{session_id}/check-outs", response_model=AttendanceAnswer, openapi_extra=_CHECK_OUT)
async def check_out(session_id: PathId, body: EndBody, command: Recording, secret: Secret) -> Response:
    """Records that a volunteer who was checked in left."""
    end = CheckOut(at=body.happened(command.now), claim=body.claim(), entry=_entry(command))
    volunteer_id = VolunteerId(body.volunteer_id)
    return await command.run(
        lambda tx: handlers.record_end(tx, command, SessionId(session_id), volunteer_id, end, secret=secret)
    )


def _entry(command: Command) -> Entry:
    return Entry(entered_by=command.caller.subject, mode="live")


@router.get("/v1/volunteers/{volunteer_id}/attendances", openapi_extra=refusals("volunteer_unknown", "outside_area"))
async def list_attendances_of_volunteer(
    volunteer_id: PathId, page: Paging, caller: Reader, ports: TheirPorts
) -> Page[AttendanceAnswer]:
    """A volunteer's attendances, the newest session first; for the home area, and for the volunteers themselves."""
    whose = VolunteerId(volunteer_id)
    volunteer = (await people.load(ports.store, [whose])).get(whose)
    if volunteer is None:
        raise refused("volunteer_unknown")
    if caller.subject != ActorId(whose):
        check_area(caller, volunteer.home_unit)
    before = after_text(page, store.LAST_ORDER)
    rows = await store.list_by_volunteer(ports.store, whose, before=before, limit=page.limit + 1)
    return page_of(rows, page.limit, _answer, lambda each: (store.order_of(each),))


@router.get("/v1/sessions/{session_id}/attendances", openapi_extra=refusals("session_unknown", "outside_area"))
async def list_attendances_of_session(
    session_id: PathId, page: Paging, caller: Reader, ports: TheirPorts
) -> Page[SessionAttendanceAnswer]:
    """Who came to a session, for the unit that is served."""
    which = SessionId(session_id)
    session = (await programme.load_sessions(ports.store, [which])).get(which)
    if session is None:
        raise refused("session_unknown")
    check_area(caller, session.facts.unit_served)
    rows = await store.list_by_session(ports.store, which, after=after_text(page, ""), limit=page.limit + 1)
    return page_of(rows, page.limit, _session_answer, _id)


def _answer(attendance: Attendance) -> AttendanceAnswer:
    return AttendanceAnswer.model_validate(handlers.body_of(attendance))


def _session_answer(attendance: Attendance) -> SessionAttendanceAnswer:
    return SessionAttendanceAnswer(
        attendance_id=attendance.attendance_id,
        volunteer_id=attendance.volunteer_id,
        state="present" if attendance.check_out is None else "left",
    )


def _id(attendance: Attendance) -> SortKey:
    return (attendance.attendance_id,)
