"""Loads a generated history through the public doors, under the simulated clock that it advances."""

import asyncio
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final, NamedTuple, assert_never

import httpx

from deploy.history.catch_up import CatchUp
from deploy.history.gateway_client import Gateway, LoadFailed, code_of, describe, key_of
from deploy.history.sendings import LISTS, REGISTRY_LISTS, History, Sending
from services.runtime.clock import DevelopmentClock

CONCURRENT_MAX: Final = 8
LISTS_CONCURRENT_MAX: Final = 2
"""A list is hundreds of rows in one transaction."""
BARRIER_DAYS: Final = 14
TIME_OUT: Final = timedelta(hours=24)
MARGIN: Final = timedelta(hours=1)
REGISTRY_TOPICS: Final = ("registry.volunteers", "registry.organisations")
CHANGES_A_PAGE: Final = 200
CODES_A_PAGE: Final = 500
STATION_CODES: Final = 1_000_000
SLIP: Final = "slip "
"""In a list, ``slip 12`` stands for the code on the session's twelfth slip."""
NOT_SENT: Final = "not_sent"
SENT_BEFORE: Final = "sent_before"
"""An earlier load has sent this command, when a station showed another code; what it was answered is not known."""

Stage = str
Told = Callable[[Stage, int], None]
"""Hears of progress: so many more sendings of a stage are done."""

STAGES: Final[dict[str, Stage]] = {
    **dict.fromkeys(LISTS, "lists"),
    "batch": "batches",
    "live": "live commands",
    "back_office": "back office",
}
WAITING: Final = "waiting at barriers"
CATCHING_UP: Final = "catching up at the end"


@dataclass(slots=True)
class Loaded:
    """What the platform answered, and how long it took.

    ``refused``: by batch file, the refused rows as (row, code). ``lines``: by door and place in its file, the code of
    the refusal or ``None``. ``seconds``: wall time by stage.
    """

    as_of: str = ""
    refused: dict[str, list[tuple[int, str]]] = field(default_factory=dict)
    accepted: dict[str, int] = field(default_factory=dict)
    """By door: rows of lists and batches, and lines, that were taken."""
    attendances: int = 0
    """Check-ins that were taken, whatever the door."""
    lines: dict[str, dict[int, str | None]] = field(default_factory=lambda: {"live": {}, "back_office": {}})
    seconds: dict[Stage, float] = field(default_factory=dict)
    requests: int = 0
    retries: int = 0
    parked: int = 0

    def write(self, path: Path) -> None:
        """Keeps the answers for a later comparison."""
        path.write_text(json.dumps(asdict(self), ensure_ascii=False), encoding="utf-8")

    @classmethod
    def read(cls, path: Path) -> "Loaded":
        """The answers of an earlier load."""
        body = json.loads(path.read_text(encoding="utf-8"))
        body["refused"] = {file: [(row, code) for row, code in rows] for file, rows in body["refused"].items()}
        body["lines"] = {
            door: {int(index): code for index, code in lines.items()} for door, lines in body["lines"].items()
        }
        return cls(**body)


class Person(NamedTuple):
    """A volunteer as the change feed tells of one."""

    volunteer_id: str
    home_unit: str


