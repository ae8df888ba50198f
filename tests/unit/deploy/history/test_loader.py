"""The loader sends what was generated, when it was sent, as who sent it."""

import json
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest

from deploy.history.catch_up import CatchUp, Snapshot
from deploy.history.gateway_client import Gateway, LoadFailed, Tokens
from deploy.history.loader import Loaded, Loader
from deploy.history.sendings import read_history
from services.runtime.clock import DevelopmentClock
from tests.support.histories import (
    SENT,
    SESSION,
    STATION,
    VOLUNTEER,
    History,
    approve,
    at,
    command,
    line,
    propose,
    reading,
)

SLIPS = [f"{serial:04d}-{serial:06d}" for serial in range(1, 51)]


class StillCatchUp(CatchUp):
    """A platform that has always caught up; remembers what was asked, and when."""

    def __init__(self, platform: "Platform") -> None:
        self._platform = platform

    async def taken(self, service: str, topics: Any, events: int) -> Snapshot:
        self._platform.log.append(f"taken {service} {events}")
        return Snapshot()

    async def barrier(self) -> Snapshot:
        self._platform.log.append("barrier")
        return Snapshot()

    async def settled(self) -> Snapshot:
        self._platform.log.append("settled")
        return Snapshot()


class Platform:
    """Answers as the services would to a well-behaved client; keeps the requests."""

    def __init__(self, clock: DevelopmentClock) -> None:
        self.clock = clock
        self.log: list[str] = []
        self.requests: list[httpx.Request] = []
        self.times: list[datetime] = []
        self.refusals: dict[str, tuple[int, str]] = {}
        self.refused_rows: list[dict[str, Any]] = []

    def answer(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path
        self.requests.append(request)
        self.times.append(self.clock.now())
        self.log.append(path)
        if path in self.refusals:
            status, code = self.refusals[path]
            return httpx.Response(status, json={"code": code})
        return httpx.Response(200, json=self._body(path, request))

    def _body(self, path: str, request: httpx.Request) -> dict[str, Any]:
        if "/imports/" in path:
            rows = len(request.content.decode().splitlines()) - 1
            return {"rows": rows, "accepted": rows, "unchanged": 0, "errors": []}
        if path.endswith("/v1/changes"):
            data = {"number": VOLUNTEER, "volunteer_id": "id-1", "home_unit": "340828"}
            events = [{"type": "registry.volunteer.registered.v1", "data": data}]
            return {"items": [] if "after" in request.url.params else events, "next": "1.1"}
        if path.endswith("/code"):
            return {"code": "000041"}
        if path.endswith("/one-time-codes"):
            return {"codes": SLIPS}
        if path.endswith("/batches"):
            return {"accepted": 1, "refused": self.refused_rows}
        return {"proposal_id": "p-1"}

    def sent_to(self, ending: str) -> list[httpx.Request]:
        return [request for request in self.requests if request.url.path.endswith(ending)]

    def body_of(self, ending: str, place: int = 0) -> dict[str, Any]:
        body: dict[str, Any] = json.loads(self.sent_to(ending)[place].content)
        return body


@pytest.fixture
def clock(tmp_path: Path) -> Iterator[DevelopmentClock]:
    clock = DevelopmentClock.create(tmp_path / "clock", datetime.fromisoformat("2026-06-01T00:00:00+08:00"))
    yield clock
    clock.close()


@pytest.fixture
def platform(clock: DevelopmentClock) -> Platform:
    return Platform(clock)


@pytest.fixture
def history(tmp_path: Path) -> History:
    directory = tmp_path / "history"
    directory.mkdir()
    return History(directory).volunteer().session()


async def load(history: History, platform: Platform) -> Loaded:
    history.write()
    tokens = Tokens(history.directory.parent / "key.pem")
    told: list[tuple[str, int]] = []
    async with Gateway("http://platform", tokens, transport=httpx.MockTransport(platform.answer)) as gateway:
        sendings = read_history(history.directory)
        still, tell = StillCatchUp(platform), lambda stage, number: told.append((stage, number))
        loaded = await Loader(sendings, gateway, still, platform.clock, tell).run()
    assert len(told) == len(sendings.sendings)
    return loaded


def claims(request: httpx.Request) -> dict[str, Any]:
    token = request.headers["authorization"].removeprefix("Bearer ")
    found: dict[str, Any] = jwt.decode(token, options={"verify_signature": False})
    return found


async def test_everything_is_sent_at_its_business_time(history: History, platform: Platform) -> None:
    history.kiosk(reading("check_in", at("09:00")), sent=at("21:00"))
    history.live.append(command("sign_up", at("08:00")))
    await load(history, platform)
    times = dict(zip(platform.log, platform.times, strict=False))
    assert [time.isoformat() for time in times.values()] == sorted(time.isoformat() for time in times.values())
    by_path = {request.url.path: time for request, time in zip(platform.requests, platform.times, strict=True)}
    assert by_path["/registry/v1/imports/volunteers"] == datetime.fromisoformat(SENT)
    assert by_path[f"/activities/v1/sessions/{SESSION}/sign-ups"] == datetime.fromisoformat(at("08:00"))
    assert by_path["/activities/v1/batches"] == datetime.fromisoformat(at("21:00"))


async def test_the_clock_ends_after_the_last_time_out(history: History, platform: Platform) -> None:
    loaded = await load(history, platform)
    assert platform.clock.now() == datetime.fromisoformat("2026-08-03T01:00:00+08:00")
    assert loaded.as_of == platform.clock.now().isoformat()
    assert platform.log[-1] == "settled"


async def test_activities_must_know_whom_registry_knows_before_anything_else(
    history: History, platform: Platform
) -> None:
    history.kiosk(reading("check_in", at("09:00")))
    history.items.append({"at": SENT, "kind": "units", "file": "units.csv", "lane": "units"})
    await load(history, platform)
    lists = [entry for entry in platform.log if "/registry/v1/imports" in entry]
    assert len(lists) == 5
    awaited = next(place for place, entry in enumerate(platform.log) if entry.startswith("taken activities"))
    assert awaited < platform.log.index("/activities/v1/batches")


async def test_fortnights_are_parted_by_barriers(history: History, platform: Platform) -> None:
    history.kiosk(reading("check_in", at("09:00")))
    history.kiosk(reading("check_out", at("10:00")), sent=at("21:00", "2026-07-20"), name="late")
    await load(history, platform)
    places = [place for place, entry in enumerate(platform.log) if entry == "/activities/v1/batches"]
    assert "barrier" in platform.log[places[0] : places[1]]


async def test_slips_are_filled_in_with_their_codes(history: History, platform: Platform) -> None:
    history.roster(line(code="slip 3"), line(number="V2", code="0000-000000"), line(number="V3"))
    await load(history, platform)
    rows = platform.body_of("/batches")["rows"]
    assert [row["proof"] for row in rows] == [
        {"method": "one_time_code", "code": SLIPS[2]},
        {"method": "one_time_code", "code": "0000-000000"},
        None,
    ]


async def test_batches_without_slips_go_out_as_they_are(history: History, platform: Platform) -> None:
    history.kiosk(reading("check_in", at("09:00")))
    await load(history, platform)
    assert platform.sent_to("/batches")[0].content == (history.directory / "kiosk").read_bytes()


async def test_volunteers_act_for_themselves_with_the_code_on_display(history: History, platform: Platform) -> None:
    history.live += [
        command("check_in", at("09:00")),
        command("check_out", at("11:00"), mistyped=True, claimed=at("11:01:30")),
        command("check_out", at("11:02"), station=None),
    ]
    await load(history, platform)
    request = platform.sent_to("/check-ins")[0]
    assert (claims(request)["sub"], claims(request)["area"]) == ("id-1", "own")
    assert claims(request)["scope"].split() == ["activities.read", "attendance.write", "hours.read"]
    proof = {"method": "station_code", "code": "000041"}
    assert platform.body_of("/check-ins") == {"volunteer_id": "id-1", "at": None, "proof": proof}
    wrong = {"method": "station_code", "code": "000042"}
    assert platform.body_of("/check-outs") == {"volunteer_id": "id-1", "at": at("11:01:30"), "proof": wrong}
    assert platform.body_of("/check-outs", 1)["proof"] == {"method": "self_report"}
    assert len(platform.sent_to(f"/stations/{STATION}/code")) == 2


async def test_two_clerks_enter_what_the_back_office_types_in(history: History, platform: Platform) -> None:
    history.back_office += [propose(at("12:00")), approve(at("12:05"))]
    for entry, role in zip(history.back_office, ("clerk", "second_clerk"), strict=True):
        entry["actor"] |= {"role": role, "area": "340802"}
    loaded = await load(history, platform)
    first, second = platform.sent_to("/back-office-attendances")[0], platform.sent_to("/p-1/approval")[0]
    assert [claims(first)["sub"], claims(second)["sub"]] == ["c1", "c2"]
    assert loaded.attendances == 1


async def test_nothing_is_decided_on_a_proposal_that_was_refused(history: History, platform: Platform) -> None:
    platform.refusals[f"/activities/v1/sessions/{SESSION}/back-office-attendances"] = (409, "already_checked_in")
    history.back_office += [propose(at("12:00")), approve(at("12:05"))]
    for entry in history.back_office:
        entry["actor"] |= {"role": "clerk", "area": "340802"}
    loaded = await load(history, platform)
    assert loaded.lines["back_office"] == {0: "already_checked_in", 1: "not_sent"}


async def test_answers_are_kept_as_the_oracle_gives_them(history: History, platform: Platform, tmp_path: Path) -> None:
    platform.refusals[f"/activities/v1/sessions/{SESSION}/sign-ups"] = (409, "session_full")
    platform.refused_rows = [{"row": 2, "code": "not_checked_in", "title": "未签到"}]
    history.live.append(command("sign_up", at("08:00")))
    history.kiosk(reading("check_in", at("09:00")), reading("check_out", at("09:01")))
    loaded = await load(history, platform)
    assert loaded.refused == {"kiosk": [(2, "not_checked_in")]}
    assert loaded.lines["live"] == {0: "session_full"}
    loaded.write(tmp_path / "loaded.json")
    assert Loaded.read(tmp_path / "loaded.json") == loaded


async def test_the_same_commands_have_the_same_keys(history: History, platform: Platform) -> None:
    history.live += [command("sign_up", at("08:00")), command("sign_up", at("08:10"))]
    await load(history, platform)
    await load(history, platform)
    keys = [request.headers["idempotency-key"] for request in platform.sent_to("/sign-ups")]
    assert keys[:2] == keys[2:]
    assert len(set(keys)) == 2


async def test_what_an_earlier_load_sent_with_another_code_is_no_refusal(history: History, platform: Platform) -> None:
    platform.refusals[f"/activities/v1/sessions/{SESSION}/check-ins"] = (422, "idempotency_key_reused")
    history.live.append(command("check_in", at("09:00")))
    loaded = await load(history, platform)
    assert loaded.lines["live"] == {0: "sent_before"}
    assert loaded.attendances == 0


async def test_a_list_that_is_not_taken_whole_ends_the_load(history: History, platform: Platform) -> None:
    platform.refusals["/registry/v1/imports/units"] = (422, "sheet_columns_wrong")
    with pytest.raises(LoadFailed, match=r"units\.csv: 422 sheet_columns_wrong"):
        await load(history, platform)


async def test_another_receipt_for_the_same_bytes_ends_the_load(history: History, platform: Platform) -> None:
    history.kiosk(reading("check_in", at("09:00"))).sent("kiosk", at("22:00"))

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("/batches") and platform.sent_to("/batches"):
            platform.refused_rows = [{"row": 1, "code": "already_checked_in", "title": ""}]
        return Platform.answer(platform, request)

    platform.answer = answer  # type: ignore[method-assign]
    with pytest.raises(LoadFailed, match="another receipt"):
        await load(history, platform)
