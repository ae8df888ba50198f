"""Builds registry's world for tests: an app in memory, people who are nobody, files as clerks send them."""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import Any

from fastapi import FastAPI

from services.contracts.codec import decode
from services.contracts.ids import OrganisationId, UnitCode, VolunteerNumber
from services.eventing.outbox import OUTBOX
from services.registry import wiring
from services.registry.imports.rules import ORGANISATIONS, ROLL, UNITS, VOLUNTEERS
from services.registry.personal.rules import Personal, check_character
from services.registry.volunteers.rules import Profile
from services.runtime.http import ServiceApp
from tests.support.asgi import Answer, Documented, _documented, call
from tests.support.memory_store import MemoryStore
from tests.support.ports import SetClock, make_ports
from tests.support.tokens import bearer, command_headers, http_settings
from tests.support.vaults import MemoryVault

TODAY = date(2026, 7, 1)
WRITE = ("registry.write",)
READ = ("registry.read",)
COLUMNS: Mapping[str, Mapping[str, str]] = {
    "units": UNITS.columns,
    "roll": ROLL.columns,
    "organisations": ORGANISATIONS.columns,
    "volunteers": VOLUNTEERS.columns,
}
UNIT_ROWS = (
    ("340800", "own", "市直", "", "2020-01-01"),
    ("340802", "gbt2260", "迎江区", "340800", "2020-01-01"),
    ("340803", "gbt2260", "大观区", "340800", "2020-01-01"),
)
ORGANISATION_ROWS = (
    ("ST-340802-01", "驿站", "迎江驿站", "340802", "", "2021-04-01"),
    ("TM-340802-001", "团队", "迎江一队", "340802", "ST-340802-01", "2023-11-01"),
    ("TM-340803-001", "团队", "大观一队", "340803", "", "2023-11-01"),
)


def id_number(born: date = date(1956, 3, 2), serial: int = 1, region: str = "349901") -> str:
    """A valid citizen id number of nobody; an odd serial (0 to 999) is a man's."""
    body = f"{region}{born:%Y%m%d}{serial:03d}"
    return body + check_character(body)


def a_person(
    *, born: date = date(1956, 3, 2), serial: int = 1, sex: Any = None, number: str | None = None, **said: Any
) -> Personal:
    """A person whose data are valid unless said otherwise."""
    usual: dict[str, Any] = {
        "name": "甄银龄",
        "id_type": "resident_id",
        "id_number": number if number is not None else id_number(born, serial),
        "sex": sex if sex is not None else ("1" if serial % 2 else "2"),
        "birth_date": born,
        "political_status": "01",
        "ethnic_group": "01",
        "mobile": "15401000012",
        "address": "迎江区晚晴路7号",
    }
    return Personal(**(usual | said))


def a_profile(number: str = "340802000001", *, personal: Personal | None = None, **said: Any) -> Profile:
    """A volunteer's profile, valid unless said otherwise."""
    usual: dict[str, Any] = {
        "number": VolunteerNumber(number),
        "home_unit": UnitCode("340802"),
        "retired_cadre": True,
        "channel": "unit_recommendation",
        "registered_on": date(2024, 3, 5),
        "teams": (OrganisationId("TM-340802-001"),),
        "personal": personal or a_person(),
    }
    return Profile(**(usual | said))


def volunteer_row(index: int = 1, **said: str) -> dict[str, str]:
    """A line of the list of volunteers, by field; each index is another person."""
    born = date(1956, 3, 2)
    usual = {
        "number": f"340802{index:06d}",
        "name": "甄银龄",
        "id_type": "居民身份证",
        "id_number": id_number(born, 2 * index % 1000 + 1, region=f"3499{index // 500:02d}"),
        "sex": "1",
        "birth_date": born.isoformat(),
        "political_status": "01",
        "ethnic_group": "01",
        "mobile": f"15401{index:06d}",
        "home_unit": "340802",
        "address": "迎江区晚晴路7号",
        "registered_on": "2024-03-05",
        "channel": "unit_recommendation",
        "retired_cadre": "是",
        "teams": "TM-340802-001",
    }
    return usual | said


