"""Reads the text of one cell into a typed value, or says with a code why it cannot be read."""

import re
from collections.abc import Callable, Mapping
from typing import TypeVar

import msgspec

T = TypeVar("T")
Read = Callable[[str], T]


class WrongCellError(ValueError):
    """A cell is not what its column holds; the code says how, and nothing of the cell."""


class CellError(msgspec.Struct, frozen=True, gc=False):
    """What is wrong with one cell: its row as a spreadsheet counts, its column as the header has it, and the code."""

    row: int
    column: str
    code: str


def required(read: Read[T]) -> Read[T]:
    """A cell that must not be empty."""

    def cell(text: str) -> T:
        if not text:
            raise WrongCellError("cell_empty")
        return read(text)

    return cell


def optional(read: Read[T]) -> Read[T | None]:
    """A cell that may be empty, which is nothing."""
    return lambda text: read(text) if text else None


def text_up_to(characters_max: int) -> Read[str]:
    """Text of one line."""

    def read(text: str) -> str:
        if len(text) > characters_max:
            raise WrongCellError("cell_too_long")
        if not text.isprintable():
            raise WrongCellError("cell_not_printable")
        return text

    return read


def number_between(least: int, most: int, *, digits_max: int) -> Read[int]:
    """A whole number, not negative, in ASCII digits; ``digits_max`` counts leading zeros too."""
    assert 0 <= least <= most
    digits = re.compile(rf"[0-9]{{1,{digits_max}}}")

    def read(text: str) -> int:
        number = int(text) if digits.fullmatch(text) else None
        if number is None or not least <= number <= most:
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
    """Text of a certain form; ``code`` stands for any other."""

    def read(text: str) -> str:
        if not pattern.fullmatch(text):
            raise WrongCellError(code)
        return text

    return read
