"""Lets people come to sessions through every door, and go again."""

import asyncio
import json
import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from tests.support.chaos.asking import Answer
from tests.support.chaos.commands import ASK_AGAIN_MAX, ASK_AGAIN_S, Commands, NeverKnownError
from tests.support.chaos.town import STATIONS, Place, kiosk_batch, local, roster_batch, times
from tests.support.simulation.asking import LAGGING
from tests.support.simulation.city_model import GRADES

GROUP_PEOPLE: Final = (3, 10)
"""Who come together in one batch."""
SIGN_UP: Final = 0.5
NEVER_LEFT: Final = 0.15
"""The share of people who are not checked out; where they time out it is half."""
TWICE: Final = 0.3
"""The share of batches that are sent twice at a time, and of sendings that are an old batch once more."""
BATCH_ROWS_MAX: Final = 500
LEADER: Final = "leader-1"


@dataclass(frozen=True, slots=True)
class Visit:
    """What one client sets out to do: by which door who comes to which session, with randomness of its own."""

    door: "Door"
    place: Place
    people: Sequence[str]
    rng: random.Random


Encode = Callable[[Sequence[Any], int], bytes]
Door = Callable[[Visit], Awaitable[None]]


class Visits:
    """All who come and go in a run."""

    def __init__(self, commands: Commands, now: Callable[[], datetime]) -> None:
        self._commands = commands
        self._record = commands.record
        self._now = now
        self._slips: dict[str, int] = {}

    def plan(self, place: Place, guests: Sequence[str], rng: random.Random) -> list[Visit]:
        """Divides a session's guests among the doors."""
        visits = []
        while guests:
            door = rng.choice(self._doors(place))
            size = 1 if door in {self.live, self.back_office} else rng.randint(*GROUP_PEOPLE)
            visits.append(Visit(door, place, guests[:size], random.Random(rng.getrandbits(64))))
            guests = guests[size:]
        return visits

    def _doors(self, place: Place) -> Sequence[Door]:
        if place.purpose == "now":
            return (self.live, self.live, self.live, self.live, self.kiosk)
        if place.purpose == "night":  # both ends come in one command: half of it might time out meanwhile
            return (self.roster, self.back_office)
        return (self.live, self.kiosk, self.kiosk, self.roster, self.back_office)

    # one by one

    async def live(self, visit: Visit) -> None:
        """Somebody signs up or walks in, is checked in, and mostly checked out."""
        rng, place, (number,) = visit.rng, visit.place, visit.people
        runs = place.purpose == "now"
        if runs and rng.random() < SIGN_UP and not self._holds_a_place(number):
            await self._sign_up(place, number)
        came, left = times(place, self._now(), rng)
        comes_now, leaves_now = runs and rng.random() < 0.3, runs and rng.random() < 0.3
        if not await self._end(visit, "check-in", None if comes_now else came):
            return
        if rng.random() > (0.5 if place.purpose == "old" else NEVER_LEFT):
            await self._end(visit, "check-out", None if comes_now or leaves_now else left)

    def _holds_a_place(self, number: str) -> bool:
        """All sessions that run now overlap: nobody can hold places in two of them."""
        return any(number in held for held in self._record.model.sign_ups.values())

    async def _sign_up(self, place: Place, number: str) -> None:
        body = {"volunteer_id": await self._commands.id_of(number)}
        path = f"/activities/v1/sessions/{place.session}/sign-ups"
        ask = self._commands.asking.command
        if await self._commands.until_known("sign up", lambda key: ask(path, body, key=key)) is not None:
            self._record.model.signed_up(number, place.session)

    async def _end(self, visit: Visit, kind: str, at: datetime | None) -> bool:
        """Checks somebody in or out, at a time or now; whether that was accepted."""
        place, (number,) = visit.place, visit.people
        methods = ["personal_card", "one_time_code", "leader_list", "self_report"]
        method = visit.rng.choice([*methods, "station_code"] if at is None else methods)
        slip = self._slip(place.session) if method == "one_time_code" else 0
        path = f"/activities/v1/sessions/{place.session}/{kind}s"
        who = {"volunteer_id": await self._commands.id_of(number), "at": None if at is None else local(at)}
        sent: dict[str, Any] = {}

        async def ask(key: str) -> Answer:
            if key not in sent:
                sent[key] = {**who, "proof": await self._proof(place, number, method, slip)}
            return await self._commands.asking.command(path, sent[key], key=key, subject=LEADER)

        answer = await self._commands.until_known(kind, ask)
        if answer is None:
            return False
        shown = datetime.fromisoformat(answer.json[kind.replace("-", "_")]["at"])
        if at is not None and shown != at:
            self._record.wrong.append(f"answer: {kind} at {shown}, was sent as {at}")
        take = self._record.model.came if kind == "check-in" else self._record.model.left
        take(number, place.session, shown, GRADES[method])
        return True

    async def _proof(self, place: Place, number: str, method: str, slip: int) -> dict[str, str]:
        """What the client shows; codes are read where they are displayed or printed."""
        match method:
            case "personal_card":
                return {"method": method, "card": number}
            case "one_time_code":
                return {"method": method, "code": await self._code(place.session, slip)}
            case "station_code":
                shown = await self._commands.asking.read(f"/activities/v1/stations/{STATIONS[place.unit]}/code")
                return {"method": method, "code": shown["code"]}
            case _:
                return {"method": method}

    def _slip(self, session: str) -> int:
        self._slips[session] = self._slips.get(session, 0) + 1
        return self._slips[session]

    async def _code(self, session: str, slip: int) -> str:
        path = f"/activities/v1/sessions/{session}/one-time-codes"
        code: str = (await self._commands.asking.read(path, first=slip, count=1))["codes"][0]
        return code

    async def back_office(self, visit: Visit) -> None:
        """One clerk proposes what no door recorded, another approves."""
        place, (number,) = visit.place, visit.people
        came, left = times(place, self._now(), visit.rng)
        body = {"volunteer_id": await self._commands.id_of(number), "from": local(came), "to": local(left)}
        path = f"/activities/v1/sessions/{place.session}/back-office-attendances"
        ask = self._commands.asking.command
        proposed = await self._commands.until_known(
            "propose", lambda key: ask(path, body, key=key, role="clerk", subject="clerk-1")
        )
        if proposed is None:
            return
        approval = f"/activities/v1/back-office-attendances/{proposed.json['proposal_id']}/approval"
        approved = await self._commands.until_known(
            "approve", lambda key: ask(approval, {}, key=key, role="second_clerk", subject="clerk-2")
        )
        if approved is not None:
            self._record.model.came(number, place.session, came, 0)
            self._record.model.left(number, place.session, left, 0)

    # batches

    async def kiosk(self, visit: Visit) -> None:
        """What a kiosk has stored: both ends at once, or those who left in a second batch; some never left."""
        place, rng = visit.place, visit.rng
        ends = [(number, *times(place, self._now(), rng)) for number in visit.people]
        gone = 0.5 if place.purpose == "old" else 1 - NEVER_LEFT
        ins = [(place.session, number, "check_in", came) for number, came, _ in ends]
        outs = [(place.session, number, "check_out", left) for number, _, left in ends if rng.random() < gone]
        for rows in [[*ins, *outs]] if rng.random() < 0.5 else [ins, outs]:
            await self._batch(rows, rng, kiosk_batch)

    async def roster(self, visit: Visit) -> None:
        """A leader's paper: with a slip beside each name, or without any."""
        place, rng = visit.place, visit.rng
        has_slips = rng.random() < 0.5
        rows = []
        for number in visit.people:
            came, left = times(place, self._now(), rng)
            code = await self._code(place.session, self._slip(place.session)) if has_slips else None
            rows.append((place.session, number, came, left, code))
        await self._batch(rows, rng, roster_batch)

    async def _batch(self, rows: Sequence[Any], rng: random.Random, encode: Encode) -> None:
        """Sends a batch, perhaps twice at a time, perhaps an old one beside; rows that were early go in another one."""
        for attempt in range(ASK_AGAIN_MAX):
            if not rows:
                return
            # Numbered otherwise, or it would be the same bytes again and have the same receipt for ever.
            first = 1 + attempt * BATCH_ROWS_MAX
            raw = encode(rows, first)
            sent = [raw, *([raw] if rng.random() < TWICE else ())]
            if self._record.batches and rng.random() < TWICE:
                sent.append(rng.choice(list(self._record.batches)))
            refused = (await asyncio.gather(*(self._send(each) for each in sent)))[0]
            rows = [row for number, row in enumerate(rows, start=first) if refused.get(number) in LAGGING]
            await asyncio.sleep(ASK_AGAIN_S if rows else 0)
        raise NeverKnownError("rows of a batch")

    async def _send(self, raw: bytes) -> dict[int, str]:
        """Sends a batch once more; the codes of the refused rows by their number."""
        answer = await self._commands.asking.command("/activities/v1/batches", raw, key="", subject=LEADER)
        if not answer.is_accepted:
            self._record.wrong.append(f"answer: {answer.status} {answer.code} to a batch")
            return {}
        receipt = answer.json
        refused = {row["row"]: row["code"] for row in receipt["refused"]}
        if self._record.receipt(raw, receipt):
            if surprising := set(refused.values()) - LAGGING:
                self._record.wrong.append(f"answer: {surprising} to rows of a batch")
            taken = [row for row in json.loads(raw)["rows"] if row["row"] not in refused]
            if receipt["accepted"] != len(taken):
                self._record.wrong.append(f"receipt: {receipt['accepted']} of {len(taken)} rows accepted")
            for row in taken:
                self._took(row)
        return refused

    def _took(self, row: dict[str, Any]) -> None:
        self._record.accepted[f"row {row['action']}"] += 1
        number, session, model = row["number"], row["session_id"], self._record.model
        grade = GRADES["leader_list" if row["proof"] is None else row["proof"]["method"]]
        if row["action"] in {"check_in", "attended"}:
            model.came(number, session, datetime.fromisoformat(row.get("from") or row["at"]), grade)
        if row["action"] in {"check_out", "attended"}:
            model.left(number, session, datetime.fromisoformat(row.get("to") or row["at"]), grade)
