"""A generated history has the figures of the real city's."""

import csv
import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest

from deploy.history.generate import City, make_city
from deploy.history.organisations import active_months
from deploy.history.people import HABITS, SESSIONS_A_MONTH
from deploy.history.programme import DURATIONS_MINUTES, MonthMaker
from deploy.history.seasons import (
    HISTORY_MONTHS,
    HISTORY_STARTS,
    add_months,
    days_of,
    sessions_share,
)
from deploy.history.streams import stream
from deploy.history.turnout import NO_SHOW_SHARE, Attendance, Turnout

CAME_SHARE = 1 - NO_SHOW_SHARE


@pytest.fixture(scope="module")
def city() -> City:
    return make_city(1)


def month_of(city: City, month: date) -> list[Attendance]:
    busy: dict[str, list[tuple[int, int]]] = {}
    meant = []
    for unit in city.units:
        maker = MonthMaker(city.seed, unit, month, city.projects[unit.code], city.organisations)
        turnout = Turnout(stream(city.seed, "turnout", unit.code, month), unit.code, city.crowds)
        meant += turnout.fill(maker.sessions(city.crowds[unit.code]), busy)
    return meant


@dataclass
class Told:
    """What the files of a quarter say, by how it came in."""

    rows: Counter[str] = field(default_factory=Counter)
    lags: list[timedelta] = field(default_factory=list)
    check_ins: int = 0
    check_outs: int = 0
    coded: int = 0


@pytest.fixture(scope="module")
def sessions(quarter: Path) -> dict[str, dict[str, str]]:
    rows: dict[str, dict[str, str]] = {}
    for path in sorted(quarter.glob("activities/*.csv")):
        rows |= {row["场次编号"]: row for row in csv.DictReader(path.read_text(encoding="utf-8").splitlines())}
    return rows


@pytest.fixture(scope="module")
def told(quarter: Path, sessions: dict[str, dict[str, str]]) -> Told:
    result = Told()
    items = json.loads((quarter / "manifest.json").read_text(encoding="utf-8"))["items"]
    for item in {item["file"]: item for item in reversed(items) if item["kind"] == "batch"}.values():
        batch = json.loads((quarter / item["file"]).read_bytes())
        for row in batch["rows"]:
            result.check_ins += row["action"] == "check_in"
            result.check_outs += row["action"] == "check_out"
            if row["action"] == "check_out" or row["session_id"] not in sessions:
                continue
            result.rows[batch["kind"]] += 1
            result.coded += batch["kind"] == "roster" and row["proof"] is not None
            ended = datetime.fromisoformat(sessions[row["session_id"]]["结束时间"])
            result.lags.append(datetime.fromisoformat(item["at"]) - ended)
    lines = (quarter / "live.jsonl").read_text(encoding="utf-8").splitlines()
    result.rows["live"] = sum(json.loads(line)["command"] == "check_in" for line in lines)
    lines = (quarter / "back_office.jsonl").read_text(encoding="utf-8").splitlines()
    result.rows["back_office"] = sum(json.loads(line)["command"] == "propose" for line in lines)
    return result


def share(part: float, whole: float) -> float:
    return part / whole


