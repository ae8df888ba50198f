"""Offers the area table and the rolls over HTTP."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Response

from services.contracts.calendar import day_of
from services.contracts.ids import UnitCode
from services.eventing.ports import Ports
from services.registry.units import handlers, store
from services.registry.units.rules import RecordRoll, RegisterUnit
from services.registry.units.views import UNIT_PATTERN, RollBody, UnitBody, UnitEdited, UnitView
from services.runtime.auth import Caller, outside_area, require
from services.runtime.commands import Command, command
from services.runtime.cursors import unit_after
from services.runtime.http import answer, get_ports
from services.runtime.pages import Page, Paging, page_of
from services.runtime.problems import RefusedError, refusals, refused

router = APIRouter(tags=["units"])
Reader = Annotated[Caller, Depends(require("registry.read"))]
Writing = Annotated[Command, Depends(command("registry.write"))]
InPorts = Annotated[Ports, Depends(get_ports)]
UnitInPath = Annotated[str, Path(pattern=UNIT_PATTERN, description="Six digits of the area table.")]


@router.get("/v1/units", openapi_extra=refusals())
async def list_units(caller: Reader, ports: InPorts, page: Paging) -> Page[UnitView]:
    """The assessed units of the caller's area, by code."""
    rows = await store.list_units(ports.store, caller.area, unit_after(page, caller.area), page.limit + 1)
    return page_of(rows, page.limit, UnitView.of, lambda unit: (unit.code,))


@router.get("/v1/units/{unit}", response_model=UnitView, openapi_extra=refusals("unit_unknown", "outside_area"))
async def get_unit(caller: Reader, ports: InPorts, unit: UnitInPath) -> Response:
    """One assessed unit with its versions and its roll."""
    if not caller.covers(unit):
        raise RefusedError(outside_area(caller, unit))
    found = await store.get_unit(ports.store, unit)
    if found is None:
        raise refused("unit_unknown")
    return answer(UnitView.of(found), etag=str(found.version))


@router.put(
    "/v1/units/{unit}",
    response_model=UnitEdited,
    openapi_extra=refusals(
        "date_too_far_ahead",
        "etag_mismatch",
        "if_match_missing",
        "outside_area",
        "unit_parent_circular",
        "unit_parent_unknown",
        "unit_version_too_early",
        "unit_versions_too_many",
    ),
)
async def put_unit(unit: UnitInPath, body: UnitBody, command: Writing) -> Response:
    """Enters a unit, a new version of it, or a correction of its last version.

    A unit that exists is changed only with `If-Match`; a new one has the ETag `"0"`.
    """
    asked = RegisterUnit(
        unit=UnitCode(unit),
        system=body.system,
        name=body.name,
        parent=None if body.parent is None else UnitCode(body.parent),
        valid_from=body.valid_from,
    )
    return await command.run(lambda tx: handlers.edit_unit(tx, command, asked, day_of(command.now)))


@router.put(
    "/v1/units/{unit}/roll",
    response_model=UnitEdited,
    openapi_extra=refusals(
        "date_in_future",
        "etag_mismatch",
        "if_match_missing",
        "outside_area",
        "roll_dates_too_many",
        "unit_unknown",
    ),
)
async def put_roll(unit: UnitInPath, body: RollBody, command: Writing) -> Response:
    """Records a unit's roll of retired cadres on a date.

    A count of a date that has one already is replaced only with `If-Match`.
    """
    asked = RecordRoll(unit=UnitCode(unit), as_of=body.as_of, people=body.people)
    return await command.run(lambda tx: handlers.edit_unit(tx, command, asked, day_of(command.now)))
