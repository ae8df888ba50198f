"""Check-in and check-out, live, as phones and leaders send them."""

from asyncio import gather
from datetime import datetime
from typing import Any

import pytest

from services.contracts.activities import CheckedIn, CheckedOut
from tests.support.activities import (
    OTHER_UNIT,
    STATION,
    UNIT,
    World,
    a_session,
    at,
    code_now,
    slip,
    volunteer_updated,
)

WORD = {"method": "leader_list"}


@pytest.fixture
async def world() -> World:
    world = await World().prepare()
    await world.register(1, 2)
    world.put(a_session())
    return world


def end(volunteer: int = 1, proof: Any = WORD, moment: datetime | None = None) -> dict[str, Any]:
    """The body of a check-in or check-out."""
    body = {"volunteer_id": f"V-{volunteer}", "proof": proof}
    return body if moment is None else {**body, "at": moment.isoformat()}


async def test_check_in_is_announced_with_who_entered_it_and_what_proves_it(world: World) -> None:
    code = {"method": "station_code", "code": code_now(at(9))}
    answer = await world.post("/v1/sessions/SE-1/check-ins", end(proof=code), subject="V-1")
    assert (answer.status, answer.json["check_out"]) == (201, None)
    (event,) = world.announced()
    assert isinstance(event.data, CheckedIn)
    assert (event.data.at, event.time, event.data.entered_by) == (at(9), at(9), "V-1")
    assert (event.data.entry_mode, event.data.approved_by, event.data.batch_id) == ("live", None, None)
    (proof,) = event.data.proofs
    assert (proof.method, proof.given_by) == ("station_code", str(STATION))
    assert event.data.session == a_session().facts


async def test_check_out_says_when_it_happened_not_when_it_came(world: World) -> None:
    await world.post("/v1/sessions/SE-1/check-ins", end())
    world.clock.at = at(14)
    answer = await world.post("/v1/sessions/SE-1/check-outs", end(moment=at(11)))
    assert answer.status == 200
    _, event = world.announced()
    assert isinstance(event.data, CheckedOut)
    assert (event.data.at, event.time) == (at(11), at(14))


async def test_a_code_is_held_against_the_time_of_the_check_in(world: World) -> None:
    code = {"method": "station_code", "code": code_now(at(9))}
    world.clock.at = at(10)
    assert (await world.post("/v1/sessions/SE-1/check-ins", end(proof=code))).code == "code_invalid"
    assert (await world.post("/v1/sessions/SE-1/check-ins", end(proof=code, moment=at(9)))).status == 201


async def test_who_did_not_sign_up_may_walk_in(world: World) -> None:
    assert (await world.post("/v1/sessions/SE-1/check-ins", end())).status == 201
    assert (await world.get("/v1/sessions/SE-1")).json["places_taken"] == 0


async def test_three_hundred_check_in_to_one_session_at_once(world: World) -> None:
    await world.register(*range(3, 301))
    answers = await gather(*(world.post("/v1/sessions/SE-1/check-ins", end(n)) for n in range(1, 301)))
    assert {answer.status for answer in answers} == {201}
    assert world.store.conflicts == 0, "nobody waits for anybody"
    assert len(world.announced()) == 300


async def test_two_check_ins_of_one_person_at_once_are_one(world: World) -> None:
    answers = await gather(*(world.post("/v1/sessions/SE-1/check-ins", end()) for _ in range(3)))
    assert sorted(answer.status for answer in answers) == [201, 409, 409]
    assert len(world.announced()) == 1


async def test_one_slip_claimed_by_two_at_once_proves_one(world: World) -> None:
    code = {"method": "one_time_code", "code": slip(1)}
    answers = await gather(*(world.post("/v1/sessions/SE-1/check-ins", end(n, code)) for n in (1, 2)))
    assert sorted(answer.status for answer in answers) == [201, 409]
    assert {answer.code for answer in answers if answer.status == 409} == {"code_already_used"}


async def test_check_out_is_accepted_though_the_volunteer_paused_meanwhile(world: World) -> None:
    await world.post("/v1/sessions/SE-1/check-ins", end())
    await world.tell(volunteer_updated(1, state="paused"))
    world.clock.at = at(11)
    assert (await world.post("/v1/sessions/SE-1/check-outs", end())).status == 200


