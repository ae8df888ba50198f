"""Shows a station's rotating code, and the one-time codes to be printed for a session."""

from datetime import datetime
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel

from services.activities.codes.rules import (
    ONE_TIME_CODES_A_SESSION_MAX,
    STATION_CODE_STEP_S,
    one_time_code,
    station_code,
)
from services.activities.given import PathId, Secret, TheirPorts, check_area
from services.activities.places import store as places
from services.activities.places.rules import station_of
from services.activities.programme import store as programme
from services.contracts.ids import SessionId
from services.runtime.auth import Caller, require
from services.runtime.problems import refusals, refused

router = APIRouter(tags=["codes"])
CODES_A_PAGE_MAX: Final = 500
Issuer = Annotated[Caller, Depends(require("stations.code"))]


class StationCodeAnswer(BaseModel):
    """What the station's display shows now, and until when."""

    station_id: str
    code: str
    valid_from: datetime
    valid_until: datetime
    step_seconds: int


class OneTimeCodesAnswer(BaseModel):
    """Codes for slips of paper, one a person, in the order of their serials."""

    session_id: str
    first: int
    codes: list[str]


@router.get("/v1/stations/{station_id}/code", openapi_extra=refusals("station_unknown", "outside_area"))
async def get_station_code(station_id: PathId, caller: Issuer, ports: TheirPorts, secret: Secret) -> StationCodeAnswer:
    """The code that proves presence at a station this minute (RFC 6238); for the unit the station belongs to."""
    place = (await places.load(ports.store, [station_id])).get(station_id)
    station = station_of(place)
    if place is None or station is None:
        raise refused("station_unknown")
    check_area(caller, place.unit)
    shown = station_code(secret, station, ports.clock.now())
    return StationCodeAnswer(
        station_id=station,
        code=shown.code,
        valid_from=shown.valid_from,
        valid_until=shown.valid_until,
        step_seconds=STATION_CODE_STEP_S,
    )


@router.get("/v1/sessions/{session_id}/one-time-codes", openapi_extra=refusals("session_unknown", "outside_area"))
async def list_one_time_codes(
    session_id: PathId,
    caller: Issuer,
    ports: TheirPorts,
    secret: Secret,
    first: Annotated[int, Query(ge=1, le=ONE_TIME_CODES_A_SESSION_MAX, description="The first slip's serial.")] = 1,
    count: Annotated[int, Query(ge=1, le=CODES_A_PAGE_MAX, description="How many slips.")] = 50,
) -> OneTimeCodesAnswer:
    """The one-time codes to print for a session; each proves one attendance. Asking again gives the same codes."""
    which = SessionId(session_id)
    session = (await programme.load_sessions(ports.store, [which])).get(which)
    if session is None:
        raise refused("session_unknown")
    check_area(caller, session.facts.unit_served)
    serials = range(first, min(first + count, ONE_TIME_CODES_A_SESSION_MAX + 1))
    codes = [one_time_code(secret, which, serial) for serial in serials]
    return OneTimeCodesAnswer(session_id=which, first=first, codes=codes)
