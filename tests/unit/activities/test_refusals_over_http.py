"""Every reason that activities refuses for is reached over HTTP, with its status and its Chinese title."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from msgspec.structs import replace

from services.activities.problems import PROBLEMS
from services.activities.sheets.rules import COLUMNS
from services.runtime.sheets import SHEET_ROWS_MAX
from tests.support.activities import (
    ALL_SCOPES,
    OTHER_UNIT,
    TEAM,
    UNIT,
    World,
    a_session,
    at,
    own_paths,
    slip,
    volunteer_updated,
)
from tests.support.asgi import Answer

Request = Callable[[World], Awaitable[Answer]]

WORD = {"method": "leader_list"}
ACTIVITY = {"title": "银龄义诊", "unit_served": UNIT, "organiser_id": TEAM, "service_type": "health"}
STATED = {"from": at(9).isoformat(), "to": at(11).isoformat()}
NOT_OF_AN_ANSWER = ("row_", "cell_")
"""These stand in receipts and lists of errors only, as do what a sheet's row differs in."""
IN_LISTS_ONLY = {"activity_differs", "session_differs", "session_published_already"}


@pytest.fixture
async def world() -> World:
    """Nine in the morning: SE-1 has begun, SE-2 overlaps it, FULL has no place, DRAFT is none, OVER has ended."""
    world = await World().prepare()
    await world.register(1, 2, 3)
    await world.tell(volunteer_updated(3, state="paused"))
    world.put(
        a_session("SE-1"),
        a_session("SE-2", at(10), at(12)),
        a_session("FULL", at(15), at(16), capacity=1),
        a_session("OVER", at(7), at(9)),
        a_session("ELSEWHERE", unit_served=OTHER_UNIT),
    )
    world.put(replace(a_session("DRAFT"), published=False))
    return world


def sign_up(session: str, volunteer: int = 1, **by: Any) -> Request:
    return lambda world: world.post(f"/v1/sessions/{session}/sign-ups", {"volunteer_id": f"V-{volunteer}"}, **by)


def end(door: str, session: str = "SE-1", volunteer: int = 1, proof: Any = WORD, **changes: Any) -> Request:
    body = {"volunteer_id": f"V-{volunteer}", "proof": proof, **changes}
    return lambda world: world.post(f"/v1/sessions/{session}/{door}", body)


def plan(**changes: Any) -> Request:
    return lambda world: world.post("/v1/activities", {**ACTIVITY, **changes})


def after(*requests: Request) -> Request:
    """The last request's answer, once those before it were accepted."""

    async def run(world: World) -> Answer:
        for request in requests[:-1]:
            assert (await request(world)).status < 300
        return await requests[-1](world)

    return run


def later(request: Request) -> Request:
    """The request, at noon."""

    async def run(world: World) -> Answer:
        world.clock.at = at(12)
        return await request(world)

    return run


async def plan_a_session(world: World, **changes: Any) -> Answer:
    activity = (await world.post("/v1/activities", ACTIVITY)).json["activity_id"]
    body = {"starts_at": at(9).isoformat(), "ends_at": at(11).isoformat(), "capacity": 1}
    return await world.post(f"/v1/activities/{activity}/sessions", {**body, **changes})


async def publish_twice(world: World) -> Answer:
    activity = (await world.post("/v1/activities", ACTIVITY)).json["activity_id"]
    await world.post(f"/v1/activities/{activity}/publication")
    return await world.post(f"/v1/activities/{activity}/publication")


async def decide(world: World, *clerks: str) -> Answer:
    """The last clerk's answer; the first one proposed."""
    world.clock.at = at(12)
    body = {"volunteer_id": "V-1", **STATED}
    proposed = await world.post("/v1/sessions/SE-1/back-office-attendances", body, subject=clerks[0])
    path = f"/v1/back-office-attendances/{proposed.json['proposal_id']}/approval"
    answers = [await world.post(path, subject=clerk) for clerk in clerks[1:]]
    return answers[-1]


def send_sheet(raw: bytes) -> Request:
    return lambda world: world.post("/v1/imports/activities", raw, headers={"content-type": "text/csv"})


FIRST_SLIP = {"method": "one_time_code", "code": slip(1)}

