"""Declares the four lists that can be imported: their columns, how a row is read, and in which order rows are taken."""

from collections import defaultdict
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final, Generic, NamedTuple, TypeVar

from services.contracts.ids import (
    AreaSystem,
    Channel,
    OrganisationId,
    OrganisationKind,
    UnitCode,
    VolunteerNumber,
)
from services.registry.decisions import Fault, Faults
from services.registry.imports.cells import Cells, count_up_to, day, two_digits, unit_code
from services.registry.imports.sheets import CELL_CHARACTERS_MAX, SURPLUS
from services.registry.organisations import rules as organisations
from services.registry.organisations.rules import RegisterOrganisation
from services.registry.personal.rules import IdType, Personal, Sex
from services.registry.trees import parents_first
from services.registry.units import rules as units
from services.registry.units.rules import RecordRoll, RegisterUnit
from services.registry.volunteers.rules import Profile
from services.runtime.cells import WrongCellError, choice, matching, text_up_to
from services.runtime.sheets import Line

R = TypeVar("R")

_NO_DAY: Final = date.min

SYSTEMS: Final[Mapping[str, AreaSystem]] = {"gbt2260": "gbt2260", "statistics": "statistics", "own": "own"}
KINDS: Final[Mapping[str, OrganisationKind]] = {
    "部门": "department",
    "党支部": "branch",
    "驿站": "station",
    "团队": "team",
    "品牌": "brand",
}
CHANNELS: Final[Mapping[str, Channel]] = {
    "unit_recommendation": "unit_recommendation",
    "community": "community",
    "online": "online",
    "单位推荐": "unit_recommendation",
    "社区招募": "community",
    "网络报名": "online",
}
ID_TYPES: Final[Mapping[str, IdType]] = {"居民身份证": "resident_id", "身份证": "resident_id"}
SEXES: Final[Mapping[str, Sex]] = {"0": "0", "1": "1", "2": "2", "9": "9", "男": "1", "女": "2"}
YES_NO: Final[Mapping[str, bool]] = {"是": True, "否": False}


class Row(NamedTuple, Generic[R]):
    """One row of a sheet as a command: what it says."""

    row: int
    said: R


class Faulty(NamedTuple):
    """One row of a sheet that cannot be taken, whatever is known already."""

    row: int
    faults: Faults


@dataclass(frozen=True, slots=True)
class Identity(Generic[R]):
    """Something that a sheet may say one thing of: where rows agree in ``of``, they must agree in ``says``."""

    of: Callable[[R], Hashable]
    says: Callable[[R], Hashable]
    field: str
    code: str


@dataclass(frozen=True, slots=True)
class Sheet(Generic[R]):
    """One of the lists."""

    columns: Mapping[str, str]
    """Field to the name in the header."""
    read: Callable[[Cells], R]
    identities: tuple[Identity[R], ...]
    order: Callable[[list[Row[R]]], list[Row[R]]]
    """Puts rows in an order that does not depend on the order they came in, and has what is named before its use."""

    def read_line(self, line: Line) -> Row[R] | Faulty:
        """One row, typed, or every cell of it that is wrong."""
        cells = Cells(line.cells)
        said = self.read(cells)
        if SURPLUS in line.cells:
            cells.faults.append(Fault(list(self.columns)[-1], "row_too_long"))
        return Faulty(line.row, tuple(cells.faults)) if cells.faults else Row(line.row, said)


def arranged(sheet: Sheet[R], read: Sequence[Row[R] | Faulty]) -> list[Row[R] | Faulty]:
    """All rows: first those that can be decided on, in the sheet's order, then the others.

    Rows that contradict each other are all at fault: which one is meant is not for us to guess.
    """
    rows = [each for each in read if isinstance(each, Row)]
    contradicting = _contradicting(sheet, rows)
    good = [row for row in rows if row.row not in contradicting]
    faulty = [each for each in read if isinstance(each, Faulty)]
    return [*sheet.order(good), *faulty, *(Faulty(row, faults) for row, faults in contradicting.items())]


def _contradicting(sheet: Sheet[R], rows: Sequence[Row[R]]) -> dict[int, Faults]:
    found: dict[int, Faults] = {}
    for identity in sheet.identities:
        groups: defaultdict[Hashable, list[Row[R]]] = defaultdict(list)
        for row in rows:
            groups[identity.of(row.said)].append(row)
        fault = Fault(identity.field, identity.code)
        for group in groups.values():
            if len({identity.says(row.said) for row in group}) > 1:
                found |= {row.row: (*found.get(row.row, ()), fault) for row in group}
    return found


def _read_unit(cells: Cells) -> RegisterUnit:
    parent = cells.optional("parent", unit_code)
    return RegisterUnit(
        unit=UnitCode(cells.required("unit", unit_code, "")),
        system=cells.required("system", choice(SYSTEMS), "own"),
        name=cells.required("name", text_up_to(units.NAME_CHARACTERS_MAX), ""),
        parent=None if parent is None else UnitCode(parent),
        valid_from=cells.required("valid_from", day, _NO_DAY),
    )


def _whole(said: Hashable) -> Hashable:
    return said


