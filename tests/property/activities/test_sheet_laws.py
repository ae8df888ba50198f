"""Laws of sheets: no file breaks the door, and what came in once comes in again without a change."""

import csv
import io
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from services.activities.imports.rules import Programme, decide_rows
from services.activities.places.rules import Place
from services.activities.sheets.rules import COLUMNS, PlannedRow, read_lines, read_row
from services.runtime.cells import CellError
from services.runtime.outcomes import Refusal
from services.runtime.sheets import Line
from tests.support.activities import BRAND, STATION, TEAM, UNIT

CELL = st.text(max_size=12) | st.sampled_from(["2026-07-14T09:00:00+08:00", "9999-12-31T23:59:59-23:59", "1e9", "-0"])
SOUND: dict[str, st.SearchStrategy[str]] = {
    "activity_id": st.sampled_from(["AC-1", "AC-2"]),
    "session_id": st.sampled_from(["SE-1", "SE-2", "SE-3"]),
    "title": st.sampled_from(["银龄义诊", "法律援助"]),
    "organiser_id": st.sampled_from([TEAM, "TM-9"]),
    "unit_served": st.just(UNIT),
    "station_id": st.sampled_from([STATION, "", TEAM]),
    "brand_id": st.sampled_from([BRAND, ""]),
    "service_type": st.sampled_from(["health", "legal"]),
    "key_field": st.sampled_from(["health_care", ""]),
    "starts_at": st.sampled_from(["2026-07-14T09:00:00+08:00", "2026-07-14T01:30:00Z"]),
    "ends_at": st.sampled_from(["2026-07-14T11:00:00+08:00", "2026-07-14T12:00:00+08:00"]),
    "capacity": st.sampled_from(["20", "5"]),
    "published": st.sampled_from(["已发布", "草稿"]),
}
SHEETS = st.lists(st.fixed_dictionaries(SOUND), max_size=8)


def as_sheet(rows: list[dict[str, str]]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(COLUMNS.values())
    writer.writerows(row.values() for row in rows)
    return text.getvalue().encode()


def read(raw: bytes) -> list[PlannedRow | list[CellError]]:
    lines = read_lines(raw)
    assert isinstance(lines, list)
    return [read_row(line) for line in lines]


def nothing_yet() -> Programme:
    kinds: dict[str, Any] = {UNIT: "unit", TEAM: "team", STATION: "station", BRAND: "brand"}
    return Programme(
        places={each: Place(each, kind, UNIT) for each, kind in kinds.items()},
        activities={},
        sessions={},
        covers=lambda _: True,
    )


@given(st.binary(max_size=300) | st.text(max_size=200).map(str.encode))
def test_no_file_breaks_the_door(raw: bytes) -> None:
    lines = read_lines(raw)
    assert isinstance(lines, Refusal | list)


@given(st.fixed_dictionaries(dict.fromkeys(COLUMNS, CELL)))
def test_no_cell_breaks_the_door(cells: dict[str, str]) -> None:
    row = read_row(Line(2, cells))
    if not isinstance(row, PlannedRow):
        assert row
        assert all(error.column in COLUMNS.values() for error in row)


@settings(max_examples=200)
@given(SHEETS)
def test_every_row_is_taken_in_there_already_or_wrong(rows: list[dict[str, str]]) -> None:
    result = decide_rows(read(as_sheet(rows)), nothing_yet())
    wrong = {error.row for error in result.errors}
    assert result.accepted + result.unchanged + len(wrong) == len(rows)


@settings(max_examples=200)
@given(SHEETS)
def test_a_sheet_decided_at_once_is_its_rows_one_by_one(rows: list[dict[str, str]]) -> None:
    whole, single = nothing_yet(), nothing_yet()
    at_once = decide_rows(read(as_sheet(rows)), whole)
    one_by_one = [decide_rows([row], single) for row in read(as_sheet(rows))]
    assert (whole.activities, whole.sessions) == (single.activities, single.sessions)
    assert at_once.events == [event for each in one_by_one for event in each.events]
    assert at_once.errors == [error for each in one_by_one for error in each.errors]


@settings(max_examples=200)
@given(SHEETS.map(lambda rows: list({row["session_id"]: row for row in rows}.values())))
def test_a_sheet_that_comes_again_changes_nothing(rows: list[dict[str, str]]) -> None:
    """One row a session: two different plans of one draft would take turns."""
    known = nothing_yet()
    first = decide_rows(read(as_sheet(rows)), known)
    again = decide_rows(read(as_sheet(rows)), known)
    assert (again.accepted, again.events, again.sessions) == (0, [], set())
    assert again.unchanged == first.accepted
    assert again.errors == first.errors
