"""Reads the cells of one row into typed values, and says of each that cannot be read what is wrong."""

import re
from collections.abc import Callable, Mapping
from datetime import date
from typing import Final, TypeVar

from services.registry.decisions import Fault

YEAR_MIN: Final = 1900
YEAR_MAX: Final = 2100
_DATE: Final = re.compile(r"([0-9]{4})([-/])([0-9]{1,2})\2([0-9]{1,2})")
"""As we write dates, or as a spreadsheet does when it saves them again."""
_UNIT: Final = re.compile(r"[0-9]{6}")
_COUNT: Final = re.compile(r"[0-9]{1,9}")

T = TypeVar("T")
Read = Callable[[str], T]


class WrongCellError(ValueError):
    """A cell is not what its column holds; the code says how, and nothing of the cell."""


class Cells:
    """The cells of one row; collects a fault for each that cannot be read."""

    def __init__(self, cells: Mapping[str, str]) -> None:
        self._cells = cells
        self.faults: list[Fault] = []

    def required(self, field: str, read: Read[T], otherwise: T) -> T:
        """The value of a cell; ``otherwise`` stands in for one with a fault, so that the others are read too."""
        text = self._cells[field]
        if not text:
            self.faults.append(Fault(field, "cell_empty"))
            return otherwise
        try:
            return read(text)
        except WrongCellError as error:
            self.faults.append(Fault(field, str(error)))
            return otherwise

    def optional(self, field: str, read: Read[T]) -> T | None:
        """The value of a cell, or nothing for an empty one."""
        return self.required(field, read, None) if self._cells[field] else None


def text_up_to(characters_max: int) -> Read[str]:
    """Text of one line."""

    def read(text: str) -> str:
        if len(text) > characters_max:
            raise WrongCellError("cell_too_long")
        if not text.isprintable():
            raise WrongCellError("cell_not_printable")
        return text

    return read


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


def unit_code(text: str) -> str:
    """Six digits of the area table."""
    if not _UNIT.fullmatch(text):
        raise WrongCellError("cell_not_a_unit")
    return text


def count_up_to(most: int) -> Read[int]:
    """A whole number from 0 on."""

    def read(text: str) -> int:
        number = int(text) if _COUNT.fullmatch(text) else -1
        if not 0 <= number <= most:
            raise WrongCellError("cell_not_a_number")
        return number

    return read


def choice(choices: Mapping[str, T]) -> Read[T]:
    """One of some words."""

    def read(text: str) -> T:
        if text not in choices:
            raise WrongCellError("cell_not_a_choice")
        return choices[text]

    return read


def matching(pattern: re.Pattern[str], code: str) -> Read[str]:
    """Text of a certain form."""

    def read(text: str) -> str:
        if not pattern.fullmatch(text):
            raise WrongCellError(code)
        return text

    return read


def two_digits(text: str) -> str:
    """A code of a table as two digits; a spreadsheet drops a leading zero."""
    return text.zfill(2) if text.isdecimal() else text
