"""A cell is read into its value, or its code says what is wrong with it."""

import re
from typing import Any

import pytest

from services.runtime.cells import (
    Read,
    WrongCellError,
    choice,
    matching,
    number_between,
    optional,
    required,
    text_up_to,
)

NUMBER = number_between(1, 500, digits_max=4)
CODE = matching(re.compile("[0-9]{6}"), "cell_not_a_code")


def wrong(read: Read[Any], text: str) -> str:
    """The code that a cell is refused with."""
    with pytest.raises(WrongCellError) as caught:
        read(text)
    return str(caught.value)


@pytest.mark.parametrize(
    ("read", "text", "value"),
    [
        (text_up_to(2), "甲乙", "甲乙"),
        (NUMBER, "1", 1),
        (NUMBER, "500", 500),
        (NUMBER, "0500", 500),
        (number_between(0, 9, digits_max=1), "0", 0),
        (choice({"是": True, "否": False}), "否", False),
        (CODE, "340802", "340802"),
        (required(NUMBER), "7", 7),
        (optional(NUMBER), "7", 7),
        (optional(NUMBER), "", None),
    ],
)
def test_a_cell_is_its_value(read: Read[Any], text: str, value: object) -> None:
    assert read(text) == value


@pytest.mark.parametrize(
    ("read", "text", "code"),
    [
        (text_up_to(2), "甲乙丙", "cell_too_long"),
        (text_up_to(9), "甲\n乙", "cell_not_printable"),
        (text_up_to(9), "甲\x07", "cell_not_printable"),
        (NUMBER, "0", "cell_not_a_number"),
        (NUMBER, "501", "cell_not_a_number"),
        (NUMBER, "00500", "cell_not_a_number"),
        (NUMBER, "-1", "cell_not_a_number"),
        (NUMBER, "1.0", "cell_not_a_number"),
        (NUMBER, "", "cell_not_a_number"),
        (NUMBER, "²", "cell_not_a_number"),
        (NUMBER, "１", "cell_not_a_number"),
        (NUMBER, "9" * 5000, "cell_not_a_number"),
        (choice({"是": True}), "对", "cell_not_a_choice"),
        (CODE, "34080", "cell_not_a_code"),
        (CODE, "340802\n", "cell_not_a_code"),
        (required(NUMBER), "", "cell_empty"),
        (required(NUMBER), "x", "cell_not_a_number"),
        (optional(NUMBER), "x", "cell_not_a_number"),
    ],
)
def test_a_wrong_cell_has_a_code(read: Read[Any], text: str, code: str) -> None:
    assert wrong(read, text) == code
