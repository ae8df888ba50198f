"""Names what is looked at when all is over: topics, feeds, accounts, totals, positions, and how processes ended."""

import json
from collections import Counter
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, Final, NamedTuple

POISON: Final = "poison-"
"""What the keys of records begin with that nobody can decode."""


class Appended(NamedTuple):
    """One record of a topic."""

    partition: int
    offset: int
    key: str
    sequence: int
    id: str
    type: str
    value: bytes

    @property
    def data(self) -> Any:
        """What the event says."""
        return json.loads(self.value)["data"]

    @property
    def is_poison(self) -> bool:
        """Whether it was made to be parked: no service has said it."""
        return self.key.startswith(POISON)


class Account(NamedTuple):
    """What hours shows of one volunteer. ``pending``: sessions with the most minutes they may still come to."""

    by_grade: list[int]
    pending: set[tuple[str, int]]
    holds: bool
    entries: int
    """As the walk along the chain has counted them."""


class Total(NamedTuple):
    """What hours shows of a unit's month."""

    by_grade: list[int]
    entries: int


Place = tuple[str, int]
"""A topic and the number of a partition."""


@dataclass(slots=True)
class Evidence:
    """What the platform shows once everything has healed and caught up; volunteers are named by their ids."""

    topics: dict[str, list[Appended]] = field(default_factory=dict)
    """All that stands in each topic, each partition in its order."""
    feeds: dict[str, list[Any]] = field(default_factory=dict)
    """``/v1/changes`` of each service, from its beginning."""
    accounts: dict[str, Account] = field(default_factory=dict)
    totals: dict[tuple[str, str], Total] = field(default_factory=dict)
    """By unit and month."""
    shown_by_registry: dict[str, list[int]] = field(default_factory=dict)
    """Minutes by grade of some volunteers."""
    people: list[Any] = field(default_factory=list)
    """The rows of registry's list of volunteers."""
    organisations: list[str] = field(default_factory=list)
    rolls: dict[tuple[str, str], int] = field(default_factory=dict)
    sign_ups: dict[str, list[str]] = field(default_factory=dict)
    """Who holds a place, by session."""
    present: dict[str, list[tuple[str, str]]] = field(default_factory=dict)
    """Who came (and is ``present`` or has ``left``), by session."""
    points: dict[str, Fraction] = field(default_factory=dict)
    """Of the present quarter, by unit."""
    ends: dict[Place, int] = field(default_factory=dict)
    positions: dict[tuple[str, Place], int] = field(default_factory=dict)
    """The next offset to apply, by processor and partition."""
    committed: dict[tuple[str, Place], int] = field(default_factory=dict)
    """The same as lag tools read it from the consumer groups."""
    ended: Counter[str] = field(default_factory=Counter)
    """How often which process ended how, unasked: ``hours-relay terminated by SIGKILL``."""
    parked: int = 0
