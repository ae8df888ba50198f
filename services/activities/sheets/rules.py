"""Reads a programme's sheet: the columns first, then every cell of every row."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, get_args

import msgspec

from services.activities.limits import ID_CHARACTERS_MAX, ID_PATTERN, UNIT_PATTERN, YEAR_MAX, YEAR_MIN
from services.activities.programme.rules import (
    CAPACITY_PEOPLE_MAX,
    TITLE_CHARACTERS_MAX,
    Activity,
    SessionPlan,
)
from services.contracts.ids import ActivityId, KeyField, OrganisationId, ServiceType, SessionId, UnitCode
from services.runtime.cells import (
    CellError,
    WrongCellError,
    choice,
    matching,
    number_between,
    optional,
    required,
    text_up_to,
)
from services.runtime.outcomes import Refusal
from services.runtime.sheets import SHEET_ROWS_MAX, Line, Record, SheetError, fields_of, line_of, names_of, read_records

CAPACITY_DIGITS_MAX: Final = 6

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
_unit: Final = matching(re.compile(UNIT_PATTERN), "cell_not_a_unit")


class PlannedRow(msgspec.Struct, frozen=True, gc=False):
    """A row whose every cell could be read."""

    row: int
    activity: Activity
    plan: SessionPlan
    published: bool


def read_lines(raw: bytes) -> list[Line] | Refusal:
    """The rows of a sheet that are not empty, or what is wrong with the sheet as a whole."""
    try:
        records = list(read_records(raw))
    except SheetError as error:
        return error.refusal
    names = names_of(next(iter(records), None))
    fields = fields_of(names, COLUMNS)
    if fields is None:
        wrong = sorted({*COLUMNS.values()} ^ {*names})
        return Refusal("sheet_columns_wrong", extra={"columns": wrong[: len(COLUMNS)]})
    filled = [record for record in records[1:] if any(record.cells)]
    if len(filled) > SHEET_ROWS_MAX:
        return Refusal("sheet_too_long")
    return [_line(record, fields) for record in filled]


def _line(record: Record, fields: Sequence[str]) -> Line:
    """Cells beyond the columns go to the last one, where they do not fit."""
    last = len(fields) - 1
    return line_of(Record(record.row, [*record.cells[:last], ",".join(record.cells[last:])]), fields)


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


def _id(text: str) -> str:
    if len(text) > ID_CHARACTERS_MAX or not _ID.fullmatch(text):
        raise WrongCellError("cell_not_an_id")
    return text


def _time(text: str) -> datetime:
    try:
        at = datetime.fromisoformat(text) if _TIME.fullmatch(text) else None
    except ValueError:
        at = None
    if at is None or not YEAR_MIN <= at.year <= YEAR_MAX:
        raise WrongCellError("cell_not_a_time")
    return at.astimezone(UTC)


_READERS: Final[Mapping[str, Callable[[str], Any]]] = {
    "activity_id": required(lambda text: ActivityId(_id(text))),
    "session_id": required(lambda text: SessionId(_id(text))),
    "title": required(text_up_to(TITLE_CHARACTERS_MAX)),
    "organiser_id": required(lambda text: OrganisationId(_id(text))),
    "unit_served": required(lambda text: UnitCode(_unit(text))),
    "station_id": optional(lambda text: OrganisationId(_id(text))),
    "brand_id": optional(lambda text: OrganisationId(_id(text))),
    "service_type": required(choice({slug: slug for slug in get_args(ServiceType)})),
    "key_field": optional(choice({slug: slug for slug in get_args(KeyField)})),
    "starts_at": required(_time),
    "ends_at": required(_time),
    "capacity": required(number_between(1, CAPACITY_PEOPLE_MAX, digits_max=CAPACITY_DIGITS_MAX)),
    "published": required(choice(STATES)),
}
