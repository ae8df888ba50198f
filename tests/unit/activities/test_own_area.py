"""A volunteer's token is for the volunteer: nobody else is checked in, signed up or read with it."""

from typing import Any, Final

import pytest

from tests.support.activities import World, a_session, at

VOLUNTEER: Final[dict[str, Any]] = {
    "area": "own",
    "subject": "V-1",
    "scopes": ("activities.read", "attendance.write"),
}
SESSION: Final = "/v1/sessions/SE-1"
WORD: Final = {"method": "self_report"}


@pytest.fixture
async def world() -> World:
    world = await World().prepare()
    await world.register(1, 2)
    world.put(a_session())
    world.clock.at = at(9)
    return world


@pytest.mark.parametrize("door", ["check-ins", "sign-ups"])
async def test_volunteers_act_for_themselves_only(world: World, door: str) -> None:
    world.clock.at = at(8, 50)
    proof = {"proof": WORD} if door == "check-ins" else {}
    assert (await world.post(f"{SESSION}/{door}", {"volunteer_id": "V-1", **proof}, **VOLUNTEER)).status == 201
    refused = await world.post(f"{SESSION}/{door}", {"volunteer_id": "V-2", **proof}, **VOLUNTEER)
    assert (refused.status, refused.code) == (403, "outside_area")


async def test_volunteers_send_no_batches_for_others(world: World) -> None:
    row = {"row": 1, "session_id": "SE-1", "number": "V2", "action": "check_in", "at": at(9).isoformat()}
    row["proof"] = {"method": "personal_card", "card": "V2"}
    answer = await world.post("/v1/batches", {"kind": "kiosk", "device_id": "D", "rows": [row]}, **VOLUNTEER)
    assert (answer.status, answer.code) == (403, "outside_area")
    assert world.announced() == []


async def test_batch_that_a_stranger_sent_first_still_counts_when_the_right_sender_comes(world: World) -> None:
    row = {"row": 1, "session_id": "SE-1", "number": "N-2", "action": "check_in", "at": at(9).isoformat()}
    row["proof"] = {"method": "personal_card", "card": "N-2"}
    batch = {"kind": "kiosk", "device_id": "D", "rows": [row]}
    assert (await world.post("/v1/batches", batch, area="340899", subject="stranger")).code == "outside_area"
    assert (await world.post("/v1/batches", batch)).json["accepted"] == 1


async def test_volunteers_see_what_is_offered_and_nobody_elses_attendances(world: World) -> None:
    assert (await world.get(SESSION, **VOLUNTEER)).status == 200
    assert (await world.get("/v1/volunteers/V-1/attendances", **VOLUNTEER)).status == 200
    for path in ("/v1/volunteers/V-2/attendances", f"{SESSION}/attendances", f"{SESSION}/sign-ups"):
        assert (await world.get(path, **VOLUNTEER)).code == "outside_area"