class Loader:
    """One load of one history."""

    def __init__(
        self, history: History, gateway: Gateway, catch_up: CatchUp, clock: DevelopmentClock, told: Told
    ) -> None:
        self._history = history
        self._gateway = gateway
        self._catch_up = catch_up
        self._clock = clock
        self._told = told
        self._places = asyncio.Semaphore(CONCURRENT_MAX)
        self._list_places = asyncio.Semaphore(LISTS_CONCURRENT_MAX)
        self._people = People(gateway)
        self._codes = Codes(gateway)
        self._proposals: dict[str, str] = {}
        self._registered = 0
        self._awaited = 0
        self.loaded = Loaded()

    async def run(self) -> Loaded:
        """Sends everything in order of business time, then lets the last time-outs pass. Raises ``LoadFailed``."""
        barrier_at = self._clock.now()
        for at, wave in self._history.waves():
            if at - barrier_at >= timedelta(days=BARRIER_DAYS):
                with self._timed(WAITING):
                    await self._catch_up.barrier()
                barrier_at = at
            await self._wave(at, wave)
        await self._pass_last_time_outs()
        self.loaded.requests, self.loaded.retries = self._gateway.traffic.requests, self._gateway.traffic.retries
        return self.loaded

    async def _wave(self, at: datetime, wave: Sequence[Sending]) -> None:
        if self._registered > self._awaited and any(sending.door not in REGISTRY_LISTS for sending in wave):
            with self._timed(WAITING):
                await self._catch_up.taken("activities", REGISTRY_TOPICS, self._registered)
            self._awaited = self._registered
        self._advance(at)
        lanes: dict[str, list[Sending]] = {}
        for sending in wave:
            lanes.setdefault(sending.lane, []).append(sending)
        with self._timed(STAGES[wave[0].door]):
            try:
                async with asyncio.TaskGroup() as group:
                    for lane in lanes.values():
                        group.create_task(self._lane(lane))
            except ExceptionGroup as several:
                raise several.exceptions[0] from several

    async def _lane(self, lane: Sequence[Sending]) -> None:
        for sending in lane:
            async with self._list_places if sending.door in LISTS else self._places:
                await self._send(sending)
            self._told(STAGES[sending.door], 1)

    def _advance(self, at: datetime) -> None:
        """Sets the clock, which a load that is run again finds ahead already."""
        if at > self._clock.now():
            self._clock.advance(at)

    async def _pass_last_time_outs(self) -> None:
        last = max([self._history.ends_at, *(sending.at for sending in self._history.sendings)])
        # A night watch that begins on the last day ends on the next.
        self._advance(last + TIME_OUT + TIME_OUT + MARGIN)
        self.loaded.as_of = self._clock.now().isoformat()
        with self._timed(CATCHING_UP):
            self.loaded.parked = (await self._catch_up.settled()).parked

    @contextmanager
    def _timed(self, stage: Stage) -> Iterator[None]:
        clock = asyncio.get_running_loop().time
        began = clock()
        try:
            yield
        finally:
            self.loaded.seconds[stage] = self.loaded.seconds.get(stage, 0.0) + clock() - began

    # One sending

    async def _send(self, sending: Sending) -> None:
        match sending.door:
            case "units" | "roll" | "organisations" | "volunteers" | "activities":
                await self._send_list(sending)
            case "batch":
                await self._send_batch(sending)
            case "live":
                self._answered(sending, await self._send_live(sending))
            case "back_office":
                self._answered(sending, await self._send_back_office(sending))
            case _:
                assert_never(sending.door)

    async def _send_list(self, sending: Sending) -> None:
        service = "activities" if sending.door == "activities" else "registry"
        content = self._history.bytes_of(sending)
        key = key_of(sending.door, sending.name, content)
        path = f"/{service}/v1/imports/{sending.door}"
        response = await self._gateway.post(path, key=key, content=content, content_type="text/csv")
        if code_of(response) is not None:
            raise LoadFailed(f"{sending.name}: {describe(response)}")
        answer = response.json()
        if answer["errors"]:
            first = answer["errors"][0]
            raise LoadFailed(f"{sending.name}: row {first['row']}, {first['column']}: {first['code']}")
        self._count(sending, answer["accepted"])
        if service == "registry":
            self._registered += answer["accepted"]

    async def _send_batch(self, sending: Sending) -> None:
        content = self._history.bytes_of(sending)
        if SLIP.encode() in content:
            content = await self._codes.filled_in(content)
        response = await self._gateway.post("/activities/v1/batches", content=content)
        if code_of(response) is not None:
            raise LoadFailed(f"{sending.name}: {describe(response)}")
        receipt = response.json()
        refused = [(row["row"], row["code"]) for row in receipt["refused"]]
        if sending.name in self.loaded.refused:
            if self.loaded.refused[sending.name] != refused:
                raise LoadFailed(f"{sending.name}: sent again, it got another receipt")
            return
        self.loaded.refused[sending.name] = refused
        self._count(sending, receipt["accepted"])
        numbers = {row for row, _ in refused}
        rows = json.loads(content)["rows"]
        self.loaded.attendances += sum(row["action"] != "check_out" and row["row"] not in numbers for row in rows)

    def _count(self, sending: Sending, rows: int) -> None:
        self.loaded.accepted[sending.door] = self.loaded.accepted.get(sending.door, 0) + rows

    def _answered(self, sending: Sending, code: str | None) -> None:
        self.loaded.lines[sending.door][sending.index] = code
        if code is None:
            self._count(sending, 1)
            self.loaded.attendances += _line_of(sending)["command"] in {"check_in", "approve"}

    async def _send_live(self, sending: Sending) -> str | None:
        line = _line_of(sending)
        person = await self._people.of(line["actor"]["number"])
        body: dict[str, Any] = {"volunteer_id": person.volunteer_id}
        door = {"sign_up": "sign-ups", "check_in": "check-ins", "check_out": "check-outs"}[line["command"]]
        if line["command"] != "sign_up":
            body["at"] = line["claimed_at"]
            body["proof"] = await self._proof(line["proof"], sending.at)
        token = self._gateway.tokens.of("volunteer", person.home_unit, person.volunteer_id)
        path = f"/activities/v1/sessions/{line['session_id']}/{door}"
        return _live_code(await self._post_line(sending, path, token, body))

    async def _proof(self, proof: dict[str, Any], at: datetime) -> dict[str, str]:
        if proof["method"] != "station_code":
            return {"method": proof["method"]}
        code = await self._codes.of_station(proof["station_id"], at)
        if proof["mistyped"]:
            code = f"{(int(code) + 1) % STATION_CODES:06d}"
        return {"method": "station_code", "code": code}

    async def _send_back_office(self, sending: Sending) -> str | None:
        line = _line_of(sending)
        actor = line["actor"]
        token = self._gateway.tokens.of(actor["role"], actor["area"], actor["id"])
        if line["command"] == "approve":
            if line["proposal"] not in self._proposals:
                return NOT_SENT
            proposal_id = self._proposals[line["proposal"]]
            path = f"/activities/v1/back-office-attendances/{proposal_id}/approval"
            return code_of(await self._post_line(sending, path, token, None))
        person = await self._people.of(line["number"])
        body = {"volunteer_id": person.volunteer_id, "from": line["from"], "to": line["to"], "reason": "paper_lost"}
        path = f"/activities/v1/sessions/{line['session_id']}/back-office-attendances"
        response = await self._post_line(sending, path, token, body)
        code = code_of(response)
        if code is None:
            self._proposals[line["proposal"]] = response.json()["proposal_id"]
        return code

    async def _post_line(self, sending: Sending, path: str, token: str, body: dict[str, Any] | None) -> httpx.Response:
        content = b"" if body is None else json.dumps(body).encode()
        key = key_of(sending.door, str(sending.index), json.dumps(_line_of(sending), sort_keys=True))
        return await self._gateway.post(path, token=token, key=key, content=content)


