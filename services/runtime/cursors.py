"""Reads what a list is to go on after from a page's cursor, which may be one of another list.

A cursor is no secret, so it must not lead out of the area whose list it is said to be of.
"""

from services.runtime.areas import holds
from services.runtime.pages import PageRequest
from services.runtime.problems import refused


def unit_after(page: PageRequest, area: str) -> str | None:
    """The unit that a list sorted by units goes on after. Raises ``RefusedError`` (``cursor_invalid``)."""
    match page.after:
        case None:
            return None
        case (str() as unit,) if holds(area, unit):
            return unit
        case _:
            raise refused("cursor_invalid")


def row_after(page: PageRequest, area: str) -> tuple[str, str] | None:
    """The unit and the text within it that a list goes on after. Raises ``RefusedError`` (``cursor_invalid``)."""
    match page.after:
        case None:
            return None
        case (str() as unit, str() as last) if holds(area, unit):
            return unit, last
        case _:
            raise refused("cursor_invalid")


def number_after(page: PageRequest) -> int:
    """The number that a list sorted by one number goes on after, 0 at its start. Raises ``cursor_invalid``."""
    match page.after:
        case None:
            return 0
        case (int() as number,):
            return number
        case _:
            raise refused("cursor_invalid")
