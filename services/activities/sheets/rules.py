"""Reads a programme's sheet: the columns first, then every cell of every row."""

import csv
import io
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple, TypeVar, get_args

import msgspec

from services.activities.limits import ID_CHARACTERS_MAX, ID_PATTERN, UNIT_PATTERN, YEAR_MAX, YEAR_MIN
from services.activities.programme.rules import (
    CAPACITY_PEOPLE_MAX,
    TITLE_CHARACTERS_MAX,
    Activity,
    SessionPlan,
)
from services.contracts.ids import ActivityId, KeyField, OrganisationId, ServiceType, SessionId, UnitCode
from services.runtime.outcomes import Refusal

SHEET_BYTES_MAX: Final = 5 * 1024 * 1024
SHEET_ROWS_MAX: Final = 5_000
HEADER_ROW: Final = 1
"""Rows are counted as a spreadsheet shows them: the header is row 1."""

COLUMNS: Final[Mapping[str, str]] = {
    "activity_id": "活动编号",
    "session_id": "场次编号",
    "title": "活动名称",
    "organiser_id": "组织编号",
    "unit_served": "服务单位",
    "station_id": "驿站编号",
    "brand_id": "品牌编号",
    "service_type": "服务类别",
    "key_field": "重点领域",
    "starts_at": "开始时间",
    "ends_at": "结束时间",
    "capacity": "人数上限",
    "published": "状态",
}
"""Field to column; a sheet has these columns, in any order."""
STATES: Final[Mapping[str, bool]] = {"已发布": True, "草稿": False}
_TIME: Final = re.compile(r"\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(:\d{2}(\.\d{1,6})?)?(Z|[+-]\d{2}:\d{2})")
_ID: Final = re.compile(ID_PATTERN)
_UNIT: Final = re.compile(UNIT_PATTERN)

T = TypeVar("T")


class CellError(msgspec.Struct, frozen=True, gc=False):
    """What is wrong with one cell: its row, its column as the sheet names it, and the code."""

    row: int
    column: str
    code: str


class PlannedRow(msgspec.Struct, frozen=True, gc=False):
    """A row whose every cell could be read."""

    row: int
    activity: Activity
    plan: SessionPlan
    published: bool


class WrongCellError(ValueError):
    """A cell is not what its column holds; the code says how."""


class Line(NamedTuple):
    """One row of the sheet as text, by field."""

    row: int
    cells: Mapping[str, str]


def read_lines(raw: bytes) -> list[Line] | Refusal:
    """The rows of a sheet that are not empty, or what is wrong with the sheet as a whole."""
    try:
        records = list(csv.reader(io.StringIO(raw.decode("utf-8-sig"), newline=""), strict=True))
    except UnicodeDecodeError:
        return Refusal("sheet_not_utf8")
    except csv.Error:
        return Refusal("sheet_malformed")
    header = [name.strip() for name in records[0]] if records else []
    wrong = sorted({*COLUMNS.values()} ^ {*header})
    if wrong or len(header) != len(COLUMNS):
        return Refusal("sheet_columns_wrong", extra={"columns": wrong[: len(COLUMNS)]})
    filled = [(row, record) for row, record in enumerate(records[1:], HEADER_ROW + 1) if any(record)]
    if len(filled) > SHEET_ROWS_MAX:
        return Refusal("sheet_too_long")
    fields = [field for name in header for field, column in COLUMNS.items() if column == name]
    return [_line(row, record, fields) for row, record in filled]


def _line(row: int, record: list[str], fields: list[str]) -> Line:
    """Cells that a row lacks are empty; those beyond the columns go to the last one, where they do not fit."""
    cells = [*record[: len(fields)], *[""] * (len(fields) - len(record))]
    if len(record) > len(fields):
        cells[-1] = ",".join(record[len(fields) - 1 :])
    return Line(row, {field: cell.strip() for field, cell in zip(fields, cells, strict=True)})


def read_row(line: Line) -> PlannedRow | list[CellError]:
    """A typed row, or every cell of it that is wrong."""
    errors: list[CellError] = []
    values = dict(_values(line, errors))
    if errors:
        return errors
    activity = Activity(
        activity_id=values["activity_id"],
        title=values["title"],
        unit_served=values["unit_served"],
        organiser_id=values["organiser_id"],
        brand_id=values["brand_id"],
        service_type=values["service_type"],
        key_field=values["key_field"],
    )
    plan = SessionPlan(
        session_id=values["session_id"],
        starts_at=values["starts_at"],
        ends_at=values["ends_at"],
        station_id=values["station_id"],
        capacity=values["capacity"],
    )
    return PlannedRow(line.row, activity, plan, values["published"])


def _values(line: Line, errors: list[CellError]) -> Iterator[tuple[str, Any]]:
    for field, read in _READERS.items():
        try:
            yield field, read(line.cells[field])
        except WrongCellError as error:
            errors.append(CellError(line.row, COLUMNS[field], str(error)))


def _required(read: Callable[[str], T]) -> Callable[[str], T]:
    def cell(text: str) -> T:
        if not text:
            raise WrongCellError("cell_empty")
        return read(text)

    return cell


def _optional(read: Callable[[str], T]) -> Callable[[str], T | None]:
    return lambda text: read(text) if text else None


def _id(text: str) -> str:
    if len(text) > ID_CHARACTERS_MAX or not _ID.fullmatch(text):
        raise WrongCellError("cell_not_an_id")
    return text


def _unit(text: str) -> UnitCode:
    if not _UNIT.fullmatch(text):
        raise WrongCellError("cell_not_a_unit")
    return UnitCode(text)


def _title(text: str) -> str:
    if len(text) > TITLE_CHARACTERS_MAX:
        raise WrongCellError("cell_too_long")
    if not text.isprintable():
        raise WrongCellError("cell_not_printable")
    return text


def _time(text: str) -> datetime:
    try:
        at = datetime.fromisoformat(text) if _TIME.fullmatch(text) else None
    except ValueError:
        at = None
    if at is None or not YEAR_MIN <= at.year <= YEAR_MAX:
        raise WrongCellError("cell_not_a_time")
    return at.astimezone(UTC)


def _capacity(text: str) -> int:
    number = int(text) if re.fullmatch(r"[0-9]{1,6}", text) else 0
    if not 1 <= number <= CAPACITY_PEOPLE_MAX:
        raise WrongCellError("cell_not_a_number")
    return number


def _choice(choices: Mapping[str, T]) -> Callable[[str], T]:
    def cell(text: str) -> T:
        if text not in choices:
            raise WrongCellError("cell_not_a_choice")
        return choices[text]

    return cell


_READERS: Final[Mapping[str, Callable[[str], Any]]] = {
    "activity_id": _required(lambda text: ActivityId(_id(text))),
    "session_id": _required(lambda text: SessionId(_id(text))),
    "title": _required(_title),
    "organiser_id": _required(lambda text: OrganisationId(_id(text))),
    "unit_served": _required(_unit),
    "station_id": _optional(lambda text: OrganisationId(_id(text))),
    "brand_id": _optional(lambda text: OrganisationId(_id(text))),
    "service_type": _required(_choice({slug: slug for slug in get_args(ServiceType)})),
    "key_field": _optional(_choice({slug: slug for slug in get_args(KeyField)})),
    "starts_at": _required(_time),
    "ends_at": _required(_time),
    "capacity": _required(_capacity),
    "published": _required(_choice(STATES)),
}
