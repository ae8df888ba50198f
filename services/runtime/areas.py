"""Names the areas that tokens carry."""

from typing import Final

EVERYWHERE: Final = "*"
OWN: Final = "own"
"""The area of a volunteer's token: no unit at all, only what is the caller's own."""
AREA_DIGITS: Final = frozenset({2, 4, 6})
"""A province, a city, or one unit of the area table."""


def is_units_area(text: str) -> bool:
    """Whether a text is an area of units: two, four or six digits."""
    return text.isascii() and text.isdigit() and len(text) in AREA_DIGITS
