"""Scores the units by the four first indicators, in exact fractions."""

import re
from dataclasses import dataclass
from datetime import date, timedelta
from fractions import Fraction
from math import ceil

from tests.support.oracle.crediting import Ledger
from tests.support.oracle.inputs import Inputs

WEIGHTS = {"I5": Fraction(11), "I10": Fraction(4), "I13": Fraction(6), "I15": Fraction(3)}
ROLL_PER_STATION = 400
HOURS_A_YEAR = 25
KEY_FIELDS = 12
WINDOW_MONTHS = 12


@dataclass(frozen=True)
class Score:
    """One unit's score. ``values`` are uncapped, ``None`` where the roll is missing; ``points`` are capped."""

    unit: str
    values: dict[str, Fraction | None]
    points: Fraction


def months_of(period: str) -> list[str]:
    """The months of ``2026-07``, ``2026-Q3`` or ``2026``. Raises ``ValueError``."""
    if re.fullmatch(r"\d{4}-\d{2}", period):
        return [period]
    if match := re.fullmatch(r"(\d{4})-Q([1-4])", period):
        first = 3 * int(match[2]) - 2
        return [f"{match[1]}-{month:02d}" for month in range(first, first + 3)]
    if re.fullmatch(r"\d{4}", period):
        return [f"{period}-{month:02d}" for month in range(1, 13)]
    raise ValueError(f"not a period: {period}")


def month_before(month: str, months: int) -> str:
    """The month that is so many months earlier."""
    ordinal = int(month[:4]) * 12 + int(month[5:]) - 1 - months
    return f"{ordinal // 12:04d}-{ordinal % 12 + 1:02d}"


def last_day_of(month: str) -> date:
    """The last day of a month."""
    return date.fromisoformat(month_before(month, -1) + "-01") - timedelta(days=1)


def scoreboard(inputs: Inputs, ledger: Ledger, period: str) -> dict[str, Score]:
    """Every unit's score for a period, by unit code."""
    return {unit: _score(inputs, ledger, unit, months_of(period)) for unit in inputs.units}


def _score(inputs: Inputs, ledger: Ledger, unit: str, months: list[str]) -> Score:
    roll = _roll(inputs, unit, last_day_of(months[-1]))
    if roll is None:
        values: dict[str, Fraction | None] = {"I5": None, "I10": None, "I13": None}
    else:
        values = {
            "I5": Fraction(_participants(inputs, ledger, unit, months), roll),
            "I10": _stations(inputs, ledger, unit, months, roll),
            "I13": _hours(ledger, unit, months) / roll / (Fraction(HOURS_A_YEAR) * len(months) / 12),
        }
    values["I15"] = Fraction(len(_key_fields(inputs, ledger, unit, months)), KEY_FIELDS)
    points = sum(
        (WEIGHTS[name] * min(Fraction(1), value) for name, value in values.items() if value is not None), Fraction(0)
    )
    return Score(unit, values, points)


def _roll(inputs: Inputs, unit: str, day: date) -> int | None:
    counted = [roll for roll in inputs.rolls.get(unit, []) if roll.as_of <= day]
    return max(counted, key=lambda roll: roll.as_of).people if counted else None


def _participants(inputs: Inputs, ledger: Ledger, unit: str, months: list[str]) -> int:
    """Registered retired cadres of the unit with a credited session in the twelve months that end with the period."""
    window = {month_before(months[-1], back) for back in range(WINDOW_MONTHS)} | set(months)
    served = {
        number for (number, _, month, grade), minutes in ledger.served.items() if month in window and grade and minutes
    }
    people = [inputs.volunteers[number] for number in served]
    return sum(
        person.home_unit == unit and person.retired_cadre and person.registered_on <= last_day_of(months[-1])
        for person in people
    )


def _attended(inputs: Inputs, ledger: Ledger, unit: str) -> set[tuple[str, str]]:
    """Sessions for the unit with an entry of grade 1 or more that stands, each with the month of that entry."""
    return {
        (session, month)
        for _, session, month, grade in ledger.present
        if grade and inputs.sessions[session].unit_served == unit
    }


def _stations(inputs: Inputs, ledger: Ledger, unit: str, months: list[str], roll: int) -> Fraction:
    """Half for enough stations for the roll, half for the share of them with an attended session every month."""
    stations = [
        station.number
        for station in inputs.stations
        if station.unit == unit and station.since <= last_day_of(months[-1])
    ]
    enough = min(Fraction(1), Fraction(len(stations), ceil(Fraction(roll, ROLL_PER_STATION))))
    busy = {(inputs.sessions[session].station, month) for session, month in _attended(inputs, ledger, unit)}
    steady = [station for station in stations if all((station, month) in busy for month in months)]
    share = Fraction(len(steady), len(stations)) if stations else Fraction(0)
    return enough / 2 + share / 2


def _hours(ledger: Ledger, unit: str, months: list[str]) -> Fraction:
    minutes = [sum(ledger.unit_months.get((unit, month), [0])[1:]) for month in months]
    return Fraction(sum(minutes), 60)


def _key_fields(inputs: Inputs, ledger: Ledger, unit: str, months: list[str]) -> set[str]:
    fields = {
        inputs.sessions[session].key_field for session, month in _attended(inputs, ledger, unit) if month in months
    }
    return {field for field in fields if field is not None}
