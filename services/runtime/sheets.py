"""Reads a CSV file into numbered records, whose cells stand by field in whatever order the header has them."""

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from services.runtime.outcomes import Refusal

SHEET_BYTES_MAX: Final = 5 * 1024 * 1024
SHEET_ROWS_MAX: Final = 5_000
HEADER_ROW: Final = 1
"""Rows are counted as a spreadsheet shows them: the header is row 1."""


class SheetError(Exception):
    """The file cannot be read as the list it should be. Holds nothing of its content but what the refusal tells."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.code)
        self.refusal = refusal


class Record(NamedTuple):
    """One row of the file as it stands there: any number of cells, not trimmed."""

    row: int
    cells: Sequence[str]


class Line(NamedTuple):
    """One row of the sheet that is not empty, as trimmed text by field."""

    row: int
    cells: Mapping[str, str]


def read_records(raw: bytes) -> Iterator[Record]:
    """The records of a UTF-8 file with or without byte order mark, one by one; the header, if any, comes first.

    Raises ``SheetError`` (``sheet_not_utf8``, ``sheet_malformed``) at the first record that shows what is wrong.
    """
    reader = csv.reader(io.StringIO(_text(raw), newline=""), strict=True)
    try:
        for row, cells in enumerate(reader, HEADER_ROW):
            yield Record(row, cells)
    except csv.Error:
        raise SheetError(Refusal("sheet_malformed")) from None


def _text(raw: bytes) -> str:
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        # Without a cause: the decoder's error holds the whole file.
        raise SheetError(Refusal("sheet_not_utf8")) from None


def names_of(header: Record | None) -> list[str]:
    """The names in a header; none of a file that is empty."""
    return [] if header is None else [name.strip() for name in header.cells]


def fields_of(names: Sequence[str], columns: Mapping[str, str]) -> list[str] | None:
    """Our fields in the order of a header's names, or nothing unless those are all columns, each once.

    ``columns`` maps our fields to the names that a header has for them.
    """
    field_of = {column: field for field, column in columns.items()}
    assert len(field_of) == len(columns), "two fields share a column"
    return [field_of[name] for name in names] if sorted(names) == sorted(field_of) else None


def line_of(record: Record, fields: Sequence[str]) -> Line:
    """A record's cells by field. Those that it lacks are empty; those beyond the last field are not looked at."""
    lacking = [""] * (len(fields) - len(record.cells))
    cells = [cell.strip() for cell in (*record.cells[: len(fields)], *lacking)]
    return Line(record.row, dict(zip(fields, cells, strict=True)))
