"""Makes the organisations of the city: departments, party branches, stations, brands and teams."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Final, Literal

from deploy.history.city import Unit
from deploy.history.seasons import HISTORY_MONTHS, HISTORY_STARTS, add_months
from deploy.history.streams import stream

TEAMS_TOTAL: Final = 570
TEAM_SIZE_MEDIAN: Final = 15
TEAM_SIZE_SIGMA: Final = 0.6
TEAM_SIZE_MIN: Final = 5
TEAM_SIZE_MAX: Final = 120
FOUNDED_AT_START_SHARE: Final = 0.7
ROLL_PER_BRANCH: Final = 60
ACTIVE_BRANCH_SHARE: Final = 0.45
REGULAR_TEAM_SHARE: Final = 0.5
REGULAR_MONTHS_MIN: Final = 9
QUIET_STATION_SHARE: Final = 0.1
QUIET_STATION_WEIGHT: Final = 0.04

Kind = Literal["部门", "党支部", "驿站", "品牌", "团队"]


@dataclass(frozen=True, slots=True)
class Organisation:
    """One row of the list of organisations; ``parent`` is another organisation's number."""

    number: str
    kind: Kind
    name: str
    unit: str
    parent: str | None
    since: date


@dataclass(slots=True)
class Organisations:
    """What one unit has, in the order of its lists (parents first)."""

    departments: list[Organisation] = field(default_factory=list)
    branches: list[Organisation] = field(default_factory=list)
    active_branches: list[Organisation] = field(default_factory=list)
    stations: list[Organisation] = field(default_factory=list)
    brands: list[Organisation] = field(default_factory=list)
    teams: list[Organisation] = field(default_factory=list)
    team_sizes: list[int] = field(default_factory=list)

    def all(self) -> list[Organisation]:
        """Every organisation, parents before children."""
        return [*self.departments, *self.branches, *self.stations, *self.brands, *self.teams]


def share_out(total: int, weights: Sequence[float]) -> list[int]:
    """Whole numbers that add up to ``total`` in proportion to the weights (largest remainder)."""
    exact = [total * weight / sum(weights) for weight in weights]
    shares = [int(part) for part in exact]
    by_remainder = sorted(range(len(weights)), key=lambda index: (shares[index] - exact[index], index))
    for index in by_remainder[: total - sum(shares)]:
        shares[index] += 1
    return shares


def make_organisations(seed: int, units: Sequence[Unit]) -> dict[str, Organisations]:
    """The organisations of every unit, by its code."""
    teams = share_out(TEAMS_TOTAL, [unit.volunteers for unit in units])
    return {
        unit.code: _of_unit(stream(seed, "organisations", unit.code), unit, count)
        for unit, count in zip(units, teams, strict=True)
    }


def _of_unit(rng: random.Random, unit: Unit, teams: int) -> Organisations:
    made = Organisations()
    office = Organisation(f"DP-{unit.code}-01", "部门", f"{unit.name}老干部局", unit.code, None, date(1983, 5, 1))
    made.departments.append(office)
    for number in range(1, -(-unit.roll // ROLL_PER_BRANCH) + 1):
        name = f"{unit.name}离退休干部第{number}党支部"
        code = f"BR-{unit.code}-{number:03d}"
        made.branches.append(Organisation(code, "党支部", name, unit.code, office.number, date(2012, 7, 1)))
    made.active_branches = sorted(
        rng.sample(made.branches, round(ACTIVE_BRANCH_SHARE * len(made.branches))), key=lambda branch: branch.number
    )
    for number in range(1, unit.stations + 1):
        name = f"{unit.name}银龄志愿服务驿站{number}号"
        since = date(rng.randint(2019, 2023), rng.randint(1, 10), 1)
        code = f"ST-{unit.code}-{number:02d}"
        made.stations.append(Organisation(code, "驿站", name, unit.code, office.number, since))
    for number in range(1, unit.brands + 1):
        name = f"{unit.name}银龄品牌{number}号"
        since = date(rng.randint(2020, 2023), rng.randint(1, 10), 1)
        code = f"BD-{unit.code}-{number:02d}"
        made.brands.append(Organisation(code, "品牌", name, unit.code, office.number, since))
    _add_teams(rng, unit, teams, made)
    return made


def _add_teams(rng: random.Random, unit: Unit, teams: int, made: Organisations) -> None:
    weights = [QUIET_STATION_WEIGHT if rng.random() < QUIET_STATION_SHARE else 1.0 for _ in made.stations]
    for number in range(1, teams + 1):
        station = rng.choices(made.stations, weights)[0]
        since = HISTORY_STARTS
        if rng.random() >= FOUNDED_AT_START_SHARE:
            since = add_months(HISTORY_STARTS, rng.randrange(1, HISTORY_MONTHS))
        name = f"{unit.name}银龄志愿服务队{number}队"
        made.teams.append(Organisation(f"TM-{unit.code}-{number:03d}", "团队", name, unit.code, station.number, since))
        size = TEAM_SIZE_MEDIAN * rng.lognormvariate(0, TEAM_SIZE_SIGMA)
        made.team_sizes.append(round(min(max(size, TEAM_SIZE_MIN), TEAM_SIZE_MAX, unit.volunteers / 3)))


def active_months(seed: int, organisation: str, year: int) -> frozenset[int]:
    """The months (1 to 12) of a year in which a team or branch does anything: 9 or more for half of them."""
    regular = stream(seed, "regular", organisation).random() < REGULAR_TEAM_SHARE
    rng = stream(seed, "active-months", organisation, year)
    count = rng.randint(REGULAR_MONTHS_MIN, 12) if regular else rng.randint(1, REGULAR_MONTHS_MIN - 1)
    return frozenset(rng.sample(range(1, 13), count))
