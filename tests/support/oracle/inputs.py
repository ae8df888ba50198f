"""Reads the files of a generated history as plainly as they were written."""

import csv
import json
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Roll:
    """A unit's roll as counted on a date."""

    as_of: date
    people: int


@dataclass(frozen=True)
class Station:
    """A station and the unit it belongs to."""

    number: str
    unit: str
    since: date


@dataclass(frozen=True)
class Volunteer:
    """A volunteer, from the moment at which the list that names them is sent."""

    number: str
    home_unit: str
    retired_cadre: bool
    registered_on: date
    sent_at: datetime


@dataclass(frozen=True)
class Session:
    """A session, from the moment at which the list that names it is sent."""

    number: str
    starts_at: datetime
    ends_at: datetime
    unit_served: str
    organiser: str
    station: str | None
    key_field: str | None
    capacity: int
    published: bool
    sent_at: datetime


@dataclass(frozen=True)
class BatchSent:
    """One sending of a batch file."""

    at: datetime
    file: str


@dataclass(frozen=True)
class LineSent:
    """One line of ``live.jsonl`` or ``back_office.jsonl``, with its place in the file."""

    at: datetime
    door: str
    index: int
    line: dict[str, Any]


@dataclass
class Inputs:
    """All that a history says; ``sendings`` in the order in which things are sent."""

    directory: Path
    units: list[str] = field(default_factory=list)
    rolls: dict[str, list[Roll]] = field(default_factory=dict)
    stations: list[Station] = field(default_factory=list)
    volunteers: dict[str, Volunteer] = field(default_factory=dict)
    sessions: dict[str, Session] = field(default_factory=dict)
    sendings: list[BatchSent | LineSent] = field(default_factory=list)

    def batch(self, file: str) -> dict[str, Any]:
        """The body of a batch file."""
        body: dict[str, Any] = json.loads((self.directory / file).read_bytes())
        return body


def read(directory: Path) -> Inputs:
    """Reads a history. Raises ``OSError``, ``KeyError`` or ``ValueError`` if it is not one."""
    manifest = json.loads((directory / "manifest.json").read_bytes())
    inputs = Inputs(directory)
    for item in manifest["items"]:
        at = datetime.fromisoformat(item["at"])
        if item["kind"] == "batch":
            inputs.sendings.append(BatchSent(at, item["file"]))
        else:
            _read_list(inputs, item["kind"], at, directory / item["file"])
    for door in ("live", "back_office"):
        inputs.sendings += _lines(directory / manifest[door], door)
    inputs.sendings.sort(key=lambda sending: sending.at)  # stable: what is sent at one time keeps its order
    return inputs


def _lines(path: Path, door: str) -> list[LineSent]:
    lines = [json.loads(text) for text in path.read_text(encoding="utf-8").splitlines()]
    return [LineSent(datetime.fromisoformat(line["at"]), door, index, line) for index, line in enumerate(lines)]


def _read_list(inputs: Inputs, kind: str, sent_at: datetime, path: Path) -> None:
    for row in csv.DictReader(path.read_text(encoding="utf-8-sig").splitlines()):
        if kind == "units":
            inputs.units.append(row["单位代码"])
        elif kind == "roll":
            roll = Roll(date.fromisoformat(row["统计日期"]), int(row["离退休干部人数"]))
            inputs.rolls.setdefault(row["单位代码"], []).append(roll)
        elif kind == "organisations":
            if row["类型"] == "驿站":
                since = date.fromisoformat(row["成立日期"])
                inputs.stations.append(Station(row["组织编号"], row["单位代码"], since))
        elif kind == "volunteers":
            inputs.volunteers[row["志愿者编号"]] = _volunteer(row, sent_at)
        elif kind == "activities":
            inputs.sessions[row["场次编号"]] = _session(row, sent_at)
        else:
            raise ValueError(f"{path.name}: a list of unknown kind {kind}")


def _volunteer(row: dict[str, str], sent_at: datetime) -> Volunteer:
    return Volunteer(
        number=row["志愿者编号"],
        home_unit=row["区域"],
        retired_cadre=row["离退休干部"] == "是",
        registered_on=date.fromisoformat(row["注册日期"]),
        sent_at=sent_at,
    )


def _session(row: dict[str, str], sent_at: datetime) -> Session:
    return Session(
        number=row["场次编号"],
        starts_at=datetime.fromisoformat(row["开始时间"]),
        ends_at=datetime.fromisoformat(row["结束时间"]),
        unit_served=row["服务单位"],
        organiser=row["组织编号"],
        station=row["驿站编号"] or None,
        key_field=row["重点领域"] or None,
        capacity=int(row["人数上限"]),
        published=row["状态"] == "已发布",
        sent_at=sent_at,
    )
