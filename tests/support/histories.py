"""Writes small histories by hand, for tests of the oracle and of what is compared with it."""

import csv
import io
import json
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from tests.support.oracle.judgement import Judgement, judge

SENT = "2026-06-30T18:00:00+08:00"
SESSION = "S-1"
STATION = "ST-1"
VOLUNTEER = "V1"
SESSION_COLUMNS = (
    "活动编号,场次编号,活动名称,组织编号,服务单位,驿站编号,品牌编号,服务类别,重点领域,开始时间,结束时间,人数上限,状态"
)

VolunteerRow = tuple[str, str, str, str]
SessionRow = tuple[str, ...]


def at(time: str, day: str = "2026-07-01") -> str:
    """A local wall time as RFC 3339."""
    return f"{day}T{time}:00+08:00" if len(time) == len("09:00") else f"{day}T{time}+08:00"


@dataclass
class History:
    """A hand-made history; everything has a default, so that what a test says matters to it."""

    directory: Path
    units: list[str] = field(default_factory=lambda: ["340802", "340828"])
    rolls: list[tuple[str, str, int]] = field(default_factory=lambda: [("340802", "2025-12-31", 4)])
    stations: list[tuple[str, str, str]] = field(default_factory=lambda: [(STATION, "340802", "2020-01-01")])
    volunteers: list[VolunteerRow] = field(default_factory=list)
    sessions: list[SessionRow] = field(default_factory=list)
    items: list[dict[str, str]] = field(default_factory=list)
    live: list[dict[str, Any]] = field(default_factory=list)
    back_office: list[dict[str, Any]] = field(default_factory=list)

    def volunteer(
        self, number: str = VOLUNTEER, unit: str = "340802", registered: str = "2024-01-01", retired: str = "是"
    ) -> "History":
        self.volunteers.append((number, unit, registered, retired))
        return self

    def session(
        self,
        number: str = SESSION,
        starts: str = at("09:00"),
        ends: str = at("11:00"),
        *,
        unit: str = "340802",
        station: str = STATION,
        key_field: str = "legal_aid",
        places: int = 10,
        state: str = "已发布",
    ) -> "History":
        row = ("A-1", number, "T", "TM-1", unit, station, "", "legal", key_field, starts, ends, str(places), state)
        self.sessions.append(row)
        return self

    def kiosk(self, *rows: dict[str, Any], sent: str = at("21:00"), name: str = "kiosk") -> "History":
        return self.batch({"kind": "kiosk", "device_id": "KD-1"}, rows, sent, name)

    def roster(
        self, *rows: dict[str, Any], sent: str = at("21:00"), name: str = "roster", leader: str = "LD-1"
    ) -> "History":
        return self.batch({"kind": "roster", "leader_id": leader}, rows, sent, name)

    def batch(self, head: dict[str, Any], rows: tuple[dict[str, Any], ...], sent: str, name: str) -> "History":
        body = {**head, "rows": [{"row": number, **row} for number, row in enumerate(rows, 1)]}
        (self.directory / name).write_text(json.dumps(body), encoding="utf-8")
        return self.sent(name, sent)

    def sent(self, name: str, when: str) -> "History":
        self.items.append({"at": when, "kind": "batch", "file": name, "lane": name})
        return self

    def judge(self, as_of: str | None = None) -> Judgement:
        """What the oracle says of it."""
        self.write()
        return judge(self.directory, None if as_of is None else datetime.fromisoformat(as_of))

    def write(self) -> None:
        """Writes the lists and the manifest, once."""
        self._list("units", "单位代码", [(unit,) for unit in self.units])
        self._list("roll", "单位代码,统计日期,离退休干部人数", [(u, day, str(n)) for u, day, n in self.rolls])
        self._list(
            "organisations", "组织编号,类型,单位代码,成立日期", [(n, "驿站", u, since) for n, u, since in self.stations]
        )
        self._list("volunteers", "志愿者编号,区域,注册日期,离退休干部", self.volunteers)
        self._list("activities", SESSION_COLUMNS, self.sessions)
        for name, lines in (("live.jsonl", self.live), ("back_office.jsonl", self.back_office)):
            (self.directory / name).write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
        manifest = {
            "months": ["2026-07"],
            "counts": {"activities": 1},
            "ends_at": at("00:00", "2026-08-01"),
            "items": self.items,
            "live": "live.jsonl",
            "back_office": "back_office.jsonl",
        }
        (self.directory / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")

    def _list(self, kind: str, columns: str, rows: list[Any]) -> None:
        text = io.StringIO()
        csv.writer(text).writerows([columns.split(","), *rows])
        (self.directory / f"{kind}.csv").write_text(text.getvalue(), encoding="utf-8")
        self.items.append({"at": SENT, "kind": kind, "file": f"{kind}.csv", "lane": kind})


def reading(
    action: str, when: str, number: str = VOLUNTEER, session: str = SESSION, card: str | None = ""
) -> dict[str, Any]:
    """A kiosk's row; by default with the volunteer's own card."""
    proof = None if card is None else {"method": "personal_card", "card": card or number}
    return {"session_id": session, "number": number, "action": action, "at": when, "proof": proof}


def line(
    came: str = at("09:00"),
    left: str = at("11:00"),
    number: str = VOLUNTEER,
    session: str = SESSION,
    code: str | None = None,
) -> dict[str, Any]:
    """A roster's row; by default without a code."""
    proof = None if code is None else {"method": "one_time_code", "code": code}
    return {"session_id": session, "number": number, "action": "attended", "from": came, "to": left, "proof": proof}


def command(
    name: str,
    when: str,
    number: str = VOLUNTEER,
    session: str = SESSION,
    *,
    claimed: str | None = None,
    station: str | None = STATION,
    mistyped: bool = False,
) -> dict[str, Any]:
    """A live command; by default with the station's code of the moment."""
    made: dict[str, Any] = {"at": when, "actor": {"role": "volunteer", "number": number}, "command": name}
    made["session_id"] = session
    if name == "sign_up":
        return made
    code = {"method": "station_code", "station_id": station, "mistyped": mistyped}
    return {**made, "claimed_at": claimed, "proof": code if station else {"method": "self_report"}}


def propose(
    when: str, proposal: str = "P", clerk: str = "c1", came: str = at("09:00"), left: str = at("11:00")
) -> dict[str, Any]:
    """A clerk's proposal."""
    return {
        "at": when,
        "actor": {"id": clerk},
        "command": "propose",
        "proposal": proposal,
        "session_id": SESSION,
        "number": VOLUNTEER,
        "from": came,
        "to": left,
    }


def approve(when: str, proposal: str = "P", clerk: str = "c2") -> dict[str, Any]:
    """A clerk's approval."""
    return {"at": when, "actor": {"id": clerk}, "command": "approve", "proposal": proposal}
