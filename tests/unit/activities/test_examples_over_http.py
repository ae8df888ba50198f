"""Every request body in the OpenAPI document has an example, and it does what it says."""

from datetime import date
from typing import Any

import pytest

from services.contracts.ids import UnitCode, VolunteerId, VolunteerNumber
from services.contracts.registry import VolunteerRegistered
from tests.support.activities import UNIT, World, a_session, at, described, own_paths

VOLUNTEER = VolunteerId("0198f3c2-7a10-7c55-9d1e-5f3b2a4c6d70")
NUMBERS = ("V34080200001", "V34080200002")


def bodies() -> list[tuple[str, str, Any]]:
    """Path, media type and example of every body in the document."""
    schemas = described()["components"]["schemas"]
    found = []
    for path, operations in own_paths().items():
        for media_type, content in operations.get("post", {}).get("requestBody", {"content": {}})["content"].items():
            named = [each["value"] for each in content.get("examples", {}).values()]
            plain = [content["example"]] if "example" in content else []
            model = content["schema"].get("$ref", "").rpartition("/")[2]
            found += [(path, media_type, each) for each in named + plain or schemas[model]["examples"]]
    return found


@pytest.fixture
async def world() -> World:
    """What the examples speak of: their volunteers, an activity AC-1, a session SE-1."""
    world = await World().prepare()
    for identity, number in zip((VOLUNTEER, VolunteerId("V-2")), NUMBERS, strict=True):
        await world.tell(
            VolunteerRegistered(
                volunteer_id=identity,
                number=VolunteerNumber(number),
                home_unit=UnitCode(UNIT),
                retired_cadre=True,
                age_band="70_74",
                channel="community",
                registered_on=date(2026, 1, 5),
                state="active",
                teams=(),
            )
        )
    activity = {"_id": "AC-1", "title": "t", "unit_served": UNIT, "organiser_id": "o", "service_type": "health"}
    world.store.put("activities", {**activity, "brand_id": None, "key_field": None, "published": True})
    world.put(a_session("SE-1"), a_session("SE-340802-0001-1"))
    return world


@pytest.mark.parametrize(("path", "media_type", "example"), bodies(), ids=[path for path, _, _ in bodies()])
async def test_the_example_does_what_it_says(world: World, path: str, media_type: str, example: Any) -> None:
    world.clock.at = at(10, 59)
    sent = path.format(activity_id="AC-1", session_id="SE-1")
    if path.endswith("check-outs"):
        in_time = {**example, "at": at(8, 50).isoformat()}
        assert (await world.post(sent.replace("outs", "ins"), in_time)).status == 201
    body = example.encode() if isinstance(example, str) else example
    answer = await world.post(sent, body, headers={"content-type": media_type})
    assert answer.status in {200, 201}, answer.json
    assert answer.json.get("refused", []) in ([], 0)


def test_every_command_with_a_body_has_an_example() -> None:
    paths = {path for path, _, _ in bodies()}
    with_body = {path for path, operations in own_paths().items() if "requestBody" in operations.get("post", {})}
    assert paths == with_body
    assert len(paths) == 8
