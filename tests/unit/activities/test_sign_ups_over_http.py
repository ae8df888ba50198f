"""Places in sessions, under everybody who wants one at once."""

from asyncio import gather

import pytest

from services.activities.signups.rules import SignUp, Situation, decide
from services.contracts.activities import SignedUp
from services.runtime.outcomes import Refusal
from tests.support.activities import OTHER_UNIT, UNIT, World, a_session, at, volunteer_updated


@pytest.fixture
async def world() -> World:
    world = await World().prepare()
    await world.register(*range(1, 9))
    world.clock.at = at(7)
    return world


async def test_a_place_is_held_and_announced(world: World) -> None:
    world.put(a_session(capacity=2))
    answer = await world.post("/v1/sessions/SE-1/sign-ups", {"volunteer_id": "V-1"})
    assert (answer.status, answer.json["places_left"]) == (201, 1)
    (event,) = world.announced()
    assert isinstance(event.data, SignedUp)
    assert (event.data.volunteer_id, event.data.entered_by, event.time) == ("V-1", "leader-1", at(7))
    held = (await world.get("/v1/sessions/SE-1/sign-ups")).json["items"]
    assert [(place["volunteer_id"], place["attendance_id"]) for place in held] == [
        ("V-1", answer.json["attendance_id"])
    ]
    assert (await world.get("/v1/sessions/SE-1")).json["places_taken"] == 1


async def test_every_sign_up_changes_the_volunteers_copy(world: World) -> None:
    """A write that changes nothing would let a pause through that arrives meanwhile (docs/adr/0071)."""
    world.put(a_session("SE-1"), a_session("SE-2", at(13), at(15)))
    seen = [world.store.documents("volunteers")["V-1"]]
    for session in ("SE-1", "SE-2"):
        await world.post(f"/v1/sessions/{session}/sign-ups", {"volunteer_id": "V-1"})
        seen.append(world.store.documents("volunteers")["V-1"])
    assert seen[0] != seen[1] != seen[2] != seen[0]


async def test_one_last_place_goes_to_one_of_a_hundred(world: World) -> None:
    await world.register(*range(9, 101))
    world.put(a_session(capacity=1))
    answers = await gather(
        *(world.post("/v1/sessions/SE-1/sign-ups", {"volunteer_id": f"V-{n}"}) for n in range(1, 101))
    )
    assert sorted(answer.status for answer in answers).count(201) == 1
    assert {answer.code for answer in answers if answer.status != 201} <= {"session_full", "try_again"}
    assert len(world.announced()) == 1
    assert (await world.get("/v1/sessions/SE-1")).json["places_taken"] == 1


async def test_one_volunteer_wanted_in_two_places_at_once_gets_one(world: World) -> None:
    world.put(a_session("SE-1"), a_session("SE-2", at(10), at(12)))
    answers = await gather(*(world.post(f"/v1/sessions/SE-{n}/sign-ups", {"volunteer_id": "V-1"}) for n in (1, 2)))
    assert sorted(answer.status for answer in answers) == [201, 409]
    assert {answer.code for answer in answers if answer.status == 409} == {"overlapping_sign_up"}


async def test_the_same_place_wanted_twice_at_once_is_held_once(world: World) -> None:
    world.put(a_session())
    answers = await gather(*(world.post("/v1/sessions/SE-1/sign-ups", {"volunteer_id": "V-1"}) for _ in range(3)))
    assert sorted(answer.status for answer in answers) == [201, 409, 409]
    assert {answer.code for answer in answers if answer.status == 409} == {"already_signed_up"}
    assert (await world.get("/v1/sessions/SE-1")).json["places_taken"] == 1


async def test_a_pause_that_arrives_meanwhile_wins(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The pause commits after the sign-up read the volunteer as active and before it commits."""
    world.put(a_session())
    decided: list[SignedUp | Refusal] = []

    def decide_and_pause(command: SignUp, situation: Situation) -> SignedUp | Refusal:
        decided.append(decide(command, situation))
        if len(decided) == 1:
            world.store.put("volunteers", {**world.store.documents("volunteers")["V-1"], "state": "paused"})
        return decided[-1]

    monkeypatch.setattr("services.activities.signups.handlers.decide", decide_and_pause)
    answer = await world.post("/v1/sessions/SE-1/sign-ups", {"volunteer_id": "V-1"})
    assert isinstance(decided[0], SignedUp)
    assert answer.code == "volunteer_not_active"
    assert (world.announced(), world.store.documents("sign_ups")) == ([], {})


async def test_a_later_session_may_begin_as_the_earlier_one_ends(world: World) -> None:
    world.put(a_session("SE-1"), a_session("SE-2", at(11), at(13)), a_session("SE-3", at(10, 59), at(11)))
    for session, status in (("SE-1", 201), ("SE-2", 201), ("SE-3", 409)):
        answer = await world.post(f"/v1/sessions/{session}/sign-ups", {"volunteer_id": "V-1"})
        assert answer.status == status


async def test_who_was_refused_for_a_pause_gets_the_place_afterwards(world: World) -> None:
    world.put(a_session())
    await world.tell(volunteer_updated(1, state="paused"))
    assert (await world.post("/v1/sessions/SE-1/sign-ups", {"volunteer_id": "V-1"})).code == "volunteer_not_active"
    await world.tell(volunteer_updated(1))
    assert (await world.post("/v1/sessions/SE-1/sign-ups", {"volunteer_id": "V-1"})).status == 201


@pytest.mark.parametrize(
    ("area", "subject", "status"),
    [(UNIT, "leader-1", 201), (OTHER_UNIT, "leader-1", 201), ("340811", "V-9", 201), ("340811", "leader-1", 403)],
)
async def test_served_unit_home_unit_and_volunteer_may_sign_up(
    world: World, area: str, subject: str, status: int
) -> None:
    await world.register(9, home_unit=OTHER_UNIT)
    world.put(a_session())
    answer = await world.post("/v1/sessions/SE-1/sign-ups", {"volunteer_id": "V-9"}, area=area, subject=subject)
    assert answer.status == status


async def test_the_same_key_gets_the_same_answer_and_one_place(world: World) -> None:
    world.put(a_session())
    first = await world.post("/v1/sessions/SE-1/sign-ups", {"volunteer_id": "V-1"}, key="k")
    again = await world.post("/v1/sessions/SE-1/sign-ups", {"volunteer_id": "V-1"}, key="k")
    assert (again.status, again.body) == (first.status, first.body)
    assert again.headers["idempotency-replayed"] == "true"
    assert len(world.announced()) == 1


async def test_who_holds_places_is_for_the_unit_that_is_served(world: World) -> None:
    world.put(a_session())
    assert (await world.get("/v1/sessions/SE-1/sign-ups", area=OTHER_UNIT)).code == "outside_area"
