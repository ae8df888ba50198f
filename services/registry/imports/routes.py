"""Lets clerks bring in lists as CSV files, with a dry run and an error per row and column."""

from collections.abc import Mapping
from functools import partial
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Depends, Query, Request, Response

from services.contracts.calendar import day_of
from services.registry.imports import handlers
from services.registry.imports.examples import EXAMPLES
from services.registry.imports.handlers import Import
from services.registry.imports.rules import ORGANISATIONS, ROLL, UNITS, VOLUNTEERS
from services.registry.imports.views import ImportReport
from services.registry.personal.vault import Vault
from services.runtime.commands import Command, command
from services.runtime.dependencies import dependency_of
from services.runtime.lists import CSV, LIST_REFUSALS, csv_body, report_as, take_in_chunks
from services.runtime.problems import RefusedError, refusals
from services.runtime.sheets import SHEET_BYTES_MAX, SHEET_ROWS_MAX, SheetError

router = APIRouter(tags=["imports"])

R = TypeVar("R")
C = TypeVar("C")

Importing = Annotated[Command, Depends(command("registry.write"))]
InVault = Annotated[Vault, Depends(dependency_of("vault"))]
DryRun = Annotated[bool, Query(description="Say what would become of each row; change nothing.")]


def _documented(name: str, columns: Mapping[str, str]) -> dict[str, Any]:
    described = (
        f"UTF-8 with or without byte order mark, at most {SHEET_ROWS_MAX} rows below the header. "
        f"Columns, in any order: {'、'.join(columns.values())}."
    )
    content = {CSV: {"schema": {"type": "string"}, "example": EXAMPLES[name]}}
    body = {"required": True, "description": described, "content": content}
    return {"requestBody": body, **refusals(*LIST_REFUSALS)}


@router.post(
    "/v1/imports/units",
    response_model=ImportReport,
    max_body_size=SHEET_BYTES_MAX,
    openapi_extra=_documented("units", UNITS.columns),
)
async def import_units(request: Request, command: Importing, dry_run: DryRun = False) -> Response:  # noqa: FBT002
    """Brings in rows of the area table."""
    return await _import(request, command, handlers.units_import(command.caller, day_of(command.now)), dry_run=dry_run)


@router.post(
    "/v1/imports/roll",
    response_model=ImportReport,
    max_body_size=SHEET_BYTES_MAX,
    openapi_extra=_documented("roll", ROLL.columns),
)
async def import_roll(request: Request, command: Importing, dry_run: DryRun = False) -> Response:  # noqa: FBT002
    """Brings in counts of units' rolls of retired cadres."""
    return await _import(request, command, handlers.roll_import(command.caller, day_of(command.now)), dry_run=dry_run)


@router.post(
    "/v1/imports/organisations",
    response_model=ImportReport,
    max_body_size=SHEET_BYTES_MAX,
    openapi_extra=_documented("organisations", ORGANISATIONS.columns),
)
async def import_organisations(request: Request, command: Importing, dry_run: DryRun = False) -> Response:  # noqa: FBT002
    """Brings in departments, party branches, stations, teams and brands."""
    what = handlers.organisations_import(command.caller, day_of(command.now))
    return await _import(request, command, what, dry_run=dry_run)


@router.post(
    "/v1/imports/volunteers",
    response_model=ImportReport,
    max_body_size=SHEET_BYTES_MAX,
    openapi_extra=_documented("volunteers", VOLUNTEERS.columns),
)
async def import_volunteers(
    request: Request,
    command: Importing,
    vault: InVault,
    dry_run: DryRun = False,  # noqa: FBT002
) -> Response:
    """Brings in volunteers: new ones are registered, those whose number is known are updated."""
    what = handlers.volunteers_import(command.caller, day_of(command.now), vault, command.ports.ids)
    return await _import(request, command, what, dry_run=dry_run)


async def _import(request: Request, command: Command, what: Import[R, C], *, dry_run: bool) -> Response:
    report = partial(report_as, ImportReport, problems=command.problems, dry_run=dry_run)
    raw = await csv_body(request)
    try:
        chunks = await handlers.read_chunks(what.sheet, raw)
    except SheetError as error:
        raise RefusedError(error.refusal) from None
    if dry_run:
        return report(await handlers.rehearse(command.ports.store, what, chunks))
    return await take_in_chunks(
        command,
        chunks,
        lambda chunk: partial(handlers.take_in, command=command, what=what, chunk=chunk),
        report,
        prepare=partial(handlers.prepare_chunk, command.ports.store, what),
    )