REFUSALS: list[tuple[str, int, Request]] = [
    ("activity_unknown", 404, lambda world: world.post("/v1/activities/AC-9/publication")),
    ("activity_unknown", 404, lambda world: world.get("/v1/activities/AC-9")),
    ("activity_unknown", 404, lambda world: world.get("/v1/activities/AC-9/sessions")),
    (
        "activity_unknown",
        404,
        lambda world: world.post(
            "/v1/activities/AC-9/sessions",
            {"starts_at": at(9).isoformat(), "ends_at": at(11).isoformat(), "capacity": 1},
        ),
    ),
    ("session_unknown", 404, sign_up("SE-9")),
    ("session_unknown", 404, end("check-ins", "SE-9")),
    ("session_unknown", 404, end("check-outs", "SE-9")),
    ("session_unknown", 404, lambda world: world.get("/v1/sessions/SE-9")),
    ("session_unknown", 404, lambda world: world.get("/v1/sessions/SE-9/sign-ups")),
    ("session_unknown", 404, lambda world: world.get("/v1/sessions/SE-9/attendances")),
    ("volunteer_unknown", 404, sign_up("SE-1", 9)),
    ("volunteer_unknown", 404, end("check-ins", volunteer=9)),
    ("volunteer_unknown", 404, end("check-outs", volunteer=9)),
    ("volunteer_unknown", 404, lambda world: world.get("/v1/volunteers/V-9/attendances")),
    ("station_unknown", 404, lambda world: plan_a_session(world, station_id=TEAM)),
    ("station_unknown", 404, lambda world: world.get("/v1/stations/ST-9/code")),
    ("organisation_unknown", 404, plan(organiser_id="TM-9")),
    ("unit_unknown", 404, plan(unit_served="340899")),
    ("brand_unknown", 404, plan(brand_id=TEAM)),
    ("batch_unknown", 404, lambda world: world.get(f"/v1/batches/{'0' * 64}")),
    ("proposal_unknown", 404, lambda world: world.post("/v1/back-office-attendances/P-9/approval")),
    ("proposal_unknown", 404, lambda world: world.post("/v1/back-office-attendances/P-9/rejection")),
    ("session_window_invalid", 422, lambda world: plan_a_session(world, ends_at=at(9).isoformat())),
    ("nothing_to_publish", 409, publish_twice),
    ("session_not_published", 409, sign_up("DRAFT")),
    ("session_not_published", 409, end("check-ins", "DRAFT")),
    ("session_closed", 409, sign_up("OVER")),
    ("session_full", 409, after(sign_up("FULL", 1), sign_up("FULL", 2))),
    ("already_signed_up", 409, after(sign_up("SE-1"), sign_up("SE-1"))),
    ("overlapping_sign_up", 409, after(sign_up("SE-1"), sign_up("SE-2"))),
    ("volunteer_not_active", 409, sign_up("SE-1", 3)),
    ("volunteer_not_active", 409, end("check-ins", volunteer=3)),
    ("already_checked_in", 409, after(end("check-ins"), end("check-ins"))),
    ("not_checked_in", 409, end("check-outs")),
    (
        "already_checked_out",
        409,
        after(end("check-ins"), later(end("check-outs", at=at(11).isoformat())), end("check-outs")),
    ),
    ("check_out_before_check_in", 422, after(end("check-ins"), end("check-outs", at=at(9).isoformat()))),
    ("time_before_window", 422, end("check-ins", at=at(8, 44).isoformat())),
    ("time_after_window", 422, end("check-ins", at=at(11, 16).isoformat())),
    ("time_in_future", 422, end("check-ins", at=at(9, 6).isoformat())),
    ("proof_missing", 422, end("check-ins", proof=None)),
    ("proof_missing", 422, end("check-ins", proof={"method": "station_code"})),
    ("code_invalid", 422, end("check-ins", proof={"method": "station_code", "code": "000000"})),
    ("code_invalid", 422, end("check-ins", proof={"method": "one_time_code", "code": slip(1, "SE-2")})),
    (
        "code_already_used",
        409,
        after(end("check-ins", proof=FIRST_SLIP), end("check-ins", volunteer=2, proof=FIRST_SLIP)),
    ),
    ("card_invalid", 422, end("check-ins", proof={"method": "personal_card", "card": "N-2"})),
    ("second_person_required", 403, lambda world: decide(world, "clerk-1", "clerk-1")),
    ("proposal_decided", 409, lambda world: decide(world, "clerk-1", "clerk-2", "clerk-3")),
    ("sheet_not_utf8", 422, send_sheet(b"\xff")),
    ("sheet_malformed", 422, send_sheet(b'"')),
    ("sheet_columns_wrong", 422, send_sheet(b"a,b")),
    ("sheet_too_long", 422, send_sheet(",".join(COLUMNS.values()).encode() + b"\nx" * (SHEET_ROWS_MAX + 1))),
]


@pytest.mark.parametrize(("code", "status", "request_of"), REFUSALS, ids=[code for code, _, _ in REFUSALS])
async def test_refused(world: World, code: str, status: int, request_of: Request) -> None:
    answer = await request_of(world)
    assert (answer.code, answer.status) == (code, status)
    titles = {problem.code: problem.title for problem in PROBLEMS}
    assert answer.json["title"] == titles[code]


