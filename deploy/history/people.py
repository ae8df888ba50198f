"""Makes the volunteers of the city: when they joined, how old they are, how much they do."""

import random
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import accumulate
from typing import Final, Literal

from deploy.history.city import Unit
from deploy.history.organisations import Organisations
from deploy.history.seasons import HISTORY_MONTHS, HISTORY_STARTS, add_months
from deploy.history.streams import pick, stream

JOINED_AT_START_SHARE: Final = 0.45
REGISTERED_BEFORE_DAYS_MAX: Final = 730
RETIRED_CADRE_SHARE: Final = 0.98
QUALIFIED_SHARE: Final = 0.35
AGES_AS_OF: Final = date(2026, 10, 31)
REPORT_DAYS: Final = (1, 16)
"""A unit sends the list of those who joined in between on these days of the month."""

Habit = Literal["core", "steady", "occasional", "dormant"]
HABITS: Final[tuple[tuple[Habit, float], ...]] = (
    ("core", 0.10),
    ("steady", 0.30),
    ("occasional", 0.35),
    ("dormant", 0.25),
)
SESSIONS_A_MONTH: Final[dict[Habit, float]] = {"core": 4.55, "steady": 1.62, "occasional": 0.36, "dormant": 0.02}
ZEAL_MU: Final = -0.125
ZEAL_SIGMA: Final = 0.5
AGE_BANDS: Final = (
    ((55, 59), 0.06),
    ((60, 64), 0.27),
    ((65, 69), 0.31),
    ((70, 74), 0.21),
    ((75, 79), 0.10),
    ((80, 85), 0.05),
)
PROFESSIONS: Final = (
    ("medicine", 0.25),
    ("law", 0.10),
    ("education", 0.25),
    ("agriculture", 0.15),
    ("science", 0.10),
    ("culture", 0.15),
)
CHANNELS: Final = (("unit_recommendation", 0.55), ("community", 0.33), ("online", 0.12))
POLITICAL_STATUS: Final = (("01", 0.86), ("04", 0.02), ("06", 0.02), ("10", 0.01), ("12", 0.02), ("13", 0.07))
ETHNIC_GROUPS: Final = (("01", 0.985), ("03", 0.012), ("11", 0.003))
"""Han, Hui and Manchu, as GB/T 3304 numbers them."""
DAYS_A_YEAR: Final = 365.25


@dataclass(frozen=True, slots=True)
class Person:
    """One volunteer without what identifies them; ``index`` counts a unit's people from 1 by day of registration."""

    index: int
    number: str
    unit: str
    habit: Habit
    sessions_a_month: float
    male: bool
    born: date
    registered_on: date
    reported_on: date
    """The day on which the unit's list brings the registration to us; they serve from the day after."""
    retired_cadre: bool
    profession: str | None
    channel: str
    political_status: str
    ethnic_group: str


def make_people(seed: int, units: Sequence[Unit]) -> dict[str, list[Person]]:
    """All who are ever volunteers, by home unit, in the order of their numbers (and of their registration)."""
    return {unit.code: _of_unit(stream(seed, "people", unit.code), unit) for unit in units}


def _of_unit(rng: random.Random, unit: Unit) -> list[Person]:
    registrations = sorted(_registration_day(rng) for _ in range(unit.volunteers))
    return [_person(rng, unit, index, day) for index, day in enumerate(registrations, 1)]


def _registration_day(rng: random.Random) -> date:
    if rng.random() < JOINED_AT_START_SHARE:
        return HISTORY_STARTS - timedelta(days=rng.randint(1, REGISTERED_BEFORE_DAYS_MAX))
    span = add_months(HISTORY_STARTS, HISTORY_MONTHS) - HISTORY_STARTS
    return HISTORY_STARTS + timedelta(days=rng.randrange(span.days))


def _person(rng: random.Random, unit: Unit, index: int, registered_on: date) -> Person:
    habit = pick(rng, HABITS)
    youngest, oldest = pick(rng, AGE_BANDS)
    age_days = rng.randrange(int(youngest * DAYS_A_YEAR), int((oldest + 1) * DAYS_A_YEAR))
    return Person(
        index=index,
        number=f"{unit.code}{index:06d}",
        unit=unit.code,
        habit=habit,
        sessions_a_month=SESSIONS_A_MONTH[habit] * rng.lognormvariate(ZEAL_MU, ZEAL_SIGMA),
        male=rng.random() < 0.55,  # noqa: PLR2004  nothing depends on it
        born=AGES_AS_OF - timedelta(days=age_days),
        registered_on=registered_on,
        reported_on=report_day(registered_on),
        retired_cadre=rng.random() < RETIRED_CADRE_SHARE,
        profession=pick(rng, PROFESSIONS) if rng.random() < QUALIFIED_SHARE else None,
        channel=pick(rng, CHANNELS),
        political_status=pick(rng, POLITICAL_STATUS),
        ethnic_group=pick(rng, ETHNIC_GROUPS),
    )


def report_day(registered_on: date) -> date:
    """The next report day after a registration."""
    first, second = REPORT_DAYS
    if registered_on.day < second:
        return registered_on.replace(day=second)
    return add_months(registered_on.replace(day=first), 1)


def make_memberships(
    seed: int, people: dict[str, list[Person]], organisations: dict[str, Organisations]
) -> dict[str, list[str]]:
    """The teams of each volunteer, by volunteer number, in the order of the teams' numbers."""
    memberships: dict[str, list[str]] = {}
    for unit, persons in people.items():
        rng = stream(seed, "memberships", unit)
        for team, size in zip(organisations[unit].teams, organisations[unit].team_sizes, strict=True):
            for person in rng.sample(persons, min(size, len(persons))):
                memberships.setdefault(person.number, []).append(team.number)
    return memberships


class Crowd:
    """The volunteers of one unit to draw from, as often as they serve; ready from the day after they were reported."""

    def __init__(self, people: Sequence[Person]) -> None:
        self._people = sorted(people, key=lambda person: (person.reported_on, person.number))
        self._days = [person.reported_on.toordinal() for person in self._people]
        self._cumulated = list(accumulate(person.sessions_a_month for person in self._people))

    def ready(self, day: date) -> int:
        """How many may serve on a day."""
        return bisect_left(self._days, day.toordinal())

    def sessions_a_month(self, day: date) -> float:
        """How many attendances those who may serve on a day give in an ordinary month."""
        ready = self.ready(day)
        return self._cumulated[ready - 1] if ready else 0.0

    def draw(self, rng: random.Random, ready: int) -> Person:
        """One of the first ``ready`` people, in proportion to how often they serve."""
        point = rng.random() * self._cumulated[ready - 1]
        return self._people[min(bisect_right(self._cumulated, point), ready - 1)]