@pytest.mark.parametrize(
    ("area", "subject", "status"),
    [(UNIT, "leader-1", 201), (OTHER_UNIT, "V-1", 201), (OTHER_UNIT, "leader-1", 403), (OTHER_UNIT, "V-2", 403)],
)
async def test_the_unit_served_and_the_volunteer_may_say_so(world: World, area: str, subject: str, status: int) -> None:
    answer = await world.post("/v1/sessions/SE-1/check-ins", end(), area=area, subject=subject)
    assert answer.status == status


async def test_attendances_of_a_volunteer_come_newest_first(world: World) -> None:
    for number, day in ((2, 15), (3, 16)):
        world.put(a_session(f"SE-{number}", at(9, day=day), at(11, day=day)))
    world.clock.at = at(12, day=16)
    for number, day in ((3, 16), (1, 14), (2, 15)):
        body = end(moment=at(9, day=day))
        assert (await world.post(f"/v1/sessions/SE-{number}/check-ins", body)).status == 201
    page = (await world.get("/v1/volunteers/V-1/attendances?limit=2")).json
    rest = (await world.get(f"/v1/volunteers/V-1/attendances?limit=2&after={page['next']}")).json
    assert [item["session_id"] for item in page["items"] + rest["items"]] == ["SE-3", "SE-2", "SE-1"]


async def test_attendances_of_a_volunteer_are_for_the_home_area_and_the_volunteer(world: World) -> None:
    await world.register(3, home_unit=OTHER_UNIT)
    await world.post("/v1/sessions/SE-1/check-ins", end(3))
    path = "/v1/volunteers/V-3/attendances"
    assert len((await world.get(path, area=OTHER_UNIT)).json["items"]) == 1
    assert len((await world.get(path, area="340811", subject="V-3")).json["items"]) == 1
    assert (await world.get(path, area=UNIT)).code == "outside_area"
    assert (await world.get("/v1/volunteers/V-9/attendances")).code == "volunteer_unknown"


async def test_who_came_to_a_session_is_for_the_unit_that_is_served(world: World) -> None:
    for number in (1, 2):
        await world.post("/v1/sessions/SE-1/check-ins", end(number))
    world.clock.at = at(11)
    await world.post("/v1/sessions/SE-1/check-outs", end(2))
    items = (await world.get("/v1/sessions/SE-1/attendances", area=UNIT)).json["items"]
    assert {(item["volunteer_id"], item["state"]) for item in items} == {("V-1", "present"), ("V-2", "left")}
    assert (await world.get("/v1/sessions/SE-1/attendances", area=OTHER_UNIT)).code == "outside_area"


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"volunteer_id": ""},
        {"volunteer_id": "V|1"},
        {"volunteer_id": "V-1", "at": "yesterday"},
        {"volunteer_id": "V-1", "at": "2026-07-14T09:00:00"},
        {"volunteer_id": "V-1", "proof": {"method": "photo"}},
        {"volunteer_id": "V-1", "proof": {"method": "served_confirmation"}},
        {"volunteer_id": "V-1", "proof": {"method": "leader_list", "track": []}},
        {"volunteer_id": "V-1", "proof": {"method": "station_code", "code": "1" * 65}},
        {"volunteer_id": "V-1", "photo": "data:"},
    ],
)
async def test_what_is_malformed_is_refused_and_nothing_is_written(world: World, body: dict[str, Any]) -> None:
    for door in ("check-ins", "check-outs"):
        answer = await world.post(f"/v1/sessions/SE-1/{door}", body)
        assert (answer.status, answer.code) == (422, "invalid_body")
    assert (world.store.documents("attendances"), world.store.documents("idempotency")) == ({}, {})


async def test_a_refusal_writes_nothing_but_itself(world: World) -> None:
    answer = await world.post("/v1/sessions/SE-1/check-outs", end(), key="k")
    assert answer.code == "not_checked_in"
    await world.post("/v1/sessions/SE-1/check-ins", end())
    again = await world.post("/v1/sessions/SE-1/check-outs", end(), key="k")
    assert (again.status, again.body) == (answer.status, answer.body)
    assert again.headers["idempotency-replayed"] == "true"


async def test_the_same_key_with_another_body_is_refused(world: World) -> None:
    await world.post("/v1/sessions/SE-1/check-ins", end(1), key="k")
    assert (await world.post("/v1/sessions/SE-1/check-ins", end(2), key="k")).code == "idempotency_key_reused"
