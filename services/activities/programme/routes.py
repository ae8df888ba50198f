"""Lets units plan and publish activities, and everybody in their area read them."""

from datetime import date, datetime, time, timedelta
from typing import Annotated, Final, Literal

from fastapi import APIRouter, Depends, Query, Response
from pydantic import AfterValidator, BaseModel, Field, StringConstraints

from services.activities.given import PathId, Reader, TheirPorts, after_text, check_programme
from services.activities.limits import UNIT_PATTERN, YEAR_MAX, YEAR_MIN
from services.activities.programme import handlers, store
from services.activities.programme.rules import (
    CAPACITY_PEOPLE_MAX,
    TITLE_CHARACTERS_MAX,
    Activity,
    Session,
    SessionPlan,
)
from services.activities.shapes import Body, Id, Instant, Unit, example
from services.contracts.calendar import SHANGHAI
from services.contracts.ids import (
    ActivityId,
    KeyField,
    OrganisationId,
    ServiceType,
    SessionId,
    UnitCode,
)
from services.eventing.times import to_text
from services.runtime.commands import Command, command
from services.runtime.pages import Page, Paging, page_of
from services.runtime.problems import refusals, refused

router = APIRouter(tags=["programme"])
Planning = Annotated[Command, Depends(command("activities.write"))]
UnitInQuery = Annotated[str, Query(pattern=UNIT_PATTERN, description="The unit served.")]

State = Literal["draft", "published"]


def _printable(text: str) -> str:
    if not text.isprintable():
        raise ValueError("must be one line of printable text")
    return text


class ActivityBody(Body):
    """What is offered, by whom, and which unit it serves."""

    model_config = example(
        {
            "title": "银龄义诊进社区",
            "unit_served": "340802",
            "organiser_id": "TM-340802-07",
            "brand_id": None,
            "service_type": "health",
            "key_field": "health_care",
        }
    )

    title: Annotated[
        str,
        StringConstraints(strip_whitespace=True, min_length=1, max_length=TITLE_CHARACTERS_MAX),
        AfterValidator(_printable),
    ]
    unit_served: Unit
    organiser_id: Id
    brand_id: Id | None = None
    service_type: ServiceType
    key_field: KeyField | None = None


class SessionBody(Body):
    """When and where an activity takes place, and for how many."""

    model_config = example(
        {
            "starts_at": "2026-07-14T09:00:00+08:00",
            "ends_at": "2026-07-14T11:00:00+08:00",
            "station_id": "ST-340802-03",
            "capacity": 20,
        }
    )

    starts_at: Instant
    ends_at: Instant
    station_id: Id | None = None
    capacity: Annotated[int, Field(ge=1, le=CAPACITY_PEOPLE_MAX)]


class ActivityAnswer(BaseModel):
    """An activity."""

    activity_id: str
    title: str
    unit_served: str
    organiser_id: str
    brand_id: str | None
    service_type: ServiceType
    key_field: KeyField | None
    state: State


class SessionAnswer(BaseModel):
    """A session of an activity."""

    session_id: str
    activity_id: str
    starts_at: datetime
    ends_at: datetime
    grace_minutes: int
    unit_served: str
    organiser_id: str
    station_id: str | None
    service_type: ServiceType
    key_field: KeyField | None
    capacity: int
    places_taken: int
    state: State


class PublicationAnswer(BaseModel):
    """What was published; ``more``: the activity has more drafts than one publication holds."""

    activity_id: str
    sessions: list[str]
    more: bool


FIRST_DAY: Final = date(YEAR_MIN, 1, 1)
LAST_DAY: Final = date(YEAR_MAX, 12, 31)


async def days_asked(
    first: Annotated[date, Query(alias="from", ge=FIRST_DAY, le=LAST_DAY, description="First day.")] = FIRST_DAY,
    last: Annotated[date, Query(alias="to", ge=FIRST_DAY, le=LAST_DAY, description="Last day.")] = LAST_DAY,
) -> tuple[str, str]:
    """The dependency that turns days of Asia/Shanghai into the span of orders that lie in them."""
    begins = datetime.combine(first, time(), tzinfo=SHANGHAI)
    ends = datetime.combine(last + timedelta(days=1), time(), tzinfo=SHANGHAI)
    return to_text(begins), to_text(ends)


Days = Annotated[tuple[str, str], Depends(days_asked)]


