"""Reads the cells of one row into typed values, and says of each that cannot be read what is wrong."""

import re
from collections.abc import Mapping
from datetime import date
from typing import Final, TypeVar

from services.registry.decisions import Fault
from services.runtime import cells
from services.runtime.cells import Read, WrongCellError, matching

YEAR_MIN: Final = 1900
YEAR_MAX: Final = 2100
COUNT_DIGITS_MAX: Final = 9
_DATE: Final = re.compile(r"([0-9]{4})([-/])([0-9]{1,2})\2([0-9]{1,2})")
"""As we write dates, or as a spreadsheet does when it saves them again."""
_UNIT: Final = re.compile(r"[0-9]{6}")

T = TypeVar("T")


class Cells:
    """The cells of one row; collects a fault for each that cannot be read."""

    def __init__(self, cells: Mapping[str, str]) -> None:
        self._cells = cells
        self.faults: list[Fault] = []

    def required(self, field: str, read: Read[T], otherwise: T) -> T:
        """The value of a cell; ``otherwise`` stands in for one with a fault, so that the others are read too."""
        return self._read(field, cells.required(read), otherwise)

    def optional(self, field: str, read: Read[T]) -> T | None:
        """The value of a cell, or nothing for an empty one."""
        return self._read(field, cells.optional(read), None)

    def _read(self, field: str, read: Read[T], otherwise: T) -> T:
        try:
            return read(self._cells[field])
        except WrongCellError as error:
            self.faults.append(Fault(field, str(error)))
            return otherwise


def day(text: str) -> date:
    """A date: ``2026-07-01`` or ``2026/7/1``."""
    match = _DATE.fullmatch(text)
    try:
        value = date(int(match[1]), int(match[3]), int(match[4])) if match is not None else None
    except ValueError:
        value = None
    if value is None or not YEAR_MIN <= value.year <= YEAR_MAX:
        raise WrongCellError("cell_not_a_date")
    return value


unit_code: Final = matching(_UNIT, "cell_not_a_unit")
"""Six digits of the area table."""


def count_up_to(most: int) -> Read[int]:
    """A whole number from 0 on."""
    return cells.number_between(0, most, digits_max=COUNT_DIGITS_MAX)


def two_digits(text: str) -> str:
    """A code of a table as two digits; a spreadsheet drops a leading zero."""
    return text.zfill(2) if text.isdecimal() else text
