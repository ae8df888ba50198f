"""Generates a period of the city's history as a directory of files with a manifest."""

import json
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Final, NamedTuple

from deploy.history import back_office, batches, files
from deploy.history.city import Unit, read_units
from deploy.history.live import Command, first_live_second, live_commands
from deploy.history.organisations import Organisation, Organisations, make_organisations
from deploy.history.people import Crowd, Person, make_memberships, make_people
from deploy.history.programme import MonthMaker, Session
from deploy.history.projects import Project, make_projects
from deploy.history.recording import Recorder
from deploy.history.seasons import HISTORY_STARTS, add_months, at, days_in, local_text, month_text
from deploy.history.streams import stream
from deploy.history.turnout import Attendance, Turnout

MANIFEST_FORMAT: Final = 1
MONTHS_MAX: Final = 120
REPORT_HOUR: Final = 8
MASTER_HOUR: Final = 18
"""What exists when the period begins is sent on the evening before."""
PROGRAMME_DAY: Final = 20
PROGRAMME_HOUR: Final = 12
"""A month's programme is sent on this day of the month before."""
ROLL_MONTH: Final = 1
ROLL_DAY: Final = 10
"""A year's roll is sent on 10 January of the next."""


class Item(NamedTuple):
    """One file to be submitted: when, through which door, in which lane (items of a lane keep their order)."""

    at_s: int
    kind: str
    file: str
    lane: str

    def row(self) -> dict[str, str]:
        """The manifest's line."""
        return {"at": local_text(self.at_s), "kind": self.kind, "file": self.file, "lane": self.lane}


@dataclass(frozen=True, slots=True)
class Period:
    """Whole months, ``first`` to ``last`` (first days of months)."""

    first: date
    last: date

    @property
    def months(self) -> list[date]:
        """All months, in order."""
        count = (self.last.year - self.first.year) * 12 + self.last.month - self.first.month + 1
        return [add_months(self.first, number) for number in range(count)]

    @property
    def closes(self) -> date:
        """The last day."""
        return self.last.replace(day=days_in(self.last))


def period(until: date, months: int) -> Period:
    """The period of so many months that ends with ``until``. Raises ``ValueError`` if the history is shorter."""
    if not 1 <= months <= MONTHS_MAX:
        raise ValueError(f"months must be 1 to {MONTHS_MAX}")
    first = add_months(until, 1 - months)
    if first < HISTORY_STARTS:
        raise ValueError(f"the history starts in {month_text(HISTORY_STARTS)}")
    return Period(first, until)


@dataclass(slots=True)
class City:
    """What does not depend on the period."""

    seed: int
    units: list[Unit]
    organisations: dict[str, Organisations]
    projects: dict[str, list[Project]]
    people: dict[str, list[Person]]
    crowds: dict[str, Crowd]

    def only(self, codes: Collection[str]) -> "City":
        """The city as if it had only these units: small enough for a test. Raises ``ValueError`` for an unknown one."""
        if unknown := set(codes) - set(self.people):
            raise ValueError(f"no unit {min(unknown)} in the city")
        projects = {
            unit: [project for project in each if project.unit_served in codes]
            for unit, each in self.projects.items()
            if unit in codes
        }
        return City(
            self.seed,
            [unit for unit in self.units if unit.code in codes],
            {unit: made for unit, made in self.organisations.items() if unit in codes},
            projects,
            {unit: people for unit, people in self.people.items() if unit in codes},
            {unit: crowd for unit, crowd in self.crowds.items() if unit in codes},
        )


def make_city(seed: int) -> City:
    """The city of a seed: units, organisations, projects, volunteers."""
    units = read_units()
    organisations = make_organisations(seed, units)
    people = make_people(seed, units)
    crowds = {unit: Crowd(persons) for unit, persons in people.items()}
    return City(seed, units, organisations, make_projects(seed, units, organisations), people, crowds)


@dataclass(slots=True)
class _Written:
    """What has been written so far: the manifest's lines and counts."""

    items: list[Item] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)


def generate(seed: int, span: Period, out: Path, only: Collection[str] = ()) -> dict[str, Any]:
    """Writes the period's files below ``out`` and returns the manifest. Same arguments, same bytes.

    ``only``: the codes of the units whose history it is; none are all.
    """
    city = make_city(seed)
    return _Generator(city.only(only) if only else city, span, out).run()


