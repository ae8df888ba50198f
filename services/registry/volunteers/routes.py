"""Offers volunteers over HTTP; who reads what is personal is logged, by ids alone."""

from typing import Annotated

import msgspec
from fastapi import APIRouter, Depends, Path, Query, Response

from services.contracts.calendar import day_of
from services.contracts.ids import OrganisationId, UnitCode, VolunteerNumber
from services.eventing.ports import Ports
from services.registry.deliveries.rules import Served
from services.registry.deliveries.store import load_served
from services.registry.personal.sealing import Sealer
from services.registry.personal.vault import Vault
from services.registry.volunteers import handlers, store
from services.registry.volunteers.rules import Changes, Profile
from services.registry.volunteers.views import (
    TEXT_CHARACTERS_MAX,
    UNIT_PATTERN,
    Reason,
    Revealed,
    ServedView,
    VolunteerBody,
    VolunteerChanges,
    VolunteerEdited,
    VolunteerRegisteredAnswer,
    VolunteerRow,
    VolunteerView,
)
from services.runtime.auth import Caller, outside_area, require
from services.runtime.commands import Command, command
from services.runtime.cursors import row_after
from services.runtime.dependencies import dependency_of
from services.runtime.http import answer, get_ports
from services.runtime.logs import logger
from services.runtime.pages import Page, Paging, page_of
from services.runtime.problems import RefusedError, refusals, refused

router = APIRouter(tags=["volunteers"])
Reader = Annotated[Caller, Depends(require("registry.read"))]
Writing = Annotated[Command, Depends(command("registry.write"))]
InPorts = Annotated[Ports, Depends(get_ports)]
InVault = Annotated[Vault, Depends(dependency_of("vault"))]
VolunteerInPath = Annotated[str, Path(min_length=1, max_length=TEXT_CHARACTERS_MAX)]

REVEAL_SCOPE = "volunteers.reveal"
PERSONAL_REFUSALS = (
    "address_form",
    "birth_date_range",
    "date_in_future",
    "ethnic_group_unknown",
    "id_number_birth_date",
    "id_number_check_digit",
    "id_number_form",
    "id_number_sex",
    "mobile_form",
    "name_form",
    "organisation_not_a_team",
    "outside_area",
    "political_status_unknown",
    "registered_before_birth",
    "team_unknown",
    "teams_too_many",
    "unit_unknown",
    "volunteer_duplicate",
)

_log = logger(__name__)


@router.post(
    "/v1/volunteers",
    status_code=201,
    response_model=VolunteerRegisteredAnswer,
    openapi_extra=refusals(*PERSONAL_REFUSALS, "number_form", "number_personal", "volunteer_number_taken"),
)
async def post_volunteer(body: VolunteerBody, command: Writing, vault: InVault) -> Response:
    """Registers a volunteer. The same person (by id number) or number twice is refused."""
    profile = Profile(
        number=VolunteerNumber(body.number),
        home_unit=UnitCode(body.home_unit),
        retired_cadre=body.retired_cadre,
        channel=body.channel,
        registered_on=body.registered_on,
        teams=tuple(OrganisationId(team) for team in body.teams),
        personal=body.personal.parsed(),
    )
    new, sealer = handlers.said(vault, command.new_id(), profile), Sealer(vault)
    return await command.run(lambda tx: handlers.register(tx, command, new, day_of(command.now), sealer))


@router.patch(
    "/v1/volunteers/{volunteer_id}",
    response_model=VolunteerEdited,
    openapi_extra=refusals(
        *PERSONAL_REFUSALS, "etag_mismatch", "if_match_missing", "volunteer_erased", "volunteer_unknown"
    ),
)
async def patch_volunteer(
    volunteer_id: VolunteerInPath, body: VolunteerChanges, command: Writing, vault: InVault
) -> Response:
    """Changes what is sent of a volunteer, if nobody has changed anything since it was read."""
    sent = body.model_dump(exclude_unset=True)
    if "id_number" in sent:
        sent["id_number"] = sent["id_number"].upper()
    changes, sealer = msgspec.convert(sent, Changes), Sealer(vault)
    return await command.run(
        lambda tx: handlers.edit(tx, command, volunteer_id, changes, day_of(command.now), vault, sealer)
    )


