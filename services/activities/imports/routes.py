"""Lets clerks bring in a programme as a sheet, with a dry run and an error per cell."""

import asyncio
from functools import partial
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import BaseModel, Field

from services.activities.imports import handlers
from services.activities.sheets.rules import COLUMNS, PlannedRow, read_lines, read_row
from services.runtime.cells import CellError
from services.runtime.commands import Command, command
from services.runtime.lists import (
    CSV,
    ERRORS_SHOWN_MAX,
    LIST_REFUSALS,
    csv_body,
    in_chunks,
    report_as,
    take_in_chunks,
)
from services.runtime.outcomes import Refusal
from services.runtime.problems import RefusedError, refusals
from services.runtime.sheets import SHEET_BYTES_MAX, SHEET_ROWS_MAX

router = APIRouter(tags=["imports"])

SHEET_EXAMPLE: Final = (
    ",".join(COLUMNS.values()) + "\n"
    "AC-340802-0002,SE-340802-0002-1,银龄义诊进社区,TM-340802-07,340802,ST-340802-03,,health,health_care,"
    "2026-07-14T09:00:00+08:00,2026-07-14T11:00:00+08:00,20,已发布\n"
)


class CellErrorAnswer(BaseModel):
    """What is wrong with one cell; rows are counted as a spreadsheet shows them, the header being row 1."""

    row: int
    column: str
    code: str
    title: str


class ImportAnswer(BaseModel):
    """What became of a sheet's rows: taken in, there already, or refused with at least one error each."""

    dry_run: bool
    rows: int
    accepted: int
    unchanged: int
    refused: int
    errors: list[CellErrorAnswer]
    errors_left_off: Annotated[int, Field(description=f"Beyond the first {ERRORS_SHOWN_MAX}.")]


_BODY: Final[dict[str, Any]] = {
    "required": True,
    "description": f"UTF-8 with or without byte order mark, at most {SHEET_ROWS_MAX} rows; one row a session.",
    "content": {CSV: {"schema": {"type": "string"}, "example": SHEET_EXAMPLE}},
}


@router.post(
    "/v1/imports/activities",
    response_model=ImportAnswer,
    max_body_size=SHEET_BYTES_MAX,
    openapi_extra={"requestBody": _BODY, **refusals(*LIST_REFUSALS)},
)
async def import_activities(
    request: Request,
    command: Annotated[Command, Depends(command("activities.write"))],
    dry_run: Annotated[bool, Query(description="Say what would happen, change nothing.")] = False,  # noqa: FBT002
) -> Response:
    """Takes in activities and sessions, published or as drafts. Importing a sheet again changes nothing."""
    report = partial(report_as, ImportAnswer, problems=command.problems, dry_run=dry_run)
    rows = await _read(await csv_body(request))
    if dry_run:
        return report(await handlers.rehearse(command.ports.store, rows, command.caller.covers))
    chunks = in_chunks(rows, handlers.CHUNK_ROWS_MAX)
    return await take_in_chunks(
        command, chunks, lambda chunk: partial(handlers.take_in, command=command, rows=chunk), report
    )


async def _read(raw: bytes) -> handlers.Rows:
    lines = read_lines(raw)
    if isinstance(lines, Refusal):
        raise RefusedError(lines)
    rows: list[PlannedRow | list[CellError]] = []
    for start in range(0, len(lines), handlers.CHUNK_ROWS_MAX):
        rows += [read_row(line) for line in lines[start : start + handlers.CHUNK_ROWS_MAX]]
        await asyncio.sleep(0)  # a long sheet keeps nobody else waiting
    return rows
