"""Makes the city's 1,200 projects: who organises what kind of service for whom."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final, NamedTuple

from deploy.history.city import Unit
from deploy.history.organisations import Organisation, Organisations, share_out
from deploy.history.seasons import HISTORY_MONTHS, HISTORY_STARTS, add_months
from deploy.history.streams import pick, stream

PROJECTS_TOTAL: Final = 1_200
PROJECT_AT_START_SHARE: Final = 0.6
BRANDED_SHARE: Final = 0.2
ORGANISERS: Final = (("team", 0.82), ("station", 0.08), ("branch", 0.05), ("visiting team", 0.05))
VOLUNTEERS_PER_KEY_FIELD: Final = 80
KEY_FIELDS_MIN: Final = 5
"""A unit reaches 5 key fields, and one more for every 80 volunteers, of the 12."""


class Theme(NamedTuple):
    """A kind of service: its Chinese name and our slugs for it."""

    name: str
    service_type: str
    key_field: str


THEMES: Final = (
    Theme("义诊进社区", "health", "health_care"),
    Theme("红色故事宣讲", "education_support", "party_history"),
    Theme("青少年课后辅导", "education_support", "youth_care"),
    Theme("法律咨询", "legal", "legal_aid"),
    Theme("农技下乡", "poverty_relief", "agriculture"),
    Theme("科普课堂", "science", "science_education"),
    Theme("书画辅导", "culture", "culture_arts"),
    Theme("独居老人探访", "special_care", "elder_care"),
    Theme("文明劝导", "civility", "civility"),
    Theme("河岸清洁", "environment", "environment"),
    Theme("邻里调解", "community", "mediation"),
    Theme("小区议事", "community", "community_governance"),
)
OTHER_THEMES: Final = (
    Theme("路口引导", "traffic", ""),
    Theme("健身指导", "sports", ""),
    Theme("景区引导", "tourism", ""),
    Theme("赛会服务", "major_events", ""),
    Theme("防火宣传", "fire", ""),
    Theme("禁毒宣传", "drug_prevention", ""),
)
NIGHT_WATCH: Final = Theme("夜间巡防", "public_safety", "")
OTHER_THEME_SHARE: Final = 0.2
NIGHT_WATCH_PROJECTS_A_UNIT: Final = 1


@dataclass(frozen=True, slots=True)
class Project:
    """One activity (活动) as the lists name it; its sessions come month by month."""

    number: str
    title: str
    organiser: Organisation
    unit_served: str
    brand: str | None
    theme: Theme
    since: date

    @property
    def home_station(self) -> str | None:
        """The station that the organiser is, or belongs to; any other station is a booking."""
        if self.organiser.kind == "驿站":
            return self.organiser.number
        return self.organiser.parent if self.organiser.kind == "团队" else None


def make_projects(
    seed: int, units: Sequence[Unit], organisations: dict[str, Organisations]
) -> dict[str, list[Project]]:
    """The projects of every unit, by the code of the organiser's unit, in the order of their numbers."""
    counts = share_out(PROJECTS_TOTAL, [unit.volunteers for unit in units])
    made = {}
    for unit, count in zip(units, counts, strict=True):
        others = [other.code for other in units if other is not unit]
        maker = _Maker(stream(seed, "projects", unit.code), unit, organisations[unit.code], others)
        made[unit.code] = [maker.project(number, count) for number in range(1, count + 1)]
    return made


class _Maker:
    def __init__(self, rng: random.Random, unit: Unit, made: Organisations, others: Sequence[str]) -> None:
        self._rng = rng
        self._unit = unit
        self._organisations = made
        self._others = others
        fields = min(len(THEMES), KEY_FIELDS_MIN + unit.volunteers // VOLUNTEERS_PER_KEY_FIELD)
        self._themes = rng.sample(THEMES, fields)

    def project(self, index: int, count: int) -> Project:
        """The project with this index of ``count``; the first belong to one team each, so that every team has one."""
        rng = self._rng
        teams = self._organisations.teams
        night_watch = index > count - NIGHT_WATCH_PROJECTS_A_UNIT
        kind = "team" if index <= len(teams) or night_watch else pick(rng, ORGANISERS)
        organiser = teams[index - 1] if index <= len(teams) else self._organiser(kind)
        theme = NIGHT_WATCH if night_watch else self._theme()
        return Project(
            number=f"A-{self._unit.code}-{index:04d}",
            title=f"银龄{theme.name}（{self._unit.name}{index}）",
            organiser=organiser,
            unit_served=rng.choice(self._others) if kind == "visiting team" else self._unit.code,
            brand=rng.choice(self._organisations.brands).number if rng.random() < BRANDED_SHARE else None,
            theme=theme,
            since=max(self._since(), organiser.since),
        )

    def _theme(self) -> Theme:
        return self._rng.choice(OTHER_THEMES if self._rng.random() < OTHER_THEME_SHARE else self._themes)

    def _since(self) -> date:
        if self._rng.random() < PROJECT_AT_START_SHARE:
            return HISTORY_STARTS
        return add_months(HISTORY_STARTS, self._rng.randrange(1, HISTORY_MONTHS))

    def _organiser(self, kind: str) -> Organisation:
        match kind:
            case "station":
                return self._rng.choice(self._organisations.stations)
            case "branch":
                return self._rng.choice(self._organisations.active_branches)
            case _:
                return self._rng.choice(self._organisations.teams)
