"""Reads the units of the city whose history is made."""

import csv
from dataclasses import dataclass
from importlib import resources


@dataclass(frozen=True, slots=True)
class Unit:
    """One assessed unit with its size when the history is complete; ``index`` counts from 1 in the table's order."""

    index: int
    code: str
    system: str
    name: str
    roll: int
    volunteers: int
    stations: int
    brands: int


def read_units() -> list[Unit]:
    """The twelve units of ``data/city-units.csv``, in the table's order."""
    text = resources.files("deploy.history").joinpath("data/city-units.csv").read_text(encoding="utf-8")
    return [
        Unit(
            index=index,
            code=row["code"],
            system=row["system"],
            name=row["name"],
            roll=int(row["roll"]),
            volunteers=int(row["volunteers"]),
            stations=int(row["stations"]),
            brands=int(row["brands"]),
        )
        for index, row in enumerate(csv.DictReader(text.splitlines()), 1)
    ]
