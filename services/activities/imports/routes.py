"""Lets clerks bring in a programme as a sheet, with a dry run and an error per cell."""

from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import BaseModel

from services.activities.imports import handlers
from services.activities.sheets.rules import COLUMNS, SHEET_BYTES_MAX, SHEET_ROWS_MAX, read_lines, read_row
from services.runtime.commands import Command, command
from services.runtime.outcomes import Refusal
from services.runtime.problems import RefusedError, refusals

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

    rows: int
    accepted: int
    unchanged: int
    errors: list[CellErrorAnswer]


_BODY: Final[dict[str, Any]] = {
    "required": True,
    "description": f"UTF-8 with or without byte order mark, at most {SHEET_ROWS_MAX} rows; one row a session.",
    "content": {"text/csv": {"schema": {"type": "string"}, "example": SHEET_EXAMPLE}},
}


@router.post(
    "/v1/imports/activities",
    response_model=ImportAnswer,
    max_body_size=SHEET_BYTES_MAX,
    openapi_extra={
        "requestBody": _BODY,
        **refusals("sheet_not_utf8", "sheet_malformed", "sheet_columns_wrong", "sheet_too_long"),
    },
)
async def import_activities(
    request: Request,
    command: Annotated[Command, Depends(command("activities.write"))],
    dry_run: Annotated[bool, Query(description="Say what would happen, change nothing.")] = False,  # noqa: FBT002
) -> Response:
    """Takes in activities and sessions, published or as drafts. Importing a sheet again changes nothing."""
    lines = read_lines(await request.body())
    if isinstance(lines, Refusal):
        raise RefusedError(lines)
    rows = [read_row(line) for line in lines]
    return await command.run(lambda tx: handlers.take_in(tx, command, rows, dry_run=dry_run))
