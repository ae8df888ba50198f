"""Makes a month's sessions of a unit: when, where, for how long, and how attendance is taken."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final, Literal

from deploy.history.city import Unit
from deploy.history.organisations import Organisations, active_months
from deploy.history.people import Crowd
from deploy.history.projects import NIGHT_WATCH, Project
from deploy.history.seasons import at, days_in, days_of, sessions_share
from deploy.history.streams import pick, stream, whole

PEOPLE_MEAN: Final = 10.1
"""Who means to come; 94 % of them, 9.5, do."""
PEOPLE_MU: Final = 2.0675
"""The mean of this lognormal, exp(mu + sigma²/2), is 10.1."""
PEOPLE_SIGMA: Final = 0.7
PEOPLE_MIN: Final = 2
PEOPLE_MAX: Final = 120
DURATIONS_MINUTES: Final = ((30, 0.02), (60, 0.15), (90, 0.20), (120, 0.30), (150, 0.15), (180, 0.13), (240, 0.05))
FIRST_START_MINUTE: Final = 8 * 60 + 30
LAST_START_MINUTE: Final = 16 * 60
START_STEP_MINUTES: Final = 30
LIVE_SHARE: Final = 0.55
PAPER_SHARE: Final = 0.20
PAPER_SHARE_SLOPE: Final = 1.2
"""Paper is used more towards a month's end (0.4 of its share on the first day, 1.6 on the last), so that not much more
than 12 % of all records are over a week late."""
BOOKED_BY_OTHER_SHARE: Final = 0.12
AT_STATION_SHARE_WITHOUT_CODE: Final = 0.3
NIGHT_WATCH_SHARE: Final = 0.003
NIGHT_WATCH_STARTS: Final = ((22, 30), (23, 0), (23, 30))
NIGHT_WATCH_MINUTES: Final = (60, 90, 120)
DRAFT_SHARE: Final = 0.004
"""Sessions of rosters and papers whose organiser forgot to publish them: their rows are refused."""
ONE_TIME_CODES_SHARE: Final = 0.4
TIGHT_SHARE: Final = 0.08
"""Sessions with fewer places than people who want to come."""
TIGHT_PLACES: Final = 0.6
CAPACITY_STEP: Final = 5
CAPACITY_MIN: Final = 10

Door = Literal["live", "roster", "paper"]
"""How attendance is taken: by the station's own means as it happens, by a leader's list, on paper."""


@dataclass(frozen=True, slots=True)
class Session:
    """One session of a project; times in seconds since 1970."""

    number: str
    project: Project
    station: str | None
    starts_s: int
    ends_s: int
    people: int
    capacity: int
    door: Door
    published: bool
    one_time_codes: bool
    """Whether the leader's list carries pre-issued codes."""

    @property
    def unit_served(self) -> str:
        """The unit whose people are served."""
        return self.project.unit_served

    @property
    def minutes(self) -> int:
        """The planned length."""
        return (self.ends_s - self.starts_s) // 60


def active_projects(seed: int, projects: Sequence[Project], month: date) -> list[Project]:
    """The projects that have begun and whose organiser does something in this month (a station always does)."""

    def active(project: Project) -> bool:
        if project.organiser.kind == "驿站":
            return True
        return month.month in active_months(seed, project.organiser.number, month.year)

    return [project for project in projects if project.since <= month and active(project)]


