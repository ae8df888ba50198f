"""Reads a list's rows from its CSV file, or says what is wrong with the file as a whole."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Final

from services.runtime.outcomes import Refusal
from services.runtime.sheets import SHEET_ROWS_MAX, Line, Record, SheetError, fields_of, line_of, names_of, read_records

CELL_CHARACTERS_MAX: Final = 1_000
SURPLUS: Final = ""
"""The field under which a row's cells beyond the last column stand."""


def read_lines(raw: bytes, columns: Mapping[str, str]) -> Iterator[Line]:
    """The rows of a sheet, one by one; ``columns`` maps our fields to the names in its header, which has any order.

    Raises ``SheetError`` at the first row that shows that the file is no such sheet, or too long.
    """
    records = read_records(raw)
    names = names_of(next(records, None))
    fields = fields_of(names, columns)
    if fields is None:
        raise SheetError(_columns_wrong(names, columns.values()))
    lines = 0
    for record in records:
        if any(cell.strip() for cell in record.cells):
            lines += 1
            if lines > SHEET_ROWS_MAX:
                raise SheetError(Refusal("sheet_too_long", f"at most {SHEET_ROWS_MAX} rows"))
            yield _line(record, fields)


def _columns_wrong(names: Sequence[str], columns: Collection[str]) -> Refusal:
    """What else stands in the header is counted, not shown: it may be a person's row."""
    missing = [column for column in columns if column not in names]
    repeated = [column for column in columns if names.count(column) > 1]
    unknown = sum(1 for name in names if name not in columns)
    return Refusal("sheet_columns_wrong", extra={"missing": missing, "repeated": repeated, "unknown": unknown})


def _line(record: Record, fields: Sequence[str]) -> Line:
    """What stands beyond the columns is kept under a field of its own."""
    line = line_of(record, fields)
    surplus = "".join(cell.strip() for cell in record.cells[len(fields) :])
    return Line(line.row, {**line.cells, SURPLUS: surplus}) if surplus else line
