"""Takes in a list that a request brings, chunk by chunk, and answers with what became of its rows (docs/adr/0082)."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from http import HTTPStatus
from typing import Final, TypeVar

import msgspec
from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response

from services.runtime.cells import CellError
from services.runtime.commands import Command, Work
from services.runtime.http import answer
from services.runtime.problems import ProblemTable, refused

CSV: Final = "text/csv"
ERRORS_SHOWN_MAX: Final = 1_000
LIST_REFUSALS: Final = (
    "sheet_not_utf8",
    "sheet_malformed",
    "sheet_columns_wrong",
    "sheet_too_long",
    "unsupported_media_type",
)
"""What a route that takes a list may refuse it for as a whole."""

R = TypeVar("R")
C = TypeVar("C")


class Tally(msgspec.Struct, gc=False):
    """What became of some rows; every row is counted once, and errors are of refused rows only."""

    rows: int = 0
    accepted: int = 0
    unchanged: int = 0
    refused: int = 0
    errors: list[CellError] = msgspec.field(default_factory=list)

    def add(self, other: "Tally") -> None:
        """Counts other rows as well."""
        self.rows += other.rows
        self.accepted += other.accepted
        self.unchanged += other.unchanged
        self.refused += other.refused
        self.errors += other.errors


async def csv_body(request: Request) -> bytes:
    """The file that a request is; refuses what is not sent as one."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != CSV:
        raise refused("unsupported_media_type", f"send {CSV}")
    return await request.body()


def in_chunks(rows: Sequence[R], rows_max: int) -> list[Sequence[R]]:
    """All rows in their order; one chunk even of no rows: it keeps the answer under the request's key."""
    return [rows[start : start + rows_max] for start in range(0, max(1, len(rows)), rows_max)]


async def take_in_chunks(
    command: Command,
    chunks: Sequence[C],
    work_of: Callable[[C], Work],
    report: Callable[[Tally], Response],
    *,
    prepare: Callable[[C], Awaitable[None]] | None = None,
) -> Response:
    """Each chunk is a command under a key of its own: a repeat goes on where a request broke off.

    ``work_of`` a chunk answers with its ``Tally``; ``prepare`` does ahead of each transaction what takes long. The
    first chunk that is not taken ends it with its own answer, and those before it stay.
    """
    whole, replayed = Tally(), True
    for number, chunk in enumerate(chunks):
        if prepare is not None:
            await prepare(chunk)
        part = replace(command, key=f"{command.key}#{number}")
        response = await part.run(work_of(chunk))
        if response.status_code != HTTPStatus.OK:
            return response
        whole.add(msgspec.json.decode(response.body, type=Tally))
        replayed &= "idempotency-replayed" in response.headers
    reported = report(whole)
    if replayed:
        reported.headers["Idempotency-Replayed"] = "true"
    return reported


def report_as(shape: type[BaseModel], tally: Tally, problems: ProblemTable, *, dry_run: bool) -> Response:
    """The answer for a list, in ``shape``: its tally, and the first errors in the order of rows, with their titles."""
    found = sorted(tally.errors, key=lambda error: error.row)
    shown = [
        {"row": each.row, "column": each.column, "code": each.code, "title": problems[each.code].title}
        for each in found[:ERRORS_SHOWN_MAX]
    ]
    return answer(
        shape.model_validate(
            {
                "dry_run": dry_run,
                "rows": tally.rows,
                "accepted": tally.accepted,
                "unchanged": tally.unchanged,
                "refused": tally.refused,
                "errors": shown,
                "errors_left_off": len(found) - len(shown),
            }
        )
    )
