"""Activities and sessions, from draft to published, as a county's clerk plans them."""

import json
from asyncio import gather
from typing import Any

import pytest

from services.contracts.activities import ActivityPublished, SessionPublished
from services.runtime.pages import to_cursor
from tests.support.activities import OTHER_UNIT, STATION, TEAM, UNIT, World, a_session, at

ACTIVITY = {"title": "银龄义诊", "unit_served": UNIT, "organiser_id": TEAM, "service_type": "health", "key_field": None}


def a_plan(hour: int = 9, **changes: Any) -> dict[str, Any]:
    """A session of two hours at the station."""
    usual = {
        "starts_at": at(hour).isoformat(),
        "ends_at": at(hour + 2).isoformat(),
        "station_id": STATION,
        "capacity": 20,
    }
    return {**usual, **changes}


@pytest.fixture
async def world() -> World:
    return await World().prepare()


async def planned(world: World) -> tuple[str, str]:
    """The ids of an activity and its session."""
    activity = (await world.post("/v1/activities", ACTIVITY)).json["activity_id"]
    session = (await world.post(f"/v1/activities/{activity}/sessions", a_plan())).json["session_id"]
    return activity, session


async def test_what_is_planned_is_a_draft_and_announced_to_nobody(world: World) -> None:
    activity, session = await planned(world)
    assert (await world.get(f"/v1/activities/{activity}")).json["state"] == "draft"
    read = (await world.get(f"/v1/sessions/{session}")).json
    assert (read["state"], read["unit_served"], read["places_taken"]) == ("draft", UNIT, 0)
    assert world.announced() == []


async def test_the_place_of_what_was_made_is_told(world: World) -> None:
    made = await world.post("/v1/activities", ACTIVITY)
    assert made.status == 201
    assert made.headers["location"] == f"/v1/activities/{made.json['activity_id']}"
    assert (await world.get(made.headers["location"])).json == made.json


async def test_publication_announces_activity_and_sessions_in_one_transaction(world: World) -> None:
    activity, session = await planned(world)
    answer = await world.post(f"/v1/activities/{activity}/publication")
    assert answer.json == {"activity_id": activity, "sessions": [session], "more": False}
    first, second = world.announced()
    assert isinstance(first.data, ActivityPublished)
    assert isinstance(second.data, SessionPublished)
    assert (first.sequence, second.sequence) == ("000000000001", "000000000002")
    assert second.data.session.starts_at == at(9)
    assert (await world.get(f"/v1/sessions/{session}")).json["state"] == "published"


async def test_a_session_added_later_is_published_by_publishing_again(world: World) -> None:
    activity, _ = await planned(world)
    await world.post(f"/v1/activities/{activity}/publication")
    later = (await world.post(f"/v1/activities/{activity}/sessions", a_plan(14))).json["session_id"]
    assert (await world.post(f"/v1/activities/{activity}/publication")).json["sessions"] == [later]
    assert (await world.post(f"/v1/activities/{activity}/publication")).code == "nothing_to_publish"


async def test_half_a_character_is_no_title(world: World) -> None:
    raw = json.dumps({**ACTIVITY, "title": "\ud800"}).encode()
    answer = await world.post("/v1/activities", raw, headers={"content-type": "application/json"})
    assert answer.code == "invalid_body"


async def test_two_publications_at_once_announce_once(world: World) -> None:
    activity, _ = await planned(world)
    answers = await gather(*(world.post(f"/v1/activities/{activity}/publication") for _ in range(4)))
    assert sorted(answer.status for answer in answers) == [200, 409, 409, 409]
    assert len(world.announced()) == 2