def _order_units(rows: list[Row[RegisterUnit]]) -> list[Row[RegisterUnit]]:
    by_date = sorted(rows, key=lambda row: (row.said.unit, row.said.valid_from))
    return parents_first(by_date, lambda row: row.said.unit, lambda row: row.said.parent)


UNITS: Final[Sheet[RegisterUnit]] = Sheet(
    columns={
        "unit": "单位代码",
        "system": "代码体系",
        "name": "单位名称",
        "parent": "上级代码",
        "valid_from": "启用日期",
    },
    read=_read_unit,
    identities=(Identity(lambda said: (said.unit, said.valid_from), _whole, "unit", "row_contradicted"),),
    order=_order_units,
)


def _read_roll(cells: Cells) -> RecordRoll:
    return RecordRoll(
        unit=UnitCode(cells.required("unit", unit_code, "")),
        as_of=cells.required("as_of", day, _NO_DAY),
        people=cells.required("people", count_up_to(units.ROLL_PEOPLE_MAX), 0),
    )


ROLL: Final[Sheet[RecordRoll]] = Sheet(
    columns={"unit": "单位代码", "as_of": "统计日期", "people": "离退休干部人数"},
    read=_read_roll,
    identities=(Identity(lambda said: (said.unit, said.as_of), _whole, "unit", "row_contradicted"),),
    order=lambda rows: sorted(rows, key=lambda row: (row.said.unit, row.said.as_of)),
)


def _read_organisation(cells: Cells) -> RegisterOrganisation:
    id_form = matching(organisations.ID, "organisation_id_form")
    parent = cells.optional("parent_id", id_form)
    return RegisterOrganisation(
        organisation_id=OrganisationId(cells.required("organisation_id", id_form, "")),
        kind=cells.required("kind", choice(KINDS), "department"),
        name=cells.required("name", text_up_to(organisations.NAME_CHARACTERS_MAX), ""),
        unit=UnitCode(cells.required("unit", unit_code, "")),
        parent_id=None if parent is None else OrganisationId(parent),
        since=cells.required("since", day, _NO_DAY),
    )


ORGANISATIONS: Final[Sheet[RegisterOrganisation]] = Sheet(
    columns={
        "organisation_id": "组织编号",
        "kind": "类型",
        "name": "名称",
        "unit": "单位代码",
        "parent_id": "上级编号",
        "since": "成立日期",
    },
    read=_read_organisation,
    identities=(Identity(lambda said: said.organisation_id, _whole, "organisation_id", "row_contradicted"),),
    order=lambda rows: parents_first(rows, lambda row: row.said.organisation_id, lambda row: row.said.parent_id),
)


def _teams(text: str) -> tuple[OrganisationId, ...]:
    """Team ids between semicolons, of either width; each once, in the order given."""
    ids = [part.strip() for part in text.replace("；", ";").split(";") if part.strip()]
    if not all(organisations.ID.fullmatch(each) for each in ids):
        raise WrongCellError("organisation_id_form")
    return tuple(OrganisationId(each) for each in dict.fromkeys(ids))


def _read_volunteer(cells: Cells) -> Profile:
    # Forms that the person's own rules know are left to them, so that a file and a form refuse alike.
    text = text_up_to(CELL_CHARACTERS_MAX)
    personal = Personal(
        name=cells.required("name", text, ""),
        id_type=cells.required("id_type", choice(ID_TYPES), "resident_id"),
        id_number=cells.required("id_number", text, "").upper(),
        sex=cells.required("sex", choice(SEXES), "0"),
        birth_date=cells.required("birth_date", day, _NO_DAY),
        political_status=two_digits(cells.required("political_status", text, "")),
        ethnic_group=two_digits(cells.required("ethnic_group", text, "")),
        mobile=cells.optional("mobile", text),
        address=cells.optional("address", text),
    )
    return Profile(
        number=VolunteerNumber(cells.required("number", text, "")),
        home_unit=UnitCode(cells.required("home_unit", unit_code, "")),
        retired_cadre=cells.required("retired_cadre", choice(YES_NO), otherwise=False),
        channel=cells.required("channel", choice(CHANNELS), "online"),
        registered_on=cells.required("registered_on", day, _NO_DAY),
        teams=cells.optional("teams", _teams) or (),
        personal=personal,
    )


def _id_number(said: Profile) -> Hashable:
    return said.personal.id_type, said.personal.id_number


VOLUNTEERS: Final[Sheet[Profile]] = Sheet(
    columns={
        "number": "志愿者编号",
        "name": "姓名",
        "id_type": "证件类型",
        "id_number": "证件号码",
        "sex": "性别",
        "birth_date": "出生日期",
        "political_status": "政治面貌",
        "ethnic_group": "民族",
        "mobile": "手机号码",
        "home_unit": "区域",
        "address": "详细地址",
        "registered_on": "注册日期",
        "channel": "招募渠道",
        "retired_cadre": "离退休干部",
        "teams": "团队编号",
    },
    read=_read_volunteer,
    identities=(
        Identity(lambda said: said.number, _whole, "number", "row_contradicted"),
        Identity(_id_number, lambda said: said.number, "id_number", "volunteer_duplicate"),
    ),
    order=lambda rows: sorted(rows, key=lambda row: row.said.number),
)