def test_every_reason_is_reached() -> None:
    codes = {problem.code for problem in PROBLEMS if not problem.code.startswith(NOT_OF_AN_ANSWER)}
    assert codes - IN_LISTS_ONLY == {code for code, _, _ in REFUSALS}


def test_every_title_is_chinese() -> None:
    for problem in PROBLEMS:
        assert any("\u4e00" <= character <= "\u9fff" for character in problem.title), problem.code


AT_ELSEWHERE = {"volunteer_id": "V-1", "proof": WORD}
COMMANDS_ELSEWHERE: list[tuple[str, Any]] = [
    ("/v1/activities", {**ACTIVITY, "unit_served": OTHER_UNIT}),
    ("/v1/activities/AC-E/sessions", {"starts_at": at(9).isoformat(), "ends_at": at(11).isoformat(), "capacity": 1}),
    ("/v1/activities/AC-E/publication", None),
    ("/v1/sessions/ELSEWHERE/check-ins", AT_ELSEWHERE),
    ("/v1/sessions/ELSEWHERE/check-outs", AT_ELSEWHERE),
    ("/v1/sessions/ELSEWHERE/back-office-attendances", {"volunteer_id": "V-1", **STATED}),
]
READS_ELSEWHERE = [
    f"/v1/activities?unit={OTHER_UNIT}",
    "/v1/activities/AC-E",
    "/v1/activities/AC-E/sessions",
    f"/v1/sessions?unit={OTHER_UNIT}",
    "/v1/sessions/ELSEWHERE",
    "/v1/sessions/ELSEWHERE/sign-ups",
    "/v1/sessions/ELSEWHERE/attendances",
    "/v1/sessions/ELSEWHERE/one-time-codes",
    f"/v1/back-office-attendances?unit={OTHER_UNIT}",
]


@pytest.fixture
async def elsewhere(world: World) -> World:
    """An activity and a session of another unit."""
    world.store.put("activities", {"_id": "AC-E", **ACTIVITY, "unit_served": OTHER_UNIT, **LEFT_OUT})
    return world


LEFT_OUT = {"brand_id": None, "key_field": None, "published": False}


@pytest.mark.parametrize(("path", "body"), COMMANDS_ELSEWHERE)
async def test_no_command_crosses_areas(elsewhere: World, path: str, body: Any) -> None:
    answer = await elsewhere.post(path, body, area=UNIT)
    assert (answer.status, answer.code) == (403, "outside_area")
    assert elsewhere.announced() == []


@pytest.mark.parametrize("path", READS_ELSEWHERE)
async def test_no_read_crosses_areas(elsewhere: World, path: str) -> None:
    answer = await elsewhere.get(path, area=UNIT)
    assert (answer.status, answer.code) == (403, "outside_area")
    assert (await elsewhere.get(path, area=OTHER_UNIT)).status == 200


SCOPES = {
    "/v1/activities": "activities.write",
    "/v1/activities/AC-E/sessions": "activities.write",
    "/v1/activities/AC-E/publication": "activities.write",
    "/v1/imports/activities": "activities.write",
    "/v1/sessions/SE-1/sign-ups": "attendance.write",
    "/v1/sessions/SE-1/check-ins": "attendance.write",
    "/v1/sessions/SE-1/check-outs": "attendance.write",
    "/v1/batches": "attendance.write",
    "/v1/sessions/SE-1/back-office-attendances": "attendance.back_office",
    "/v1/back-office-attendances/P-1/approval": "attendance.back_office",
    "/v1/back-office-attendances/P-1/rejection": "attendance.back_office",
}


@pytest.mark.parametrize(("path", "scope"), SCOPES.items())
async def test_a_command_needs_its_scope_and_a_token(world: World, path: str, scope: str) -> None:
    others = [each for each in ALL_SCOPES if each != scope]
    answer = await world.post(path, {}, scopes=others)
    assert (answer.status, answer.code) == (403, "scope_missing")
    answer = await world.post(path, {}, headers={"Authorization": "Bearer nonsense"})
    assert (answer.status, answer.code) == (401, "token_invalid")


@pytest.mark.parametrize("path", [path for path in SCOPES if path != "/v1/batches"])
async def test_a_command_needs_a_key(world: World, path: str) -> None:
    answer = await world.post(path, {}, headers={"Idempotency-Key": ""})
    assert answer.code in {"idempotency_key_missing", "invalid_body"}


def test_every_command_of_the_document_is_asked_for_its_scope() -> None:
    paths = [path for path, operations in own_paths().items() if "post" in operations]
    assert len(paths) == len(SCOPES)