class MonthMaker:
    """Makes the sessions of one unit and month."""

    def __init__(
        self, seed: int, unit: Unit, month: date, projects: Sequence[Project], organisations: dict[str, Organisations]
    ) -> None:
        self._rng = stream(seed, "programme", unit.code, month)
        self._unit = unit
        self._month = month
        self._organisations = organisations
        active = active_projects(seed, projects, month) or list(projects)
        self._by_day = [project for project in active if project.theme is not NIGHT_WATCH]
        self._by_night = [project for project in active if project.theme is NIGHT_WATCH]
        self._deck = _one_a_team(self._rng, self._by_day)
        self._count = 0

    def sessions(self, crowd: Crowd) -> list[Session]:
        """The month's sessions by start; as many as the unit's people fill."""
        made = []
        for day in days_of(self._month):
            expected = crowd.sessions_a_month(day) * sessions_share(day) / PEOPLE_MEAN
            cap = min(PEOPLE_MAX, crowd.ready(day) // 3)
            made += [self._session(day, cap) for _ in range(whole(self._rng, expected))]
        return sorted(made, key=lambda session: (session.starts_s, session.number))

    def _session(self, day: date, people_max: int) -> Session:
        rng = self._rng
        if self._by_night and rng.random() < NIGHT_WATCH_SHARE:
            return self._night_watch(day, people_max)
        project = self._deck.pop() if self._deck else rng.choice(self._by_day)
        door = self._door(day, project)
        station = self._station(project, door)
        minute = rng.randrange(FIRST_START_MINUTE, LAST_START_MINUTE + 1, START_STEP_MINUTES)
        starts_s = at(day, minute // 60, minute % 60)
        return self._made(project, station, starts_s, pick(rng, DURATIONS_MINUTES), people_max, door)

    def _night_watch(self, day: date, people_max: int) -> Session:
        """Some evenings end after midnight, even on the last day of a month."""
        rng = self._rng
        starts_s = at(day, *rng.choice(NIGHT_WATCH_STARTS))
        project = rng.choice(self._by_night)
        return self._made(project, None, starts_s, rng.choice(NIGHT_WATCH_MINUTES), people_max, "roster")

    def _door(self, day: date, project: Project) -> Door:
        paper = PAPER_SHARE * (1 + PAPER_SHARE_SLOPE * ((day.day - 0.5) / days_in(day) - 0.5))
        if project.organiser.kind == "党支部":  # a branch meets where there is no station
            return "paper" if self._rng.random() < paper / (1 - LIVE_SHARE) else "roster"
        point = self._rng.random()
        if point < LIVE_SHARE:
            return "live"
        return "paper" if point < LIVE_SHARE + paper else "roster"

    def _station(self, project: Project, door: Door) -> str | None:
        if project.organiser.kind == "党支部":
            return None
        if door != "live" and self._rng.random() >= AT_STATION_SHARE_WITHOUT_CODE:
            return None
        home = project.home_station
        stations = [station.number for station in self._organisations[project.unit_served].stations]
        elsewhere = [station for station in stations if station != home]
        visiting = project.unit_served != self._unit.code
        if visiting or (elsewhere and self._rng.random() < BOOKED_BY_OTHER_SHARE - self._visiting_share()):
            return self._rng.choice(elsewhere)
        return home

    def _visiting_share(self) -> float:
        """Projects for another unit always book; the rest of the 12 % are bookings within the unit."""
        visiting = sum(project.unit_served != self._unit.code for project in self._by_day)
        return min(visiting / len(self._by_day), BOOKED_BY_OTHER_SHARE)

    def _made(
        self, project: Project, station: str | None, starts_s: int, minutes: int, people_max: int, door: Door
    ) -> Session:
        rng = self._rng
        self._count += 1
        size = rng.lognormvariate(PEOPLE_MU, PEOPLE_SIGMA)
        people = round(min(max(size, PEOPLE_MIN), max(people_max, PEOPLE_MIN)))
        return Session(
            number=f"S-{self._unit.code}-{self._month:%y%m}-{self._count:04d}",
            project=project,
            station=station,
            starts_s=starts_s,
            ends_s=starts_s + minutes * 60,
            people=people,
            capacity=self._capacity(people),
            door=door,
            published=door == "live" or rng.random() >= DRAFT_SHARE,
            one_time_codes=door != "live" and rng.random() < ONE_TIME_CODES_SHARE,
        )

    def _capacity(self, people: int) -> int:
        if self._rng.random() < TIGHT_SHARE:
            return max(1, round(people * TIGHT_PLACES))
        wanted = int(people * self._rng.uniform(1.1, 1.6))
        return max(-(-wanted // CAPACITY_STEP) * CAPACITY_STEP, CAPACITY_MIN)


def _one_a_team(rng: random.Random, projects: Sequence[Project]) -> list[Project]:
    """One project of each organiser, shuffled: what is active in a month has a session in it."""
    chosen: dict[str, Project] = {}
    for project in rng.sample(projects, len(projects)):
        chosen.setdefault(project.organiser.number, project)
    return list(chosen.values())
