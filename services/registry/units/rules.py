"""Decides what may stand in the area table and in a unit's roll: pure, without clock or randomness."""

import re
from collections.abc import Callable
from datetime import date, timedelta
from typing import assert_never

import msgspec

from services.contracts.ids import AreaSystem, UnitCode
from services.registry.decisions import UNCHANGED, Fault, Unchanged
from services.registry.trees import makes_cycle

CODE = re.compile(r"[0-9]{6}")
NAME_CHARACTERS_MAX = 60
ROWS_MAX = 100
"""Versions of one unit."""
ROLL_DATES_MAX = 400
ROLL_PEOPLE_MAX = 1_000_000
AHEAD_DAYS_MAX = 366
"""How far ahead of its first day a unit or organisation can be entered."""


class Row(msgspec.Struct, frozen=True, gc=False):
    """One version of a unit: what the area table says of it from a date (``YYYY-MM-DD``) on."""

    valid_from: str
    system: AreaSystem
    name: str
    parent: str | None


class RollCount(msgspec.Struct, frozen=True, gc=False):
    """The retired cadres on a unit's roll, as counted on a date."""

    as_of: str
    people: int


class Unit(msgspec.Struct, frozen=True, gc=False):
    """An assessed unit: its versions by date, its roll by date, and the number of its last edit (0: not there yet)."""

    code: UnitCode
    rows: tuple[Row, ...] = ()
    roll: tuple[RollCount, ...] = ()
    version: int = 0

    @property
    def last(self) -> Row:
        """The version that was entered last; a unit that exists has one."""
        return self.rows[-1]


class RegisterUnit(msgspec.Struct, frozen=True, gc=False):
    """Enter a unit, or a new version of it, or correct the version of that date."""

    unit: UnitCode
    system: AreaSystem
    name: str
    parent: UnitCode | None
    valid_from: date


class RecordRoll(msgspec.Struct, frozen=True, gc=False):
    """Record how many retired cadres were on a unit's roll on a date."""

    unit: UnitCode
    as_of: date
    people: int


def exists(unit: Unit | None) -> bool:
    """Whether a unit stands in the table."""
    return unit is not None and bool(unit.rows)


def decide_unit(
    known: Unit | None, command: RegisterUnit, unit_of: Callable[[str], Unit | None], today: date
) -> Unit | Unchanged | Fault:
    """The unit with the row entered. Versions are appended by date; only the last one can be corrected in place.

    ``unit_of`` finds units that exist, the parent and all above it among them.
    """
    unit = known or Unit(command.unit)
    row = Row(command.valid_from.isoformat(), command.system, command.name, command.parent)
    if row in unit.rows:
        return UNCHANGED
    if (fault := _fault_of(unit, command, unit_of, today)) is not None:
        return fault
    kept = tuple(each for each in unit.rows if each.valid_from != row.valid_from)
    return msgspec.structs.replace(unit, rows=(*kept, row), version=unit.version + 1)


def _fault_of(unit: Unit, command: RegisterUnit, unit_of: Callable[[str], Unit | None], today: date) -> Fault | None:
    if command.valid_from > today + timedelta(days=AHEAD_DAYS_MAX):
        return Fault("valid_from", "date_too_far_ahead")
    if unit.rows and command.valid_from.isoformat() < unit.last.valid_from:
        return Fault("valid_from", "unit_version_too_early")
    if len(unit.rows) >= ROWS_MAX:
        return Fault("valid_from", "unit_versions_too_many")
    if command.parent is None:
        return None
    if command.parent != command.unit and not exists(unit_of(command.parent)):
        return Fault("parent", "unit_parent_unknown")

    def parent_of(code: str) -> str | None:
        above = unit_of(code)
        return above.last.parent if above is not None and above.rows else None

    return Fault("parent", "unit_parent_circular") if makes_cycle(command.unit, command.parent, parent_of) else None


def decide_roll(known: Unit | None, command: RecordRoll, today: date) -> Unit | Unchanged | Fault:
    """The unit with the count; a count of the same date replaces the earlier one."""
    if known is None or not known.rows:
        return Fault("unit", "unit_unknown")
    count = RollCount(command.as_of.isoformat(), command.people)
    if count in known.roll:
        return UNCHANGED
    if command.as_of > today:
        return Fault("as_of", "date_in_future")
    others = [each for each in known.roll if each.as_of != count.as_of]
    if len(others) >= ROLL_DATES_MAX:
        return Fault("as_of", "roll_dates_too_many")
    roll = tuple(sorted([*others, count], key=lambda each: each.as_of))
    return msgspec.structs.replace(known, roll=roll, version=known.version + 1)


def replaces(known: Unit | None, command: RegisterUnit | RecordRoll) -> bool:
    """Whether a command would change what is there, rather than add to it; a unit's version always changes the unit."""
    if known is None:
        return False
    match command:
        case RegisterUnit():
            return bool(known.rows)
        case RecordRoll():
            return any(each.as_of == command.as_of.isoformat() for each in known.roll)
        case _:
            assert_never(command)
