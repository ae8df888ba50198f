"""A CSV file is read record by record, under whatever order of columns its header has."""

import pytest

from services.runtime.outcomes import Refusal
from services.runtime.sheets import Line, Record, SheetError, fields_of, line_of, names_of, read_records

COLUMNS = {"number": "编号", "name": "名称"}


@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_byte_order_mark_and_line_ends_do_not_matter(mark: str, end: str) -> None:
    records = list(read_records(f'{mark}编号,名称{end}1,"甲,乙"{end}'.encode()))
    assert records == [Record(1, ["编号", "名称"]), Record(2, ["1", "甲,乙"])]


def test_records_are_counted_as_a_spreadsheet_shows_them() -> None:
    assert list(read_records(b'a\n\n"b\nc"\nd')) == [
        Record(1, ["a"]),
        Record(2, []),
        Record(3, ["b\nc"]),
        Record(4, ["d"]),
    ]


def test_an_empty_file_has_no_record_and_no_names() -> None:
    assert list(read_records(b"")) == []
    assert names_of(None) == []


def test_a_file_in_another_encoding_is_refused_and_not_kept_in_the_error() -> None:
    with pytest.raises(SheetError) as caught:
        list(read_records("编号".encode("gb18030")))
    assert caught.value.refusal == Refusal("sheet_not_utf8")
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


@pytest.mark.parametrize("wrong", ['"b', '"b"c'])
def test_what_stands_before_a_malformed_record_is_still_read(wrong: str) -> None:
    records = read_records(f"a\n{wrong}\n".encode())
    assert next(records) == Record(1, ["a"])
    with pytest.raises(SheetError) as caught:
        next(records)
    assert caught.value.refusal == Refusal("sheet_malformed")


@pytest.mark.parametrize(
    ("names", "fields"),
    [
        (["编号", "名称"], ["number", "name"]),
        (["名称", "编号"], ["name", "number"]),
        (["编号"], None),
        (["编号", "名称", "备注"], None),
        (["编号", "名称", "名称"], None),
        (["编号", "编号"], None),
        (["编号", "备注"], None),
        ([], None),
    ],
)
def test_a_header_has_every_column_once_in_any_order(names: list[str], fields: list[str] | None) -> None:
    assert fields_of(names, COLUMNS) == fields


def test_names_are_trimmed() -> None:
    assert names_of(Record(1, [" 编号", "名称\u3000"])) == ["编号", "名称"]


@pytest.mark.parametrize(
    ("cells", "line"),
    [
        ([" 1 ", "\u3000甲"], {"number": "1", "name": "甲"}),
        (["1"], {"number": "1", "name": ""}),
        ([], {"number": "", "name": ""}),
        (["1", "甲", "多余"], {"number": "1", "name": "甲"}),
    ],
)
def test_cells_stand_by_field_and_those_a_row_lacks_are_empty(cells: list[str], line: dict[str, str]) -> None:
    assert line_of(Record(7, cells), ["number", "name"]) == Line(7, line)
