"""Writes lists and batches in the forms in which they are sent."""

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any, Final

from deploy.history import civil
from deploy.history.city import Unit
from deploy.history.organisations import Organisation
from deploy.history.people import Person
from deploy.history.programme import Session
from deploy.history.seasons import HISTORY_STARTS, local_text
from deploy.history.streams import stream

BYTE_ORDER_MARK: Final = "\ufeff"
CITY: Final = "340800"
ROLL_SHRINKS_A_YEAR: Final = 0.01
ROLL_AS_OF_TABLE: Final = 2025
"""The year at whose end the roll was as the table says."""
RESIDENT_ID_CARD: Final = "居民身份证"

UNIT_COLUMNS: Final = ("单位代码", "代码体系", "单位名称", "上级代码", "启用日期")
ROLL_COLUMNS: Final = ("单位代码", "统计日期", "离退休干部人数")
ORGANISATION_COLUMNS: Final = ("组织编号", "类型", "名称", "单位代码", "上级编号", "成立日期")
VOLUNTEER_COLUMNS: Final = (
    "志愿者编号",
    "姓名",
    "证件类型",
    "证件号码",
    "性别",
    "出生日期",
    "政治面貌",
    "民族",
    "手机号码",
    "区域",
    "详细地址",
    "注册日期",
    "招募渠道",
    "离退休干部",
    "团队编号",
)
ACTIVITY_COLUMNS: Final = (
    "活动编号",
    "场次编号",
    "活动名称",
    "组织编号",
    "服务单位",
    "驿站编号",
    "品牌编号",
    "服务类别",
    "重点领域",
    "开始时间",
    "结束时间",
    "人数上限",
    "状态",
)

Row = Sequence[str]


def csv_bytes(columns: Row, rows: Iterable[Row], *, as_excel: bool = False) -> bytes:
    """A CSV file; ``as_excel``: with the byte order mark and line ends that Excel writes."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n" if as_excel else "\n")
    writer.writerow(columns)
    writer.writerows(rows)
    return ((BYTE_ORDER_MARK if as_excel else "") + text.getvalue()).encode()


def json_lines(rows: Iterable[Mapping[str, Any]]) -> bytes:
    """One JSON object a line."""
    return b"".join(json.dumps(row, ensure_ascii=False, separators=(",", ":")).encode() + b"\n" for row in rows)


def write(path: Path, content: bytes) -> None:
    """Writes a file, making its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def units_file(units: Sequence[Unit]) -> bytes:
    """The area table; every other unit's parent is the city, if that is in it."""
    parent = CITY if any(unit.code == CITY for unit in units) else ""
    since = HISTORY_STARTS.replace(year=2020, month=1).isoformat()
    return csv_bytes(
        UNIT_COLUMNS,
        [(unit.code, unit.system, unit.name, "" if unit.code == CITY else parent, since) for unit in units],
    )


def roll_file(units: Sequence[Unit], year: int) -> bytes:
    """The roll of retired cadres at a year's end; it shrinks by a percent a year."""
    factor = 1 + ROLL_SHRINKS_A_YEAR * (ROLL_AS_OF_TABLE - year)
    as_of = date(year, 12, 31).isoformat()
    return csv_bytes(ROLL_COLUMNS, [(unit.code, as_of, str(round(unit.roll * factor))) for unit in units])


def organisations_file(organisations: Iterable[Organisation]) -> bytes:
    """A list of organisations, parents before children."""
    return csv_bytes(
        ORGANISATION_COLUMNS,
        [
            (each.number, each.kind, each.name, each.unit, each.parent or "", each.since.isoformat())
            for each in organisations
        ],
    )


def civil_rows(seed: int, unit: Unit, people: Sequence[Person], teams: Mapping[str, Sequence[str]]) -> dict[str, Row]:
    """The line of each volunteer of a unit in the national columns and ours, by volunteer number."""
    rng = stream(seed, "civil", unit.code)
    born: dict[date, int] = {}
    rows: dict[str, Row] = {}
    for person in people:
        twins = born[person.born] = born.get(person.born, -1) + 1
        rows[person.number] = (
            person.number,
            civil.full_name(rng),
            RESIDENT_ID_CARD,
            civil.identity_number(unit.index, person.born, 2 * twins + person.male),
            "1" if person.male else "2",
            person.born.isoformat(),
            person.political_status,
            person.ethnic_group,
            civil.mobile(unit.index, person.index),
            unit.code,
            civil.address(rng, unit.name),
            person.registered_on.isoformat(),
            person.channel,
            "是" if person.retired_cadre else "否",
            ";".join(teams.get(person.number, ())),
        )
    return rows


def volunteers_file(unit: Unit, rows: Iterable[Row]) -> bytes:
    """A unit's list of volunteers; every other unit saves it from Excel."""
    return csv_bytes(VOLUNTEER_COLUMNS, rows, as_excel=unit.index % 2 == 0)


def qualifications_file(people: Iterable[Person]) -> bytes:
    """The list of professionals; no door takes it yet."""
    return csv_bytes(
        ("志愿者编号", "专业领域"), [(person.number, person.profession) for person in people if person.profession]
    )


def activities_file(sessions: Iterable[Session]) -> bytes:
    """A list of activities, one line a session."""
    return csv_bytes(ACTIVITY_COLUMNS, [_session_row(session) for session in sessions])


def _session_row(session: Session) -> Row:
    project = session.project
    return (
        project.number,
        session.number,
        project.title,
        project.organiser.number,
        project.unit_served,
        session.station or "",
        project.brand or "",
        project.theme.service_type,
        project.theme.key_field,
        local_text(session.starts_s),
        local_text(session.ends_s),
        str(session.capacity),
        "已发布" if session.published else "草稿",
    )