@router.get("/v1/volunteers", openapi_extra=refusals("outside_area"))
async def list_volunteers(
    caller: Reader,
    ports: InPorts,
    vault: InVault,
    page: Paging,
    unit: Annotated[str | None, Query(pattern=UNIT_PATTERN, description="Only those of this home unit.")] = None,
    number: Annotated[
        str | None, Query(min_length=1, max_length=TEXT_CHARACTERS_MAX, description="Only who has this number.")
    ] = None,
) -> Page[VolunteerRow]:
    """The volunteers of the caller's area, masked, by home unit and number."""
    if unit is not None and not caller.covers(unit):
        raise RefusedError(outside_area(caller, unit))
    if number is not None:
        found = await store.find_by_number(ports.store, number)
        # Elsewhere is as good as nowhere: whether a number exists outside the area is nobody's business here.
        seen = [] if found is None or not caller.covers(found.volunteer.home_unit) else [found]
        rows = [each for each in seen if unit in {None, each.volunteer.home_unit}]
    else:
        area = unit or caller.area
        rows = await store.list_volunteers(ports.store, area, row_after(page, area), page.limit + 1)
    personal = await handlers.open_all(vault, rows[: page.limit])
    _log.info(
        "personal data listed",
        subject=caller.subject,
        client=caller.client,
        unit=unit,
        items=len(personal),
        volunteer_id=rows[0].volunteer.volunteer_id if number is not None and rows else None,
    )
    return page_of(
        rows,
        page.limit,
        lambda row: VolunteerRow.of(row.volunteer, personal.get(row.volunteer.volunteer_id)),
        lambda row: (row.volunteer.home_unit, row.volunteer.number),
    )


@router.get(
    "/v1/volunteers/{volunteer_id}",
    response_model=VolunteerView,
    openapi_extra=refusals("outside_area", "reveal_reason_missing", "volunteer_unknown"),
)
async def get_volunteer(
    caller: Reader,
    ports: InPorts,
    vault: InVault,
    volunteer_id: VolunteerInPath,
    reveal: Annotated[bool, Query(description=f"Show the data in full; needs the scope `{REVEAL_SCOPE}`.")] = False,  # noqa: FBT002
    reason: Annotated[Reason | None, Query(description="Why, with `reveal`; it is logged.")] = None,
) -> Response:
    """One volunteer: masked, or in full with a scope and a reason; what was credited stands beside."""
    if reveal and REVEAL_SCOPE not in caller.scopes:
        raise refused("scope_missing", f"needs the scope {REVEAL_SCOPE}")
    if reveal and reason is None:
        raise refused("reveal_reason_missing")
    stored = await store.get_volunteer(ports.store, volunteer_id)
    if stored is None:
        raise refused("volunteer_unknown")
    volunteer = stored.volunteer
    if not caller.covers(volunteer.home_unit):
        raise RefusedError(outside_area(caller, volunteer.home_unit))
    served = await load_served(ports.store, [volunteer_id])
    personal = await handlers.opened(vault, stored)
    _log.info(
        "personal data revealed" if reveal else "personal data read",
        subject=caller.subject,
        client=caller.client,
        volunteer_id=volunteer_id,
        unit=volunteer.home_unit,
        reason=reason if reveal else None,
    )
    view = VolunteerView(
        **VolunteerRow.of(volunteer, personal).model_dump(),
        personal=Revealed.of(personal) if reveal and personal is not None else None,
        served=ServedView.of(served.get(volunteer_id, Served())),
    )
    return answer(view, etag=str(volunteer.version))
