"""What no door recorded takes two clerks, and is announced once, as grade 0 deserves."""

from asyncio import gather
from typing import Any

import pytest

from services.contracts.activities import CheckedIn, CheckedOut
from tests.support.activities import OTHER_UNIT, UNIT, World, a_session, at, volunteer_updated
from tests.support.asgi import Answer

STATED = {"volunteer_id": "V-1", "from": at(9).isoformat(), "to": at(11).isoformat(), "reason": "paper_lost"}
PATH = "/v1/sessions/SE-1/back-office-attendances"


@pytest.fixture
async def world() -> World:
    world = await World().prepare()
    await world.register(1)
    world.put(a_session())
    world.clock.at = at(20)
    return world


async def proposed(world: World) -> str:
    """A proposal of the first clerk's."""
    answer = await world.post(PATH, STATED, subject="clerk-1")
    assert answer.status == 201
    identity: str = answer.json["proposal_id"]
    return identity


async def decided(world: World, proposal: str, verdict: str, **by: Any) -> Answer:
    """What a decision comes to, the second clerk's unless said otherwise."""
    return await world.post(f"/v1/back-office-attendances/{proposal}/{verdict}", **{"subject": "clerk-2", **by})


async def test_a_proposal_is_announced_to_nobody(world: World) -> None:
    await proposed(world)
    assert world.announced() == []
    assert world.store.documents("attendances") == {}


async def test_an_approval_announces_both_ends_with_both_people(world: World) -> None:
    answer = await decided(world, await proposed(world), "approval")
    assert (answer.status, answer.json["state"], answer.json["decided_by"]) == (200, "approved", "clerk-2")
    came, left = (event.data for event in world.announced())
    assert isinstance(came, CheckedIn)
    assert isinstance(left, CheckedOut)
    for end, moment in ((came, at(9)), (left, at(11))):
        assert (end.at, end.entry_mode, end.proofs) == (moment, "back_office", ())
        assert (end.entered_by, end.approved_by) == ("clerk-1", "clerk-2")


async def test_who_proposed_cannot_approve_under_any_client(world: World) -> None:
    proposal = await proposed(world)
    for verdict in ("approval", "rejection"):
        answer = await decided(world, proposal, verdict, subject="clerk-1")
        assert (answer.status, answer.code) == (403, "second_person_required")
    assert world.announced() == []
    assert (await decided(world, proposal, "approval")).status == 200


async def test_a_rejection_announces_nothing_and_is_the_last_word(world: World) -> None:
    proposal = await proposed(world)
    assert (await decided(world, proposal, "rejection")).json["state"] == "rejected"
    assert (await decided(world, proposal, "approval")).code == "proposal_decided"
    assert world.announced() == []


async def test_two_decisions_at_once_are_one(world: World) -> None:
    proposal = await proposed(world)
    answers = await gather(
        decided(world, proposal, "approval", subject="clerk-2"),
        decided(world, proposal, "rejection", subject="clerk-3"),
        decided(world, proposal, "approval", subject="clerk-4"),
    )
    assert sorted(answer.status for answer in answers) == [200, 409, 409]
    assert len(world.announced()) in {0, 2}


async def test_an_approval_is_decided_on_what_holds_by_then(world: World) -> None:
    proposal, other = await proposed(world), await proposed(world)
    assert (await decided(world, proposal, "approval")).status == 200
    answer = await decided(world, other, "approval")
    assert answer.code == "already_checked_in"
    (waiting,) = (await world.get(f"/v1/back-office-attendances?unit={UNIT}")).json["items"]
    assert (waiting["proposal_id"], waiting["state"]) == (other, "proposed")


async def test_an_approval_is_refused_for_who_paused_meanwhile(world: World) -> None:
    proposal = await proposed(world)
    await world.tell(volunteer_updated(1, state="paused"))
    assert (await decided(world, proposal, "approval")).code == "volunteer_not_active"
    assert world.store.documents("attendances") == {}


async def test_a_volunteer_cannot_type_in_for_themselves(world: World) -> None:
    answer = await world.post(PATH, STATED, subject="V-1", area=OTHER_UNIT)
    assert answer.code == "outside_area"


async def test_decisions_are_for_the_unit_that_is_served(world: World) -> None:
    proposal = await proposed(world)
    assert (await decided(world, proposal, "approval", area=OTHER_UNIT)).code == "outside_area"
    assert (await decided(world, "P-9", "approval")).code == "proposal_unknown"


async def test_proposals_are_listed_by_state_the_oldest_first(world: World) -> None:
    first, second, third = [await proposed(world) for _ in range(3)]
    await decided(world, second, "rejection")
    page = (await world.get(f"/v1/back-office-attendances?unit={UNIT}&limit=1")).json
    rest = (await world.get(f"/v1/back-office-attendances?unit={UNIT}&after={page['next']}")).json
    assert [item["proposal_id"] for item in page["items"] + rest["items"]] == [first, third]
    done = (await world.get(f"/v1/back-office-attendances?unit={UNIT}&state=rejected")).json
    assert [(item["proposal_id"], item["decided_by"]) for item in done["items"]] == [(second, "clerk-2")]
    assert (await world.get(f"/v1/back-office-attendances?unit={UNIT}", area=OTHER_UNIT)).code == "outside_area"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"to": at(9).isoformat()}, "check_out_before_check_in"),
        ({"from": at(8).isoformat()}, "time_before_window"),
        ({"to": at(12).isoformat()}, "time_after_window"),
        ({"volunteer_id": "V-9"}, "volunteer_unknown"),
        ({"reason": "because"}, "invalid_body"),
        ({"approved_by": "clerk-2"}, "invalid_body"),
        ({"proof": {"method": "leader_list"}}, "invalid_body"),
    ],
)
async def test_what_could_not_be_approved_is_not_proposed(world: World, changes: dict[str, Any], code: str) -> None:
    assert (await world.post(PATH, {**STATED, **changes})).code == code
    assert world.store.documents("proposals") == {}


async def test_the_back_office_needs_its_own_scope(world: World) -> None:
    assert (await world.post(PATH, STATED, scopes=("attendance.write",))).code == "scope_missing"
