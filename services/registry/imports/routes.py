"""Lets clerks bring in lists as CSV files, with a dry run and an error per row and column."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Annotated, Any, Final, TypeVar

import msgspec
from fastapi import APIRouter, Depends, Query, Request, Response

from services.registry.days import day_of
from services.registry.imports import handlers
from services.registry.imports.examples import EXAMPLES
from services.registry.imports.handlers import Import, Read, Tally
from services.registry.imports.rules import ORGANISATIONS, ROLL, UNITS, VOLUNTEERS
from services.registry.imports.sheets import SHEET_BYTES_MAX, SHEET_ROWS_MAX, SheetError
from services.registry.imports.views import ERRORS_SHOWN_MAX, ImportReport, RowError
from services.registry.personal.vault import Vault
from services.runtime.commands import Command, command
from services.runtime.dependencies import dependency_of
from services.runtime.http import answer
from services.runtime.problems import ProblemTable, RefusedError, refusals, refused

router = APIRouter(tags=["imports"])

CSV: Final = "text/csv"
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
    codes = ("sheet_not_utf8", "sheet_malformed", "sheet_columns_wrong", "sheet_too_long", "unsupported_media_type")
    return {"requestBody": body, **refusals(*codes)}


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
    """Rows of each chunk are one transaction under a key of their own: a repeat goes on where a request broke off."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != CSV:
        raise refused("unsupported_media_type", f"send {CSV}")
    try:
        chunks = await handlers.read_chunks(what.sheet, await request.body())
    except SheetError as error:
        raise RefusedError(error.refusal) from None
    if dry_run:
        return _report(await handlers.rehearse(command.ports.store, what, chunks), command.problems, dry_run=True)
    return await _take_in(command, what, chunks)


async def _take_in(command: Command, what: Import[R, C], chunks: Sequence[Sequence[Read[R]]]) -> Response:
    whole, replayed = Tally(), True
    for number, chunk in enumerate(chunks):
        await handlers.prepare_chunk(command.ports.store, what, chunk)
        part = replace(command, key=f"{command.key}#{number}")
        response = await part.run(partial(handlers.take_in, command=command, what=what, chunk=chunk))
        if response.status_code != 200:  # noqa: PLR2004 - HTTP's own number
            return response
        whole.add(msgspec.json.decode(response.body, type=Tally))
        replayed &= "idempotency-replayed" in response.headers
    report = _report(whole, command.problems, dry_run=False)
    if replayed:
        report.headers["Idempotency-Replayed"] = "true"
    return report


def _report(tally: Tally, problems: ProblemTable, *, dry_run: bool) -> Response:
    found = sorted(tally.errors, key=lambda error: error.row)
    shown = [
        RowError(row=each.row, column=each.column, code=each.code, title=problems[each.code].title)
        for each in found[:ERRORS_SHOWN_MAX]
    ]
    return answer(
        ImportReport(
            dry_run=dry_run,
            rows=tally.rows,
            accepted=tally.accepted,
            unchanged=tally.unchanged,
            refused=tally.refused,
            errors=shown,
            errors_left_off=len(found) - len(shown),
        )
    )