def volunteer_body(index: int = 1, **said: Any) -> dict[str, Any]:
    """The body that registers the volunteer of ``volunteer_row``; ``personal`` is put over the person's data."""
    row = volunteer_row(index)
    person = {
        field: row[field]
        for field in ("name", "id_number", "sex", "birth_date", "political_status", "ethnic_group", "mobile", "address")
    }
    usual = {
        "number": row["number"],
        "home_unit": row["home_unit"],
        "retired_cadre": True,
        "channel": row["channel"],
        "registered_on": row["registered_on"],
        "teams": row["teams"].split(";"),
    }
    return usual | {**said, "personal": person | said.get("personal", {})}


def sheet(kind: str, rows: Iterable[Mapping[str, str] | Sequence[str]], *, columns: Sequence[str] = ()) -> bytes:
    """A CSV file of a list; rows by field or in the order of the columns; ``columns`` are fields in another order."""
    names = COLUMNS[kind]
    fields = list(columns or names)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([names[field] for field in fields])
    for row in rows:
        cells = row if isinstance(row, Mapping) else dict(zip(names, row, strict=True))
        writer.writerow([cells[field] for field in fields])
    return text.getvalue().encode()


_DOCUMENTED: list[Documented] = []
"""What the apps document, read once: that takes longer than most tests."""


class RegistryWorld:
    """Registry's API over a store and a vault in memory."""

    def __init__(self, store: MemoryStore | None = None, vault: MemoryVault | None = None) -> None:
        self.store = store or MemoryStore()
        self.vault = vault or MemoryVault()
        self.clock = SetClock()
        self.app: FastAPI = wiring.build_api(
            make_ports(self.store, clock=self.clock), http_settings(), vault=self.vault
        )
        if not _DOCUMENTED:
            assert isinstance(self.app, ServiceApp)
            _DOCUMENTED.append(_documented(self.app))
        self.app.state.documented_answers = _DOCUMENTED[0]
        self.sent = 0

    async def prepare(self, *, places: bool = True) -> "RegistryWorld":
        """Creates collections and indexes, and a few units and organisations."""
        await self.store.prepare(wiring.SERVICE.all_collections(), wiring.SERVICE.all_indexes())
        if places:
            await self.send("units", sheet("units", UNIT_ROWS))
            await self.send("organisations", sheet("organisations", ORGANISATION_ROWS))
        return self

    async def send(
        self, kind: str, body: bytes, *, key: str | None = None, area: str = "3408", dry_run: bool = False
    ) -> Answer:
        """Imports a file; a new key unless one is given."""
        headers = {**command_headers(WRITE, key or self._key(), area=area), "Content-Type": "text/csv"}
        return await call(
            self.app, "POST", f"/v1/imports/{kind}{'?dry_run=true' if dry_run else ''}", headers=headers, body=body
        )

    async def command(
        self,
        method: str,
        path: str,
        body: Any,
        *,
        key: str | None = None,
        area: str = "3408",
        if_match: str | None = None,
        scopes: Sequence[str] = WRITE,
    ) -> Answer:
        """One command; a new key unless one is given."""
        headers = command_headers(scopes, key or self._key(), area=area)
        if if_match is not None:
            headers["If-Match"] = f'"{if_match}"'
        return await call(self.app, method, path, headers=headers, body=body)

    async def get(self, path: str, *, area: str = "3408", scopes: Sequence[str] = READ) -> Answer:
        """One read."""
        return await call(self.app, "GET", path, headers=bearer(*scopes, area=area))

    async def register(self, index: int = 1, **said: Any) -> str:
        """Registers a volunteer and returns the id."""
        answer = await self.command("POST", "/v1/volunteers", volunteer_body(index, **said))
        assert answer.status == 201, answer.body
        volunteer: str = answer.json["volunteer_id"]
        return volunteer

    def announced(self) -> list[Any]:
        """The data of every event so far, in order."""
        rows = self.store.documents(OUTBOX).values()
        return [decode(event["type"], event["value"]).data for row in rows for event in row["events"]]

    def _key(self) -> str:
        self.sent += 1
        return f"key-{self.sent}"
