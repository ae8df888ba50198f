"""A sheet is read column by column and cell by cell, and every wrong cell is named."""

from datetime import UTC, datetime

import pytest

from services.activities.sheets.rules import COLUMNS, PlannedRow, read_lines, read_row
from services.runtime.cells import CellError
from services.runtime.outcomes import Refusal
from services.runtime.sheets import SHEET_ROWS_MAX, Line
from tests.support.activities import BRAND, STATION, TEAM, UNIT

HEADER = ",".join(COLUMNS.values())
CELLS = {
    "activity_id": "AC-1",
    "session_id": "SE-1",
    "title": "银龄义诊",
    "organiser_id": TEAM,
    "unit_served": UNIT,
    "station_id": STATION,
    "brand_id": BRAND,
    "service_type": "health",
    "key_field": "health_care",
    "starts_at": "2026-07-14T09:00:00+08:00",
    "ends_at": "2026-07-14T11:00:00+08:00",
    "capacity": "20",
    "published": "已发布",
}
ROW = ",".join(CELLS.values())


def lines(text: str) -> list[Line]:
    """The rows of a sheet that is sound as a whole."""
    read = read_lines(text.encode())
    assert isinstance(read, list), read
    return read


def wrong(field: str, text: str) -> list[CellError]:
    """What is wrong with a row that has this text in one of its cells."""
    row = read_row(Line(2, {**CELLS, field: text}))
    return row if isinstance(row, list) else []


def test_a_row_is_an_activity_and_a_session() -> None:
    (line,) = lines(f"{HEADER}\n{ROW}\n")
    row = read_row(line)
    assert isinstance(row, PlannedRow)
    assert (row.row, row.activity.activity_id, row.plan.session_id, row.published) == (2, "AC-1", "SE-1", True)
    assert row.plan.starts_at == datetime(2026, 7, 14, 1, tzinfo=UTC)
    assert (row.activity.brand_id, row.plan.station_id, row.plan.capacity) == (BRAND, STATION, 20)


def test_what_may_be_left_out_is_nothing() -> None:
    row = read_row(Line(2, {**CELLS, "station_id": "", "brand_id": "", "key_field": "", "published": "草稿"}))
    assert isinstance(row, PlannedRow)
    assert (row.plan.station_id, row.activity.brand_id, row.activity.key_field, row.published) == (
        None,
        None,
        None,
        False,
    )


@pytest.mark.parametrize(
    "raw",
    [
        f"\ufeff{HEADER}\r\n{ROW}\r\n".encode(),
        f"{HEADER}\n\n,,,\n{ROW}".encode(),
        f"{HEADER.replace(',', ' ,')}\n{ROW.replace(',', ' , ')}\n".encode(),
    ],
)
def test_a_sheet_is_read_as_excel_and_people_leave_it(raw: bytes) -> None:
    read = read_lines(raw)
    assert isinstance(read, list)
    (line,) = read
    assert line.cells == CELLS


def test_rows_are_counted_as_a_spreadsheet_shows_them() -> None:
    assert [line.row for line in lines(f"{HEADER}\n{ROW}\n\n{ROW}\n")] == [2, 4]


def test_columns_may_stand_in_any_order() -> None:
    names, cells = list(COLUMNS.values())[::-1], list(CELLS.values())[::-1]
    (line,) = lines(f"{','.join(names)}\n{','.join(cells)}")
    assert line.cells == CELLS


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (b"", "sheet_columns_wrong"),
        (HEADER.replace("状态", "情况").encode(), "sheet_columns_wrong"),
        (f"{HEADER},备注".encode(), "sheet_columns_wrong"),
        (f"{HEADER},状态".encode(), "sheet_columns_wrong"),
        (HEADER.encode("gb18030"), "sheet_not_utf8"),
        (f'{HEADER}\n"AC-1'.encode(), "sheet_malformed"),
        (f"{HEADER}\n{ROW}\n".encode() + f"{ROW}\n".encode() * SHEET_ROWS_MAX, "sheet_too_long"),
    ],
)
def test_a_sheet_that_is_wrong_as_a_whole_is_refused(raw: bytes, code: str) -> None:
    refusal = read_lines(raw)
    assert isinstance(refusal, Refusal)
    assert refusal.code == code


def test_the_columns_that_are_missing_or_too_many_are_named() -> None:
    refusal = read_lines(HEADER.replace("状态", "情况").encode())
    assert isinstance(refusal, Refusal)
    assert refusal.extra == {"columns": ["情况", "状态"]}


@pytest.mark.parametrize("field", sorted(set(COLUMNS) - {"station_id", "brand_id", "key_field"}))
def test_what_is_needed_is_not_left_out(field: str) -> None:
    assert wrong(field, "") == [CellError(2, COLUMNS[field], "cell_empty")]


@pytest.mark.parametrize(
    ("field", "text", "code"),
    [
        ("activity_id", "AC|1", "cell_not_an_id"),
        ("session_id", "S" * 65, "cell_not_an_id"),
        ("organiser_id", "编号", "cell_not_an_id"),
        ("station_id", "-1", "cell_not_an_id"),
        ("brand_id", "a b", "cell_not_an_id"),
        ("title", "字" * 51, "cell_too_long"),
        ("title", "两\n行", "cell_not_printable"),
        ("unit_served", "34080", "cell_not_a_unit"),
        ("unit_served", "３４０８０２", "cell_not_a_unit"),
        ("service_type", "医疗", "cell_not_a_choice"),
        ("key_field", "health", "cell_not_a_choice"),
        ("published", "published", "cell_not_a_choice"),
        ("starts_at", "2026-07-14T09:00:00", "cell_not_a_time"),
        ("starts_at", "2026-07-14", "cell_not_a_time"),
        ("starts_at", "2026-02-30T09:00:00+08:00", "cell_not_a_time"),
        ("starts_at", "0001-01-01T00:00:00+14:00", "cell_not_a_time"),
        ("ends_at", "2026/7/14 9:00", "cell_not_a_time"),
        ("capacity", "0", "cell_not_a_number"),
        ("capacity", "10001", "cell_not_a_number"),
        ("capacity", "二十", "cell_not_a_number"),
        ("capacity", "²", "cell_not_a_number"),
        ("capacity", "9" * 5000, "cell_not_a_number"),
    ],
)
def test_a_wrong_cell_is_named_with_its_column(field: str, text: str, code: str) -> None:
    assert wrong(field, text) == [CellError(2, COLUMNS[field], code)]


def test_every_wrong_cell_of_a_row_is_named() -> None:
    (line,) = lines(f"{HEADER}\nAC-1,SE-1\n")
    errors = read_row(line)
    assert isinstance(errors, list)
    assert len(errors) == len(COLUMNS) - 5
    assert {error.code for error in errors} == {"cell_empty"}


def test_a_row_with_too_many_cells_is_wrong_in_its_last_column() -> None:
    (line,) = lines(f"{HEADER}\n{ROW},多余\n")
    assert read_row(line) == [CellError(2, "状态", "cell_not_a_choice")]
