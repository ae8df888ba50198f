"""Offers organisations over HTTP."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Response

from services.contracts.calendar import day_of
from services.contracts.ids import OrganisationId, OrganisationKind, UnitCode
from services.eventing.ports import Ports
from services.registry.organisations import handlers, store
from services.registry.organisations.rules import RegisterOrganisation
from services.registry.organisations.views import (
    ID_PATTERN,
    UNIT_PATTERN,
    OrganisationBody,
    OrganisationRegisteredAnswer,
    OrganisationView,
)
from services.runtime.auth import Caller, outside_area, require
from services.runtime.commands import Command, command
from services.runtime.cursors import row_after
from services.runtime.http import answer, get_ports
from services.runtime.pages import Page, Paging, page_of
from services.runtime.problems import RefusedError, refusals, refused

router = APIRouter(tags=["organisations"])
Reader = Annotated[Caller, Depends(require("registry.read"))]
Writing = Annotated[Command, Depends(command("registry.write"))]
InPorts = Annotated[Ports, Depends(get_ports)]


@router.get("/v1/organisations", openapi_extra=refusals("outside_area"))
async def list_organisations(
    caller: Reader,
    ports: InPorts,
    page: Paging,
    unit: Annotated[str | None, Query(pattern=UNIT_PATTERN, description="Only those of this unit.")] = None,
    kind: Annotated[OrganisationKind | None, Query(description="Only those of this kind.")] = None,
) -> Page[OrganisationView]:
    """The organisations of the caller's area, by unit and id."""
    if unit is not None and not caller.covers(unit):
        raise RefusedError(outside_area(caller, unit))
    area = unit or caller.area
    rows = await store.list_organisations(ports.store, area, kind, row_after(page, area), page.limit + 1)
    return page_of(rows, page.limit, OrganisationView.of, lambda row: (row.unit, row.organisation_id))


@router.get(
    "/v1/organisations/{organisation_id}",
    response_model=OrganisationView,
    openapi_extra=refusals("organisation_unknown", "outside_area"),
)
async def get_organisation(
    caller: Reader, ports: InPorts, organisation_id: Annotated[str, Path(pattern=ID_PATTERN)]
) -> Response:
    """One organisation."""
    found = (await store.load_organisations(ports.store, [organisation_id])).get(organisation_id)
    if found is None:
        raise refused("organisation_unknown")
    if not caller.covers(found.unit):
        raise RefusedError(outside_area(caller, found.unit))
    return answer(OrganisationView.of(found), etag=str(found.version))


@router.post(
    "/v1/organisations",
    status_code=201,
    response_model=OrganisationRegisteredAnswer,
    openapi_extra=refusals(
        "date_too_far_ahead",
        "organisation_exists",
        "organisation_parent_circular",
        "organisation_parent_unknown",
        "outside_area",
        "unit_unknown",
    ),
)
async def post_organisation(body: OrganisationBody, command: Writing) -> Response:
    """Enters an organisation under an id that the unit has chosen."""
    asked = RegisterOrganisation(
        organisation_id=OrganisationId(body.organisation_id),
        kind=body.kind,
        name=body.name,
        unit=UnitCode(body.unit),
        parent_id=None if body.parent_id is None else OrganisationId(body.parent_id),
        since=body.since,
    )
    return await command.run(lambda tx: handlers.register(tx, command, asked, day_of(command.now)))