@router.post(
    "/v1/activities",
    status_code=201,
    response_model=ActivityAnswer,
    openapi_extra=refusals("outside_area", "organisation_unknown", "unit_unknown", "brand_unknown"),
)
async def plan_activity(body: ActivityBody, command: Planning) -> Response:
    """Plans an activity. It is a draft until it is published."""
    activity = Activity(
        activity_id=ActivityId(command.new_id()),
        title=body.title,
        unit_served=UnitCode(body.unit_served),
        organiser_id=OrganisationId(body.organiser_id),
        brand_id=None if body.brand_id is None else OrganisationId(body.brand_id),
        service_type=body.service_type,
        key_field=body.key_field,
    )
    return await command.run(lambda tx: handlers.plan_activity(tx, command, activity))


@router.post(
    "/v1/activities/{activity_id}/sessions",
    status_code=201,
    response_model=SessionAnswer,
    openapi_extra=refusals("activity_unknown", "outside_area", "station_unknown", "session_window_invalid"),
)
async def plan_session(activity_id: PathId, body: SessionBody, command: Planning) -> Response:
    """Adds a session to an activity. It is a draft until the activity is published, or published again."""
    plan = SessionPlan(
        session_id=SessionId(command.new_id()),
        starts_at=body.starts_at,
        ends_at=body.ends_at,
        station_id=None if body.station_id is None else OrganisationId(body.station_id),
        capacity=body.capacity,
    )
    return await command.run(lambda tx: handlers.plan_session(tx, command, ActivityId(activity_id), plan))


@router.post(
    "/v1/activities/{activity_id}/publication",
    response_model=PublicationAnswer,
    openapi_extra=refusals("activity_unknown", "outside_area", "nothing_to_publish"),
)
async def publish_activity(activity_id: PathId, command: Planning) -> Response:
    """Publishes an activity and its sessions that are still drafts; what is published stays as it is."""
    return await command.run(lambda tx: handlers.publish_activity(tx, command, ActivityId(activity_id)))


@router.get("/v1/activities", openapi_extra=refusals("outside_area"))
async def list_activities(caller: Reader, ports: TheirPorts, page: Paging, unit: UnitInQuery) -> Page[ActivityAnswer]:
    """The activities that serve a unit, by id."""
    check_programme(caller, UnitCode(unit))
    rows = await store.list_activities(ports.store, UnitCode(unit), after=after_text(page, ""), limit=page.limit + 1)
    return page_of(rows, page.limit, _activity_answer, lambda each: (each.activity_id,))


@router.get("/v1/activities/{activity_id}", openapi_extra=refusals("activity_unknown", "outside_area"))
async def get_activity(activity_id: PathId, caller: Reader, ports: TheirPorts) -> ActivityAnswer:
    """One activity."""
    which = ActivityId(activity_id)
    activity = (await store.load_activities(ports.store, [which])).get(which)
    if activity is None:
        raise refused("activity_unknown")
    check_programme(caller, activity.unit_served)
    return _activity_answer(activity)


@router.get("/v1/activities/{activity_id}/sessions", openapi_extra=refusals("activity_unknown", "outside_area"))
async def list_sessions_of_activity(
    activity_id: PathId, page: Paging, caller: Reader, ports: TheirPorts
) -> Page[SessionAnswer]:
    """An activity's sessions, by id."""
    which = ActivityId(activity_id)
    await get_activity(activity_id, caller, ports)
    rows = await store.list_sessions(ports.store, which, after=after_text(page, ""), limit=page.limit + 1)
    return page_of(rows, page.limit, _session_answer, lambda each: (each.facts.session_id,))


@router.get("/v1/sessions", openapi_extra=refusals("outside_area"))
async def list_sessions(
    caller: Reader, ports: TheirPorts, page: Paging, unit: UnitInQuery, days: Days
) -> Page[SessionAnswer]:
    """The sessions that serve a unit and start on certain days of Asia/Shanghai, by start."""
    check_programme(caller, UnitCode(unit))
    after, before = days
    rows = await store.list_calendar(
        ports.store, UnitCode(unit), after=after_text(page, after), before=before, limit=page.limit + 1
    )
    return page_of(rows, page.limit, _session_answer, lambda each: (store.order_of(each),))


@router.get("/v1/sessions/{session_id}", openapi_extra=refusals("session_unknown", "outside_area"))
async def get_session(session_id: PathId, caller: Reader, ports: TheirPorts) -> SessionAnswer:
    """One session."""
    which = SessionId(session_id)
    session = (await store.load_sessions(ports.store, [which])).get(which)
    if session is None:
        raise refused("session_unknown")
    check_programme(caller, session.facts.unit_served)
    return _session_answer(session)


def _activity_answer(activity: Activity) -> ActivityAnswer:
    return ActivityAnswer.model_validate(handlers.activity_body(activity))


def _session_answer(session: Session) -> SessionAnswer:
    return SessionAnswer.model_validate(handlers.session_body(session))
