"""Carries out what the city's clients want: asks, asks again, and tells the model what was acknowledged."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import Any, Final

from tests.support.asgi import Answer
from tests.support.simulation.asking import (
    ASK_AGAIN_MAX,
    ASK_AGAIN_S,
    LAGGING,
    OK,
    ONCE_MORE,
    PEOPLES_FAULTS,
    Asking,
)
from tests.support.simulation.city import STATIONS, instant
from tests.support.simulation.city_model import GRADES, CityModel
from tests.support.simulation.plan import FAULTS_UNTIL_S, Command
from tests.support.simulation.world import World

ROW_AGAIN: Final = 1_000
FEED_PAGE: Final = 7
FOLLOW_UNTIL_S: Final = FAULTS_UNTIL_S + 3.0
CSV_HEADERS: Final = {
    "units": "单位代码,代码体系,单位名称,上级代码,启用日期",
    "roll": "单位代码,统计日期,离退休干部人数",
    "organisations": "组织编号,类型,名称,单位代码,上级编号,成立日期",
    "volunteers": "志愿者编号,姓名,证件类型,证件号码,性别,出生日期,政治面貌,民族,手机号码,区域,"
    "详细地址,注册日期,招募渠道,离退休干部,团队编号",
    "activities": "活动编号,场次编号,活动名称,组织编号,服务单位,驿站编号,品牌编号,服务类别,重点领域,"
    "开始时间,结束时间,人数上限,状态",
}


class CityClients(Asking):
    """All clients of one world."""

    def __init__(self, world: World, model: CityModel) -> None:
        super().__init__(world)
        self._model = model
        self.known_ids: dict[str, str] = {}
        """Volunteers' ids by number, as far as a client has asked for them."""
        self._kinds: Mapping[str, Callable[[Command], Awaitable[None]]] = {
            "import": self._import,
            "import_activities": self._import_activities,
            "sign_up": self._sign_up,
            "check_in": self._check_in,
            "check_out": self._check_out,
            "kiosk": self._kiosk,
            "roster": self._roster,
            "back_office": self._back_office,
            "change_state": self._change_state,
            "register": self._register,
            "plan": self._plan,
            "follow": self._follow,
        }
        self._sessions: dict[str, str] = {}
        """Ids of sessions that were planned one by one, by the plan's own names."""
        self.followed: dict[str, list[str]] = {}
        """Event ids by service, as an integrator read them while the faults happened."""

    async def carry_out(self, command: Command) -> None:
        """Does what one client wants, however often that takes."""
        await self._kinds[command.kind](command)

    async def id_of(self, person: str) -> str:
        """A volunteer's id by the number on the card."""
        while person not in self.known_ids:
            page = await self.get("registry", f"/v1/volunteers?number={person}")
            for row in page["items"]:
                self.known_ids[person] = row["volunteer_id"]
            if person not in self.known_ids:
                await asyncio.sleep(ASK_AGAIN_S)
        return self.known_ids[person]

    # lists

    async def _import(self, command: Command) -> None:
        await self._take_list(command, "registry", command.body["list"])

    async def _import_activities(self, command: Command) -> None:
        await self._take_list(command, "activities", "activities")

    async def _take_list(self, command: Command, service: str, name: str) -> None:
        rows: list[list[str]] = command.body["rows"]
        for number in range(ASK_AGAIN_MAX):
            text = "\n".join([CSV_HEADERS[name], *(",".join(row) for row in rows)]) + "\n"
            path, key = f"/v1/imports/{name}", f"{command.id}.{number}"

            async def send(path: str = path, key: str = key, text: str = text) -> Answer:
                return await self.ask(service, "POST", path, key=key, body=text.encode(), content_type="text/csv")

            answer = await send()
            await self._asked_again(answer, send)
            if answer.status not in OK:
                self._world.fail("answer", f"{answer.status} to {name}: {answer.body!r}")
                return
            errors = answer.json["errors"]
            wrong = {error["row"] - 2 for error in errors}
            if surprising := {error["code"] for error in errors} - LAGGING:
                self._world.fail("answer", f"{surprising} to {name}")
            self._model.took_list(name, [row for place, row in enumerate(rows) if place not in wrong])
            rows = [rows[place] for place in sorted(wrong)]
            if not rows:
                return
            await asyncio.sleep(ASK_AGAIN_S)
        self._world.fail("never_known", f"{command.id}: {rows}")

    async def _register(self, command: Command) -> None:
        """One person, by the form that takes what a row of the list takes."""
        row: list[str] = command.body["row"]
        personal = {
            "name": row[1],
            "id_type": "resident_id",
            "id_number": row[3],
            "sex": row[4],
            "birth_date": row[5],
            "political_status": row[6],
            "ethnic_group": row[7],
            "mobile": row[8] or None,
            "address": None,
        }
        body = {
            "number": row[0],
            "home_unit": row[9],
            "registered_on": row[11],
            "channel": "unit_recommendation",
            "retired_cadre": row[13] == "是",
            "teams": [row[14]] if row[14] else [],
            "personal": personal,
        }
        await self._until_accepted(command, "registry", "/v1/volunteers", body)
        self._model.took_list("volunteers", [row])

    async def _plan(self, command: Command) -> None:
        """One activity with one session, planned and published in three steps."""
        row: list[str] = command.body["row"]
        activity = {
            "title": row[2],
            "unit_served": row[4],
            "organiser_id": row[3],
            "service_type": row[7],
            "key_field": row[8] or None,
        }
        session = {"starts_at": row[9], "ends_at": row[10], "station_id": row[5] or None, "capacity": int(row[11])}
        planned = await self._until_accepted(command, "activities", "/v1/activities", activity, "activity")
        path = f"/v1/activities/{planned['activity_id']}"
        added = await self._until_accepted(command, "activities", f"{path}/sessions", session, "session")
        await self._until_accepted(command, "activities", f"{path}/publication", None, "publication")
        self._sessions[row[1]] = added["session_id"]
        self._model.took_list("activities", [[row[0], added["session_id"], *row[2:]]])

    async def _until_accepted(self, command: Command, service: str, path: str, body: Any, step: str = "") -> Any:
        async def attempt(key: str) -> Answer:
            return await self.ask(service, "POST", path, key=f"{step}{key}", body=body)

        answer = await self._until_known(command, attempt)
        if answer.status not in OK:
            self._world.fail("answer", f"{answer.code} to {command}")
        return answer.json

    async def _follow(self, command: Command) -> None:
        """Reads a change feed on and on while the faults happen."""
        service, cursor = command.body["service"], ""
        seen = self.followed.setdefault(service, [])
        while self._world.loop.now < FOLLOW_UNTIL_S:
            page = await self.get(service, f"/v1/changes?limit={FEED_PAGE}" + (f"&after={cursor}" if cursor else ""))
            seen += [change["id"] for change in page["items"]]
            cursor = page["next"]
            if not page["items"]:
                await asyncio.sleep(ASK_AGAIN_S)

    async def _change_state(self, command: Command) -> None:
        path = f"/v1/volunteers/{await self.id_of(command.body['person'])}"

        async def attempt(key: str) -> Answer:
            read = await self._read("registry", path)
            changes, etag = {"state": command.body["state"]}, read.headers["etag"]
            return await self.ask("registry", "PATCH", path, key=key, body=changes, if_match=etag)

        await self._until_known(command, attempt, repeatable=False)

    # single attendances

    def _session(self, body: Mapping[str, Any]) -> str:
        """The id of the session that a command names; what it waited for has made it."""
        name: str = body["session"]
        return self._sessions.get(name, name)

    async def _sign_up(self, command: Command) -> None:
        body = command.body
        session = self._session(body)
        answer = await self._post(command, f"/v1/sessions/{session}/sign-ups", {})
        if answer.status in OK:
            self._model.signed_up(body["person"], session)

    async def _check_in(self, command: Command) -> None:
        answer = await self._end(command, "check-ins")
        if answer.status in OK:
            at, grade = _end_of(answer.json["check_in"])
            self._model.came(command.body["person"], self._session(command.body), at, grade)

    async def _check_out(self, command: Command) -> None:
        answer = await self._end(command, "check-outs")
        if answer.status in OK:
            at, grade = _end_of(answer.json["check_out"])
            self._model.left(command.body["person"], self._session(command.body), at, grade)

    async def _post(self, command: Command, path: str, body: dict[str, Any]) -> Answer:
        volunteer_id = await self.id_of(command.body["person"])

        async def attempt(key: str) -> Answer:
            sent = {"volunteer_id": volunteer_id, **body}
            return await self.ask("activities", "POST", path, key=key, body=sent, subject="leader")

        return await self._until_known(command, attempt)

    async def _end(self, command: Command, door: str) -> Answer:
        body, proof = command.body, command.body["proof"]
        session, volunteer_id = self._session(body), await self.id_of(body["person"])
        path = f"/v1/sessions/{session}/{door}"

        async def attempt(key: str) -> Answer:
            sent = {"volunteer_id": volunteer_id, "at": body["at"], "proof": await self._proof(body)}
            return await self.ask("activities", "POST", path, key=key, body=sent, subject="leader")

        answer = await self._until_known(command, attempt, repeatable=proof["method"] != "station_code")
        if answer.status in OK and proof["method"] == "one_time_code":
            self._model.spent((session, proof["slip"]), body["person"])
        return answer

    async def _proof(self, body: Mapping[str, Any]) -> dict[str, str]:
        """What the client shows; codes are read where they are displayed or printed."""
        proof, session = body["proof"], self._session(body)
        match proof["method"]:
            case "personal_card":
                return {"method": "personal_card", "card": body["person"]}
            case "one_time_code":
                return {"method": "one_time_code", "code": await self._slip(session, proof["slip"])}
            case "station_code":
                station = self._model.inputs.sessions[session].station
                if station is None:
                    return {"method": "leader_list"}
                shown = await self.get("activities", f"/v1/stations/{station}/code", subject=STATIONS["340802"])
                return {"method": "station_code", "code": shown["code"]}
            case method:
                return {"method": method}

    async def _slip(self, session: str, slip: int) -> str:
        codes = await self.get("activities", f"/v1/sessions/{session}/one-time-codes?first={slip}&count=1")
        code: str = codes["codes"][0]
        return code

    # batches

    async def _kiosk(self, command: Command) -> None:
        rows = [
            {
                "row": number,
                "session_id": self._session(row),
                "number": row["person"],
                "action": row["action"],
                "at": row["at"],
                "proof": {"method": row["method"], "card": row["person"]},
            }
            for number, row in enumerate(command.body["rows"], start=1)
        ]
        await self._batch(command, {"kind": "kiosk", "device_id": "KIOSK-1"}, rows)

    async def _roster(self, command: Command) -> None:
        rows = []
        for number, row in enumerate(command.body["rows"], start=1):
            code = None if row["slip"] is None else await self._slip(self._session(row), row["slip"])
            proof = None if code is None else {"method": "one_time_code", "code": code}
            spans = {"from": row["from"], "to": row["to"]}
            person = {"row": number, "session_id": self._session(row), "number": row["person"]}
            rows.append({**person, "action": "attended", **spans, "proof": proof})
        await self._batch(command, {"kind": "roster", "leader_id": "leader"}, rows)

    async def _batch(self, command: Command, head: dict[str, Any], rows: list[dict[str, Any]]) -> None:
        """Sends a batch; the rows that only came too early are sent again, as another batch."""
        for _ in range(ASK_AGAIN_MAX):
            answer = await self._send_batch(command, json.dumps({**head, "rows": rows}).encode())
            if answer.status not in OK:
                self._world.fail("answer", f"{answer.status} to {command}: {answer.body!r}")
                return
            refused = self._refused_rows(command, answer, len(rows))
            for row in rows:
                if row["row"] not in refused:
                    self._took_row(row)
            rows = [{**row, "row": row["row"] + ROW_AGAIN} for row in rows if refused.get(row["row"]) in LAGGING]
            if not rows:
                return
            await asyncio.sleep(ASK_AGAIN_S)
        self._world.fail("never_known", str(command))

    async def _send_batch(self, command: Command, raw: bytes) -> Answer:
        """Sends the bytes, now and then twice at the same time, as two devices that share a file do."""

        async def send() -> Answer:
            return await self.ask("activities", "POST", "/v1/batches", body=raw, subject="leader")

        if self._world.loop.rng.random() < ONCE_MORE:
            answer, other = await asyncio.gather(send(), send())
            if answer.body != other.body:
                self._world.fail("receipt", f"{answer.body!r} and {other.body!r} to {command}")
        else:
            answer = await send()
        await self._asked_again(answer, send)
        return answer

    def _refused_rows(self, command: Command, answer: Answer, rows: int) -> dict[int, str]:
        """The refused rows of a receipt with their codes; there must be no surprise among them."""
        refused = {row["row"]: row["code"] for row in answer.json["refused"]}
        if surprising := set(refused.values()) - LAGGING - PEOPLES_FAULTS:
            self._world.fail("answer", f"{surprising} to {command}")
        if answer.json["accepted"] + len(refused) != rows:
            self._world.fail("receipt", f"{answer.json} to {command}")
        return refused

    def _took_row(self, row: Mapping[str, Any]) -> None:
        person, session = row["number"], row["session_id"]
        method = "leader_list" if row["proof"] is None else row["proof"]["method"]
        if method == "one_time_code":
            self._model.spent((session, int(row["proof"]["code"][:4])), person)
        grade = GRADES[method]
        if row["action"] in {"check_in", "attended"}:
            self._model.came(person, session, instant(row.get("from") or row["at"]), grade)
        if row["action"] in {"check_out", "attended"}:
            self._model.left(person, session, instant(row.get("to") or row["at"]), grade)

    async def _back_office(self, command: Command) -> None:
        body = command.body
        session = self._session(body)
        path = f"/v1/sessions/{session}/back-office-attendances"
        proposed = await self._post(command, path, {"from": body["from"], "to": body["to"]})
        if proposed.status not in OK:
            return
        approval = f"/v1/back-office-attendances/{proposed.json['proposal_id']}/approval"
        clerk = "leader" if body["same_clerk"] else "second-clerk"

        async def attempt(key: str) -> Answer:
            return await self.ask("activities", "POST", approval, key=f"approve-{key}", subject=clerk)

        approved = await self._until_known(command, attempt)
        if approved.status in OK:
            self._model.came(body["person"], session, instant(body["from"]), 0)
            self._model.left(body["person"], session, instant(body["to"]), 0)


def _end_of(end: Mapping[str, Any]) -> tuple[datetime, int]:
    (method,) = end["proofs"]
    return datetime.fromisoformat(end["at"]), GRADES[method]
