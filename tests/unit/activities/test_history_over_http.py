"""A month of two counties, sent to the doors of activities: every row and command answered as the oracle says."""

import csv
import json
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest

from deploy.history.generate import generate, period
from services.contracts.ids import OrganisationId, UnitCode, VolunteerId, VolunteerNumber
from services.contracts.registry import VolunteerRegistered
from services.eventing.times import to_text
from tests.support.activities import World, code_now, organisation_registered, slip, unit_registered
from tests.support.asgi import PROBLEM_JSON, Answer
from tests.support.oracle.doors import SLIP, Doors, Outcome
from tests.support.oracle.inputs import BatchSent, Inputs, LineSent, read

UNITS = ("340802", "340871")
KINDS: dict[str, Any] = {"驿站": "station", "团队": "team", "品牌": "brand", "党支部": "branch", "部门": "department"}
DOORS = {"sign_up": "sign-ups", "check_in": "check-ins", "check_out": "check-outs"}


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> Inputs:
    directory = tmp_path_factory.mktemp("history")
    generate(8, period(date(2026, 9, 1), 1), directory, UNITS)
    return read(directory)


class Sender:
    """Sends a history to activities, and registry's part of it as events; keeps what was answered."""

    def __init__(self, world: World, inputs: Inputs) -> None:
        self.world, self.inputs = world, inputs
        self.outcome = Outcome()
        self._proposals: dict[str, str] = {}

    async def run(self) -> Outcome:
        manifest = json.loads((self.inputs.directory / "manifest.json").read_bytes())
        lists = [(datetime.fromisoformat(item["at"]), item) for item in manifest["items"] if item["kind"] != "batch"]
        sendings = [(sending.at, sending) for sending in self.inputs.sendings]
        for at, what in sorted([*lists, *sendings], key=lambda each: each[0]):
            self.world.clock.at = at
            if isinstance(what, BatchSent):
                await self._batch(what)
            elif isinstance(what, LineSent):
                self.outcome.lines[what.door, what.index] = await self._line(what)
            else:
                await self._list(what["kind"], self.inputs.directory / what["file"])
        return self.outcome

    async def _list(self, kind: str, path: Path) -> None:
        if kind == "activities":
            headers = {"content-type": "text/csv"}
            answer = await self.world.post("/v1/imports/activities", path.read_bytes(), headers=headers)
            assert (answer.json["errors"], answer.json["refused"]) == ([], 0)
            return
        rows = list(csv.DictReader(path.read_text(encoding="utf-8-sig").splitlines()))
        if kind == "units":
            await self.world.tell(*(unit_registered(row["单位代码"]) for row in rows))
        elif kind == "organisations":
            events = [organisation_registered(r["组织编号"], KINDS[r["类型"]], r["单位代码"]) for r in rows]
            await self.world.tell(*events)
        elif kind == "volunteers":
            await self.world.tell(*(self._volunteer(row["志愿者编号"], row["区域"]) for row in rows))

    def _volunteer(self, number: str, home_unit: str) -> VolunteerRegistered:
        return VolunteerRegistered(
            volunteer_id=VolunteerId(f"V-{number}"),
            number=VolunteerNumber(number),
            home_unit=UnitCode(home_unit),
            retired_cadre=True,
            age_band="70_74",
            channel="community",
            registered_on=date(2026, 1, 5),
            state="active",
            teams=(),
        )

    async def _batch(self, sending: BatchSent) -> None:
        body = self.inputs.batch(sending.file)
        for row in body["rows"]:
            if (row["proof"] or {}).get("code", "").startswith(SLIP):
                row["proof"]["code"] = slip(int(row["proof"]["code"].removeprefix(SLIP)), row["session_id"])
        receipt = (await self.world.post("/v1/batches", body)).json
        refused = [(row["row"], row["code"]) for row in receipt["refused"]]
        assert self.outcome.refused.setdefault(sending.file, refused) == refused, "the same bytes, the same receipt"

    async def _line(self, sending: LineSent) -> str | None:
        line, actor = sending.line, sending.line["actor"]
        if sending.door == "live":
            return await self._live(line, f"V-{actor['number']}", sending.at)
        return await self._back_office(line, actor)

    async def _live(self, line: dict[str, Any], volunteer: str, at: datetime) -> str | None:
        body: dict[str, Any] = {"volunteer_id": volunteer}
        if line["command"] != "sign_up":
            body |= {"at": line["claimed_at"], "proof": _proof(line["proof"], at)}
        path = f"/v1/sessions/{line['session_id']}/{DOORS[line['command']]}"
        return _code(await self.world.post(path, body, subject=volunteer, area="340899"))

    async def _back_office(self, line: dict[str, Any], actor: dict[str, Any]) -> str | None:
        if line["command"] == "approve":
            if line["proposal"] not in self._proposals:
                return "not_sent"
            path = f"/v1/back-office-attendances/{self._proposals[line['proposal']]}/approval"
            return _code(await self.world.post(path, subject=actor["id"], area=actor["area"]))
        body = {"volunteer_id": f"V-{line['number']}", "from": line["from"], "to": line["to"]}
        path = f"/v1/sessions/{line['session_id']}/back-office-attendances"
        answer = await self.world.post(path, body, subject=actor["id"], area=actor["area"])
        if answer.status == 201:
            self._proposals[line["proposal"]] = answer.json["proposal_id"]
        return _code(answer)


def _proof(proof: dict[str, Any], at: datetime) -> dict[str, str]:
    if proof["method"] != "station_code":
        return {"method": proof["method"]}
    code = code_now(at, OrganisationId(proof["station_id"]))
    return {"method": "station_code", "code": f"{(int(code) + 1) % 1_000_000:06d}" if proof["mistyped"] else code}


def _code(answer: Answer) -> str | None:
    return answer.code if answer.headers["content-type"] == PROBLEM_JSON else None


async def test_every_row_and_command_is_answered_as_the_oracle_says(history: Inputs) -> None:
    expected = Doors(history).run()
    world = World()
    await world.prepare()
    answered = await Sender(world, history).run()
    assert answered.refused == expected.refused
    assert answered.lines == expected.lines
    mess = {code for rows in expected.refused.values() for _, code in rows} | set(expected.lines.values())
    assert len(mess) >= 6, mess
    stored = world.store.documents("attendances").values()
    came = {
        (each["session_id"], each["volunteer_id"]): (each["check_in"]["at"], (each["check_out"] or {}).get("at"))
        for each in stored
    }
    assert came == {
        (session, f"V-{number}"): (to_text(each.came_at), None if each.left_at is None else to_text(each.left_at))
        for (session, number), each in expected.attendances.items()
    }
    places = {(each["session_id"], each["volunteer_id"]) for each in world.store.documents("sign_ups").values()}
    assert places == {(session, f"V-{number}") for session, number in expected.sign_ups}