def _live_code(response: httpx.Response) -> str | None:
    code = code_of(response)
    return SENT_BEFORE if code == "idempotency_key_reused" else code


def _line_of(sending: Sending) -> dict[str, Any]:
    assert sending.line is not None
    return sending.line


class People:
    """Knows volunteers by their numbers: reads on in registry's change feed whenever one is new."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._known: dict[str, Person] = {}
        self._cursor: str | None = None
        self._reading = asyncio.Lock()

    async def of(self, number: str) -> Person:
        """The volunteer with this number. Raises ``LoadFailed`` if registry has told of none."""
        if number not in self._known:
            async with self._reading:
                while number not in self._known:
                    if not await self._read_on():
                        raise LoadFailed(f"registry has told of no volunteer {number}")
        return self._known[number]

    async def _read_on(self) -> bool:
        query: dict[str, str | int] = {"limit": CHANGES_A_PAGE} | ({"after": self._cursor} if self._cursor else {})
        page = await self._gateway.get("/registry/v1/changes", **query)
        for event in page["items"]:
            if event["type"].startswith("registry.volunteer."):
                data = event["data"]
                self._known[data["number"]] = Person(data["volunteer_id"], data["home_unit"])
        self._cursor = page["next"]
        return bool(page["items"])


class Codes:
    """Has the codes that people read: on a station's display, on a session's printed slips."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._shown: dict[tuple[str, datetime], asyncio.Task[str]] = {}
        self._printed: dict[str, list[str]] = {}

    async def of_station(self, station: str, at: datetime) -> str:
        """What a station shows at this business time, which is now."""
        if (station, at) not in self._shown:
            self._shown[station, at] = asyncio.create_task(self._ask_station(station))
        return await self._shown[station, at]

    async def _ask_station(self, station: str) -> str:
        code: str = (await self._gateway.get(f"/activities/v1/stations/{station}/code"))["code"]
        return code

    async def filled_in(self, content: bytes) -> bytes:
        """A roster with the codes of its slips in place of their serials. The same for the same list, always."""
        body = json.loads(content)
        for row in body["rows"]:
            proof = row["proof"]
            if proof is not None and proof.get("code", "").startswith(SLIP):
                serial = int(proof["code"].removeprefix(SLIP))
                proof["code"] = await self._of_slip(row["session_id"], serial)
        return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()

    async def _of_slip(self, session: str, serial: int) -> str:
        assert 1 <= serial <= CODES_A_PAGE
        if session not in self._printed or len(self._printed[session]) < serial:
            answer = await self._gateway.get(
                f"/activities/v1/sessions/{session}/one-time-codes", first=1, count=min(max(50, serial), CODES_A_PAGE)
            )
            self._printed[session] = answer["codes"]
        return self._printed[session][serial - 1]