async def test_a_publication_holds_only_so_many_sessions(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.activities.programme.handlers.PUBLICATION_SESSIONS_MAX", 2)
    activity, _ = await planned(world)
    for hour in (12, 15):
        await world.post(f"/v1/activities/{activity}/sessions", a_plan(hour))
    first = await world.post(f"/v1/activities/{activity}/publication")
    assert (len(first.json["sessions"]), first.json["more"]) == (2, True)
    second = await world.post(f"/v1/activities/{activity}/publication")
    assert (len(second.json["sessions"]), second.json["more"]) == (1, False)


async def test_activities_are_listed_page_by_page(world: World) -> None:
    made = [(await world.post("/v1/activities", ACTIVITY)).json["activity_id"] for _ in range(3)]
    page = (await world.get(f"/v1/activities?unit={UNIT}&limit=2")).json
    rest = (await world.get(f"/v1/activities?unit={UNIT}&limit=2&after={page['next']}")).json
    assert [item["activity_id"] for item in page["items"] + rest["items"]] == made
    assert rest["next"] is None
    assert (await world.get(f"/v1/activities?unit={OTHER_UNIT}")).json["items"] == []


async def test_sessions_of_an_activity_are_listed(world: World) -> None:
    activity, session = await planned(world)
    page = (await world.get(f"/v1/activities/{activity}/sessions")).json
    assert [item["session_id"] for item in page["items"]] == [session]


async def test_the_calendar_of_a_unit_goes_by_days_of_its_own_zone(world: World) -> None:
    world.put(
        a_session("before", at(23, 59, day=13), at(25, day=13)),
        a_session("late", at(23), at(24)),
        a_session("early", at(0), at(1)),
        a_session("next", at(24), at(25)),
        a_session("elsewhere", unit_served=OTHER_UNIT),
    )
    day = f"/v1/sessions?unit={UNIT}&from=2026-07-14&to=2026-07-14"
    assert [item["session_id"] for item in (await world.get(day)).json["items"]] == ["early", "late"]
    page = (await world.get(f"/v1/sessions?unit={UNIT}&limit=3")).json
    rest = (await world.get(f"/v1/sessions?unit={UNIT}&limit=3&after={page['next']}")).json
    assert [item["session_id"] for item in page["items"] + rest["items"]] == ["before", "early", "late", "next"]


async def test_a_cursor_of_another_list_is_refused(world: World) -> None:
    for key in ((1,), ("a", "b")):
        assert (await world.get(f"/v1/activities?unit={UNIT}&after={to_cursor(key)}")).code == "cursor_invalid"


@pytest.mark.parametrize(
    "changes",
    [
        {"title": ""},
        {"title": "字" * 51},
        {"title": "两\n行"},
        {"title": None},
        {"unit_served": "3408"},
        {"organiser_id": "a|b"},
        {"service_type": "医疗"},
        {"key_field": "health"},
        {"phone": "13800000000"},
    ],
)
async def test_an_activity_that_is_malformed_is_refused_with_the_place(world: World, changes: dict[str, Any]) -> None:
    answer = await world.post("/v1/activities", {**ACTIVITY, **changes})
    assert (answer.status, answer.code) == (422, "invalid_body")
    (field,) = changes
    assert [error["path"] for error in answer.json["errors"]] == [f"body.{field}"]
    assert world.store.documents("activities") == {}


@pytest.mark.parametrize(
    "changes",
    [
        {"starts_at": "2026-07-14T09:00:00"},
        {"starts_at": 1784000000},
        {"starts_at": "0001-01-01T00:00:00+14:00"},
        {"ends_at": "9999-12-31T23:59:59-14:00"},
        {"ends_at": "2026-02-30T00:00:00Z"},
        {"capacity": 0},
        {"capacity": 10_001},
        {"capacity": "20.5"},
    ],
)
async def test_a_session_that_is_malformed_is_refused_with_the_place(world: World, changes: dict[str, Any]) -> None:
    activity, session = await planned(world)
    answer = await world.post(f"/v1/activities/{activity}/sessions", a_plan(**changes))
    assert (answer.status, answer.code) == (422, "invalid_body")
    (field,) = changes
    assert [error["path"] for error in answer.json["errors"]] == [f"body.{field}"]
    assert list(world.store.documents("sessions")) == [session]
