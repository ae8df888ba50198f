"""Lets clerks bring in a programme as a sheet, with a dry run and an error per cell."""

import asyncio
from dataclasses import replace
from functools import partial
from http import HTTPStatus
from typing import Annotated, Any, Final

import msgspec
from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import BaseModel, Field

from services.activities.imports import handlers
from services.activities.sheets.rules import (
    COLUMNS,
    SHEET_BYTES_MAX,
    SHEET_ROWS_MAX,
    CellError,
    PlannedRow,
    read_lines,
    read_row,
)
from services.runtime.commands import Command, command
from services.runtime.http import answer
from services.runtime.outcomes import Refusal
from services.runtime.problems import ProblemTable, RefusedError, refusals, refused

router = APIRouter(tags=["imports"])
CSV: Final = "text/csv"
ERRORS_SHOWN_MAX: Final = 1_000

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
    "content": {"text/csv": {"schema": {"type": "string"}, "example": SHEET_EXAMPLE}},
}


@router.post(
    "/v1/imports/activities",
    response_model=ImportAnswer,
    max_body_size=SHEET_BYTES_MAX,
    openapi_extra={
        "requestBody": _BODY,
        **refusals(
            "sheet_not_utf8", "sheet_malformed", "sheet_columns_wrong", "sheet_too_long", "unsupported_media_type"
        ),
    },
)
async def import_activities(
    request: Request,
    command: Annotated[Command, Depends(command("activities.write"))],
    dry_run: Annotated[bool, Query(description="Say what would happen, change nothing.")] = False,  # noqa: FBT002
) -> Response:
    """Takes in activities and sessions, published or as drafts. Importing a sheet again changes nothing."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != CSV:
        raise refused("unsupported_media_type", f"send {CSV}")
    rows = await _read(await request.body())
    if dry_run:
        tally = await handlers.rehearse(command.ports.store, rows, command.caller.covers)
        return _answer(tally, command.problems, dry_run=True)
    return await _take_in(command, rows)


async def _read(raw: bytes) -> handlers.Rows:
    lines = read_lines(raw)
    if isinstance(lines, Refusal):
        raise RefusedError(lines)
    rows: list[PlannedRow | list[CellError]] = []
    for start in range(0, len(lines), handlers.CHUNK_ROWS_MAX):
        rows += [read_row(line) for line in lines[start : start + handlers.CHUNK_ROWS_MAX]]
        await asyncio.sleep(0)  # a long sheet keeps nobody else waiting
    return rows


async def _take_in(command: Command, rows: handlers.Rows) -> Response:
    """Each chunk is a command under a key of its own: a repeat goes on where a request broke off (docs/adr/0082)."""
    whole, replayed = handlers.Tally(), True
    for number, start in enumerate(range(0, max(1, len(rows)), handlers.CHUNK_ROWS_MAX)):
        chunk = rows[start : start + handlers.CHUNK_ROWS_MAX]
        part = replace(command, key=f"{command.key}#{number}")
        response = await part.run(partial(handlers.take_in, command=command, rows=chunk))
        if response.status_code != HTTPStatus.OK:
            return response
        whole.add(msgspec.json.decode(response.body, type=handlers.Tally))
        replayed &= "idempotency-replayed" in response.headers
    answered = _answer(whole, command.problems, dry_run=False)
    if replayed:
        answered.headers["Idempotency-Replayed"] = "true"
    return answered


def _answer(tally: handlers.Tally, problems: ProblemTable, *, dry_run: bool) -> Response:
    shown = [
        CellErrorAnswer(row=each.row, column=each.column, code=each.code, title=problems[each.code].title)
        for each in tally.errors[:ERRORS_SHOWN_MAX]
    ]
    return answer(
        ImportAnswer(
            dry_run=dry_run,
            rows=tally.rows,
            accepted=tally.accepted,
            unchanged=tally.unchanged,
            refused=tally.refused,
            errors=shown,
            errors_left_off=len(tally.errors) - len(shown),
        )
    )
