"""Says what the areas that tokens carry hold, and lists what lies in one."""

from collections.abc import Mapping
from typing import Any, Final

from services.eventing.ports import Document, Reads

EVERYWHERE: Final = "*"
OWN: Final = "own"
"""The area of a volunteer's token: no unit at all, only what is the caller's own."""
_AFTER_EVERY_DIGIT: Final = "~"
AREA_DIGITS: Final = frozenset({2, 4, 6})
"""A province, a city, or one unit of the area table."""


def is_units_area(text: str) -> bool:
    """Whether a text is an area of units: two, four or six digits."""
    return text.isascii() and text.isdigit() and len(text) in AREA_DIGITS


def holds(area: str, unit: str) -> bool:
    """Whether an area holds a unit: two and four digits are prefixes, six are exact, ``*`` is everywhere."""
    return area == EVERYWHERE or unit.startswith(area)


def bounds_of(area: str, after: str | None = None) -> dict[str, str]:
    """The condition on a unit's code that finds what lies in an area, behind the unit ``after`` if one is given."""
    bounds = {"$gt": ""} if area == EVERYWHERE else {"$gte": area, "$lt": area + _AFTER_EVERY_DIGIT}
    if after is None:
        return bounds
    return {"$gt": after} | {name: bound for name, bound in bounds.items() if name == "$lt"}


async def list_by_unit(
    reads: Reads,
    collection: str,
    area: str,
    after: tuple[str, str] | None,
    limit: int,
    *,
    order: tuple[str, str],
    where: Mapping[str, Any] | None = None,
) -> list[Document]:
    """At most ``limit`` documents of an area, sorted by ``order``: the field that holds the unit, then one within it.

    ``after`` are the values of both fields that a page ended with, in the area. The rest of that unit, then the units
    behind it: two indexed reads instead of a scan.
    """
    unit_field, last_field = order
    others, sort = dict(where or {}), tuple((field, 1) for field in order)
    if after is None:
        return await reads.find(collection, {**others, unit_field: bounds_of(area)}, sort=sort, limit=limit)
    unit, last = after
    rest = await reads.find(collection, {**others, unit_field: unit, last_field: {"$gt": last}}, sort=sort, limit=limit)
    if len(rest) < limit:
        behind = {**others, unit_field: bounds_of(area, unit)}
        rest += await reads.find(collection, behind, sort=sort, limit=limit - len(rest))
    return rest