class _Generator:
    def __init__(self, city: City, span: Period, out: Path) -> None:
        self._city = city
        self._span = span
        self._out = out
        self._done = _Written()
        self._recorder = Recorder(city.seed, span.closes)
        self._live: list[Attendance] = []
        self._entries: list[back_office.Entry] = []
        self._activities: set[str] = set()

    def run(self) -> dict[str, Any]:
        self._write_master()
        for month in self._span.months:
            self._make_month(month)
        self._write_batches()
        commands = live_commands(self._city.seed, self._live, self._span.closes)
        files.write(self._out / "live.jsonl", files.json_lines(command.row() for command in commands))
        files.write(self._out / "back_office.jsonl", files.json_lines(back_office.rows(self._entries)))
        return self._write_manifest(commands)

    def _file(self, at_s: int, kind: str, name: str, content: bytes, lane: str = "") -> None:
        files.write(self._out / name, content)
        self._done.items.append(Item(at_s, kind, name, lane or kind))

    # What exists

    def _write_master(self) -> None:
        city, span = self._city, self._span
        evening = at(span.first - timedelta(days=1), MASTER_HOUR)
        self._file(evening, "units", "units.csv", files.units_file(city.units))
        self._file(evening + 300, "roll", "roll.csv", files.roll_file(city.units, span.first.year - 1))
        for year in range(span.first.year, span.last.year + 1):
            sent = date(year, ROLL_MONTH, ROLL_DAY)
            if span.first < sent <= span.closes:
                content = files.roll_file(city.units, year - 1)
                self._file(at(sent, REPORT_HOUR), "roll", f"roll-{year - 1}.csv", content)
        self._write_organisations(evening + 600)
        self._write_volunteers(evening + 900)

    def _write_organisations(self, evening_s: int) -> None:
        everything = [each for made in self._city.organisations.values() for each in made.all()]
        known = [each for each in everything if each.since <= self._span.first]
        self._file(evening_s, "organisations", "organisations.csv", files.organisations_file(known))
        self._done.counts["organisations"] += len(known)
        for month in self._span.months[1:]:
            founded = [each for each in everything if each.since == month]
            if founded:
                self._write_founded(month, founded)

    def _write_founded(self, month: date, founded: Sequence[Organisation]) -> None:
        """Teams founded on the first of a month; announced with the month's programme, which names them."""
        name = f"organisations/{month_text(month)}.csv"
        sent_s = self._programme_s(month) - 3600
        self._file(sent_s, "organisations", name, files.organisations_file(founded))
        self._done.counts["organisations"] += len(founded)

    def _write_volunteers(self, evening_s: int) -> None:
        city = self._city
        memberships = make_memberships(city.seed, city.people, city.organisations)
        since = {team.number: team.since for made in city.organisations.values() for team in made.teams}
        reported: list[Person] = []
        for unit in city.units:
            people = city.people[unit.code]
            teams = {
                person.number: [
                    team for team in memberships.get(person.number, ()) if since[team] <= self._known_until(person)
                ]
                for person in people
            }
            rows = files.civil_rows(city.seed, unit, people, teams)
            for day, group in self._by_report_day(people).items():
                sent_s = evening_s if day <= self._span.first else at(day, REPORT_HOUR)
                name = f"volunteers/{unit.code}.csv" if day <= self._span.first else f"volunteers/{unit.code}-{day}.csv"
                content = files.volunteers_file(unit, [rows[person.number] for person in group])
                self._file(sent_s, "volunteers", name, content, lane=unit.code)
                reported += group
        files.write(self._out / "qualifications.csv", files.qualifications_file(reported))
        self._done.counts["volunteers"] = len(reported)

    def _known_until(self, person: Person) -> date:
        """Which teams a person's line can name: those that exist when it is sent."""
        return max(person.reported_on, self._span.first)

    def _by_report_day(self, people: Iterable[Person]) -> dict[date, list[Person]]:
        """Those reported by the end of the period; all from before it are on its first list."""
        groups: dict[date, list[Person]] = {}
        for person in people:
            if person.reported_on <= self._span.closes:
                groups.setdefault(max(person.reported_on, self._span.first), []).append(person)
        return dict(sorted(groups.items()))

    # What happens

    def _programme_s(self, month: date) -> int:
        evening = at(self._span.first - timedelta(days=1), MASTER_HOUR) + 1800
        return max(evening, at(add_months(month, -1).replace(day=PROGRAMME_DAY), PROGRAMME_HOUR))

    def _make_month(self, month: date) -> None:
        city = self._city
        busy: dict[str, list[tuple[int, int]]] = {}
        for unit in city.units:
            maker = MonthMaker(city.seed, unit, month, city.projects[unit.code], city.organisations)
            sessions = maker.sessions(city.crowds[unit.code])
            rng = stream(city.seed, "turnout", unit.code, month)
            meant = Turnout(rng, unit.code, city.crowds).fill(sessions, busy)
            self._write_programme(unit, month, sessions)
            self._take(unit, month, meant)
            if month == back_office.BOUGHT_IN and unit.code == back_office.BOUGHT_UNIT:
                strangers = [each.number for each in city.people[unit.code] if each.number not in busy]
                self._entries += back_office.bought_hours(sessions, strangers)

    def _write_programme(self, unit: Unit, month: date, sessions: Sequence[Session]) -> None:
        name = f"activities/{unit.code}-{month_text(month)}.csv"
        self._file(self._programme_s(month), "activities", name, files.activities_file(sessions), lane=unit.code)
        self._done.counts["sessions"] += len(sessions)
        self._activities |= {session.project.number for session in sessions}

    def _take(self, unit: Unit, month: date, meant: Sequence[Attendance]) -> None:
        """Sends each attendance to its door."""
        subject = (unit.code, month)
        live_s = first_live_second(self._span.closes)

        def is_live(attendance: Attendance) -> bool:
            return attendance.session.door == "live" and attendance.session.starts_s >= live_s

        came = [each for each in meant if each.came]
        recorded, entries = back_office.typed_in(self._city.seed, subject, came)
        live = [each for each in recorded if is_live(each)]
        self._recorder.add(subject, (each for each in recorded if not is_live(each)))
        self._live += [*live, *(each for each in meant if is_live(each) and not each.came)]
        self._entries += entries
        counts = self._done.counts
        counts["attendances"] += len(came)
        counts["attendances_live"] += len(live)
        counts["attendances_back_office"] += len(entries)
        counts["no_shows"] += len(meant) - len(came)

    # What is sent

    def _write_batches(self) -> None:
        made = [
            *batches.kiosk_batches(self._recorder.readings),
            *batches.roster_batches(self._recorder.lines),
        ]
        for batch in sorted(made, key=lambda each: (each.at_s, each.name)):
            name = f"batches/{batch.name}.json"
            self._file(batch.at_s, "batch", name, batches.encode(batch.body), lane=batch.lane)
            self._done.counts["batches"] += 1
            self._done.counts["rows"] += len(batch.body["rows"])
            if batches.is_resent(self._city.seed, batch):
                self._done.items.append(Item(batch.at_s + batches.RESENT_AFTER_S, "batch", name, batch.lane))
                self._done.counts["batches_resent"] += 1

    def _write_manifest(self, commands: Sequence[Command]) -> dict[str, Any]:
        counts = self._done.counts
        counts["activities"] = len(self._activities)
        counts["live_commands"] = len(commands)
        counts["back_office_entries"] = len(self._entries)
        span = self._span
        manifest = {
            "format": MANIFEST_FORMAT,
            "seed": self._city.seed,
            "months": [month_text(month) for month in span.months],
            "starts_at": local_text(at(span.first, 0)),
            "ends_at": local_text(at(add_months(span.last, 1), 0)),
            "live": "live.jsonl",
            "back_office": "back_office.jsonl",
            "not_taken_yet": ["qualifications.csv"],
            "counts": dict(sorted(counts.items())),
            "items": [item.row() for item in sorted(self._done.items, key=lambda item: item.at_s)],
        }
        text = json.dumps(manifest, ensure_ascii=False, indent=1) + "\n"
        files.write(self._out / "manifest.json", text.encode())
        return manifest