def test_there_are_as_many_of_everything_as_in_the_city(city: City) -> None:
    people = [person for unit in city.people.values() for person in unit]
    assert len(people) == 8_600
    assert sum(len(projects) for projects in city.projects.values()) == 1_200
    assert sum(len(made.stations) for made in city.organisations.values()) == 58
    assert sum(len(made.brands) for made in city.organisations.values()) == 36
    assert sum(len(made.teams) for made in city.organisations.values()) == 570
    assert sum(unit.roll for unit in city.units) == 22_632
    assert sum(len(made.branches) for made in city.organisations.values()) == sum(-(-u.roll // 60) for u in city.units)


def test_the_whole_history_has_about_242_000_attendances(city: City) -> None:
    expected = sum(
        crowd.sessions_a_month(day) * sessions_share(day)
        for number in range(HISTORY_MONTHS)
        for day in days_of(add_months(HISTORY_STARTS, number))
        for crowd in city.crowds.values()
    )
    assert expected * CAME_SHARE == pytest.approx(242_000, rel=0.03)


def test_the_5th_of_march_is_the_peak(city: City) -> None:
    on_the_day = Counter(each.session.starts_s // 86_400 for each in month_of(city, date(2026, 3, 1)) if each.came)
    day, people = on_the_day.most_common(1)[0]
    assert date(1970, 1, 1) + timedelta(days=day) == date(2026, 3, 5)
    assert people == pytest.approx(2_754, rel=0.12)


def test_people_join_and_age_as_in_the_city(city: City) -> None:
    people = [person for unit in city.people.values() for person in unit]
    at_start = sum(person.registered_on < HISTORY_STARTS for person in people)
    assert share(at_start, len(people)) == pytest.approx(0.45, abs=0.02)
    ages = Counter((date(2026, 10, 31) - person.born).days * 100 // 36_525 for person in people)
    for youngest, oldest, expected in [
        (55, 59, 0.06),
        (60, 64, 0.27),
        (65, 69, 0.31),
        (70, 74, 0.21),
        (75, 79, 0.10),
        (80, 85, 0.05),
    ]:
        count = sum(ages[age] for age in range(youngest, oldest + 1))
        assert share(count, len(people)) == pytest.approx(expected, abs=0.015)
    assert share(sum(person.profession is not None for person in people), len(people)) == pytest.approx(0.35, abs=0.02)


def test_habits_have_their_sessions_a_month(city: City) -> None:
    people = [person for unit in city.people.values() for person in unit]
    for habit, expected in HABITS:
        group = [person for person in people if person.habit == habit]
        assert share(len(group), len(people)) == pytest.approx(expected, abs=0.02)
        mean = sum(person.sessions_a_month for person in group) / len(group)
        assert mean == pytest.approx(SESSIONS_A_MONTH[habit], rel=0.06)


def test_those_who_serve_often_come_often(city: City) -> None:
    """In April, whose weight is 1, a steady volunteer comes about 1.62 times less the no-shows."""
    month = date(2026, 4, 1)
    came = Counter(each.person.habit for each in month_of(city, month) if each.came)
    for habit, _ in HABITS[:3]:
        there = sum(p.habit == habit and p.reported_on < month for unit in city.people.values() for p in unit)
        assert came[habit] / there == pytest.approx(SESSIONS_A_MONTH[habit] * CAME_SHARE, rel=0.1)


def test_half_of_the_teams_are_active_in_nine_months_of_twelve(city: City) -> None:
    teams = [team.number for made in city.organisations.values() for team in made.teams]
    regular = sum(len(active_months(1, team, 2026)) >= 9 for team in teams)
    assert share(regular, len(teams)) == pytest.approx(0.5, abs=0.06)
    sizes = sorted(size for made in city.organisations.values() for size in made.team_sizes)
    assert sizes[len(sizes) // 2] == pytest.approx(15, abs=1)
    assert sizes[0] >= 5
    assert sizes[-1] <= 120


def test_sessions_last_and_fill_as_in_the_city(sessions: dict[str, dict[str, str]], told: Told) -> None:
    by_day = [row for row in sessions.values() if "夜间巡防" not in row["活动名称"]]
    minutes = Counter(
        (datetime.fromisoformat(row["结束时间"]) - datetime.fromisoformat(row["开始时间"])).seconds // 60
        for row in by_day
    )
    for length, expected in DURATIONS_MINUTES:
        assert share(minutes[length], len(by_day)) == pytest.approx(expected, abs=0.03)
    assert told.rows.total() / len(sessions) == pytest.approx(9.5, abs=0.5)


def test_records_come_in_by_the_doors_of_the_city(told: Told) -> None:
    total = told.rows.total()
    assert share(told.rows["kiosk"] + told.rows["live"], total) == pytest.approx(0.55 * 0.97, abs=0.05)
    assert share(told.rows["roster"], total) == pytest.approx(0.45 * 0.97, abs=0.05)
    assert share(told.rows["back_office"], total) == pytest.approx(0.03, abs=0.01)
    assert share(told.coded, told.rows["roster"]) == pytest.approx(0.4, abs=0.1)


def test_eight_in_a_hundred_forget_to_check_out(told: Told) -> None:
    assert share(told.check_ins - told.check_outs, told.check_ins) == pytest.approx(0.08, abs=0.015)


@pytest.mark.parametrize(("days", "expected", "tolerance"), [(7, 0.12, 0.03), (30, 0.03, 0.015), (60, 0.005, 0.005)])
def test_records_are_late_as_in_the_city(told: Told, days: int, expected: float, tolerance: float) -> None:
    late = sum(lag > timedelta(days=days) for lag in told.lags)
    assert share(late, len(told.lags)) == pytest.approx(expected, abs=tolerance)


def test_an_eighth_of_station_sessions_is_booked_by_another_organisation(
    quarter: Path, sessions: dict[str, dict[str, str]]
) -> None:
    parents: dict[str, str] = {}
    for path in [quarter / "organisations.csv", *quarter.glob("organisations/*.csv")]:
        rows = csv.DictReader(path.read_text(encoding="utf-8").splitlines())
        parents |= {row["组织编号"]: row["上级编号"] for row in rows}
    at_stations = [row for row in sessions.values() if row["驿站编号"]]
    booked = [row for row in at_stations if row["驿站编号"] not in {row["组织编号"], parents[row["组织编号"]]}]
    assert share(len(booked), len(at_stations)) == pytest.approx(0.12, abs=0.03)


def test_one_in_a_hundred_attendances_overlaps_another(city: City) -> None:
    windows: dict[str, list[tuple[int, int]]] = {}
    for each in month_of(city, date(2026, 4, 1)):
        windows.setdefault(each.person.number, []).append((each.session.starts_s, each.session.ends_s))
    assert share(sum(overlapping(each) for each in windows.values()), sum(map(len, windows.values()))) == pytest.approx(
        0.01, abs=0.004
    )


def overlapping(windows: Iterable[tuple[int, int]]) -> int:
    ordered = sorted(windows)
    return sum(later[0] < earlier[1] for earlier, later in pairwise(ordered))
