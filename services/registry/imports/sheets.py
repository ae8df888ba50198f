"""Reads a CSV file into rows of cells by field, or says what is wrong with the file as a whole."""

import csv
import io
from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

from services.runtime.outcomes import Refusal

SHEET_BYTES_MAX: Final = 5 * 1024 * 1024
SHEET_ROWS_MAX: Final = 5_000
CELL_CHARACTERS_MAX: Final = 1_000
HEADER_ROW: Final = 1
"""Rows are counted as a spreadsheet shows them: the header is row 1."""
SURPLUS: Final = ""
"""The field under which a row's cells beyond the last column stand."""


class SheetError(Exception):
    """The file cannot be read as the list it should be. Holds nothing of its content."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.code)
        self.refusal = refusal


class Line(NamedTuple):
    """One row of the sheet that is not empty, as trimmed text by field."""

    row: int
    cells: Mapping[str, str]


def read_lines(raw: bytes, columns: Mapping[str, str]) -> Iterator[Line]:
    """The rows of a sheet, one by one; ``columns`` maps our fields to the names in its header, which has any order.

    Raises ``SheetError`` at the first row that shows that the file is no such sheet, or too long.
    """
    reader = csv.reader(io.StringIO(_text(raw), newline=""), strict=True)
    try:
        header = next(reader, [])
        fields = _fields(header, columns)
        lines = 0
        for row, record in enumerate(reader, HEADER_ROW + 1):
            if any(cell.strip() for cell in record):
                lines += 1
                if lines > SHEET_ROWS_MAX:
                    raise SheetError(Refusal("sheet_too_long", f"at most {SHEET_ROWS_MAX} rows"))
                yield _line(row, record, fields)
    except csv.Error:
        raise SheetError(Refusal("sheet_malformed")) from None


def _text(raw: bytes) -> str:
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        # Without a cause: the decoder's error holds the whole file.
        raise SheetError(Refusal("sheet_not_utf8")) from None


def _fields(header: list[str], columns: Mapping[str, str]) -> list[str]:
    """Our fields in the order of the header. What else stands there is counted, not shown: it may be a person's row."""
    names = [name.strip() for name in header]
    field_of = {column: field for field, column in columns.items()}
    missing = [column for column in field_of if column not in names]
    if missing or len(names) != len(columns):
        unknown = sum(1 for name in names if name not in field_of)
        repeated = [column for column in field_of if names.count(column) > 1]
        extra = {"missing": missing, "repeated": repeated, "unknown": unknown}
        raise SheetError(Refusal("sheet_columns_wrong", extra=extra))
    return [field_of[name] for name in names]


def _line(row: int, record: list[str], fields: list[str]) -> Line:
    """Cells that a row lacks are empty; what stands beyond the columns is kept under a field of its own."""
    cells = [cell.strip() for cell in record]
    surplus = "".join(cells[len(fields) :])
    named = dict(zip(fields, [*cells, *[""] * (len(fields) - len(cells))], strict=False))
    return Line(row, {**named, SURPLUS: surplus} if surplus else named)
