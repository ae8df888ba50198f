"""Knows what may not happen in a tree of units or organisations: nobody is above itself."""

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import TypeVar

LEVELS_MAX = 12
"""Province to the smallest team is half of this."""

K = TypeVar("K", bound=Hashable)


def makes_cycle(child: str, parent: str | None, parent_of: Callable[[str], str | None]) -> bool:
    """Whether ``child`` would be above itself under ``parent``; a chain longer than ``LEVELS_MAX`` counts as one."""
    above = parent
    for _ in range(LEVELS_MAX):
        if above is None:
            return False
        if above == child:
            return True
        above = parent_of(above)
    return True


def parents_first(rows: Sequence[K], key: Callable[[K], str], parent: Callable[[K], str | None]) -> list[K]:
    """The rows in an order that has parents before children and does not depend on the order they came in.

    Rows of one level stand by key; those that are above each other in a circle come last, by key as well.
    """
    levels = _levels({key(row): parent(row) for row in rows})
    last = len(rows)
    return sorted(rows, key=lambda row: (levels.get(key(row), last), key(row)))


def _levels(parents: Mapping[str, str | None]) -> dict[str, int]:
    """How far each key is below the topmost of the given ones; absent for whatever hangs on a circle."""
    children: dict[str, list[str]] = {}
    for key, above in parents.items():
        if above is not None and above in parents:
            children.setdefault(above, []).append(key)
    found: dict[str, int] = {}
    level: Iterable[str] = [key for key, above in parents.items() if above is None or above not in parents]
    depth = 0
    while level:
        found |= dict.fromkeys(level, depth)
        level = [child for key in level for child in children.get(key, ())]
        depth += 1
    return found
