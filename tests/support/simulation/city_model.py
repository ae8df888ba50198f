"""Keeps what the city's clients were told, and says what the platform must come to because of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from pathlib import Path
from typing import Any, Final, NamedTuple

from services.eventing.facts import derived_id
from tests.support.oracle.crediting import Ledger, credit
from tests.support.oracle.doors import Attendance
from tests.support.oracle.inputs import Inputs, Roll, Session, Station, Volunteer
from tests.support.oracle.scoreboard import Score, scoreboard
from tests.support.simulation import city
from tests.support.simulation.clocks import EPOCH

GRADES: Final = {"station_code": 2, "personal_card": 2, "one_time_code": 2, "leader_list": 1, "self_report": 1}
"""The evidence grade of one end with one proof, by method; typed in by the back office it is 0."""


class End(NamedTuple):
    """One acknowledged end of an attendance."""

    at: datetime
    grade: int


@dataclass(slots=True)
class CityModel:
    """Only what was acknowledged: lists, and the ends of attendances by person and session."""

    inputs: Inputs = field(default_factory=lambda: Inputs(Path()))
    check_ins: dict[tuple[str, str], End] = field(default_factory=dict)
    check_outs: dict[tuple[str, str], End] = field(default_factory=dict)
    sign_ups: dict[str, set[str]] = field(default_factory=dict)
    slips: dict[tuple[str, int], str] = field(default_factory=dict)
    """Whose presence a session's one-time code has proved."""
    contradictions: list[str] = field(default_factory=list)
    """Acknowledgements that cannot both be right."""

    # what was acknowledged

    def took_list(self, name: str, rows: list[list[str]]) -> None:
        """Rows of a list were taken in."""
        for row in rows:
            match name:
                case "units":
                    self.inputs.units.append(row[0])
                case "organisations" if row[1] == "驿站":
                    self.inputs.stations.append(Station(row[0], row[3], date.fromisoformat(row[5])))
                case "roll":
                    roll = Roll(date.fromisoformat(row[1]), int(row[2]))
                    self.inputs.rolls.setdefault(row[0], []).append(roll)
                case "volunteers":
                    self.inputs.volunteers[row[0]] = _volunteer(row)
                case "activities":
                    self.inputs.sessions[row[1]] = _session(row)
                case _:
                    pass

    def came(self, person: str, session: str, at: datetime, grade: int) -> None:
        """A check-in was acknowledged."""
        if (person, session) in self.check_ins:
            self.contradictions.append(f"{person} was checked in to {session} twice")
        self.check_ins[person, session] = End(at, grade)

    def left(self, person: str, session: str, at: datetime, grade: int) -> None:
        """A check-out was acknowledged; its check-in may be later, as answers overtake each other."""
        if (person, session) in self.check_outs:
            self.contradictions.append(f"{person} was checked out of {session} twice")
        self.check_outs[person, session] = End(at, grade)

    def signed_up(self, person: str, session: str) -> None:
        """A sign-up was acknowledged."""
        held, window = self.sign_ups.setdefault(session, set()), self.inputs.sessions[session]
        if person in held or len(held) >= window.capacity:
            self.contradictions.append(f"{person} has a place in {session}, which is full or holds them already")
        for other, people in self.sign_ups.items():
            one = self.inputs.sessions[other]
            if person in people and one.starts_at < window.ends_at and window.starts_at < one.ends_at:
                self.contradictions.append(f"{person} has places in {session} and {other} at one time")
        held.add(person)

    def spent(self, slip: tuple[str, int], person: str) -> None:
        """A one-time code of a session has proved somebody's presence."""
        if self.slips.setdefault(slip, person) != person:
            self.contradictions.append(f"{slip} has proved {person} and {self.slips[slip]}")

    # what follows from it

    def attendances(self) -> list[Attendance]:
        """Who was where, from when to when."""
        return [self._attendance(*pair, end) for pair, end in self.check_ins.items()]

    def contradictions_at_the_end(self) -> list[str]:
        """Acknowledgements that cannot all be right, once all have come."""
        late = [
            f"{pair} was checked out without having come before"
            for pair, end in self.check_outs.items()
            if pair not in self.check_ins or end.at <= self.check_ins[pair].at
        ]
        return self.contradictions + late

    def ledger(self, as_of: datetime, ids: Mapping[str, str]) -> Ledger:
        """What all accounts must hold. ``ids``: volunteers' ids by number, for attendance ids break ties."""
        named = [_with_attendance_id(each, ids[each.volunteer.number]) for each in self.attendances()]
        ledger = credit(named, as_of)
        return Ledger(
            accounts=ledger.accounts,
            unit_months=ledger.unit_months,
            served={(who, _session_of(name), m, grade): n for (who, name, m, grade), n in ledger.served.items()},
            present={(who, _session_of(name), month, grade) for who, name, month, grade in ledger.present},
            pending={(who, _session_of(name)): each for (who, name), each in ledger.pending.items()},
        )

    def scores(self, ledger: Ledger, period: str) -> dict[str, Score]:
        """What all units must score."""
        return scoreboard(self.inputs, ledger, period)

    def _attendance(self, person: str, session: str, came: End) -> Attendance:
        volunteer, where = self.inputs.volunteers[person], self.inputs.sessions[session]
        left = self.check_outs.get((person, session))
        if left is None:
            return Attendance(where, volunteer, came.at, came.grade)
        return Attendance(where, volunteer, came.at, came.grade, left.at, left.grade)


def _with_attendance_id(attendance: Attendance, volunteer_id: str) -> Attendance:
    """The attendance of a session that is named as the ledger orders it: by attendance id."""
    session = attendance.session
    name = f"{derived_id(session.number, f'attendance:{volunteer_id}', 0)}|{session.number}"
    return replace(attendance, session=replace(session, number=name))


def _session_of(name: str) -> str:
    return name.partition("|")[2]


def _volunteer(row: list[str]) -> Volunteer:
    return Volunteer(row[0], row[9], row[13] == "是", date.fromisoformat(row[11]), EPOCH)


def _session(row: list[str]) -> Session:
    return Session(
        number=row[1],
        starts_at=city.instant(row[9]),
        ends_at=city.instant(row[10]),
        unit_served=row[4],
        organiser=row[3],
        station=row[5] or None,
        key_field=row[8] or None,
        capacity=int(row[11]),
        published=True,
        sent_at=EPOCH,
    )


def by_grade(minutes: dict[str, Any]) -> list[int]:
    """Minutes by grade as the hours service answers them."""
    return [minutes[f"grade_{grade}"] for grade in range(4)]
