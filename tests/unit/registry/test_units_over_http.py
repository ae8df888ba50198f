"""The area table and the rolls as clerks edit and read them."""

from datetime import date
from typing import Any

import pytest

from services.contracts.registry import RollRecorded, UnitRegistered
from tests.support.registry import RegistryWorld

YINGJIANG: dict[str, Any] = {"system": "gbt2260", "name": "迎江区", "parent": "340800", "valid_from": "2020-01-01"}


@pytest.fixture
async def registry() -> RegistryWorld:
    return await RegistryWorld().prepare()


async def test_a_new_unit_is_there_and_announced(registry: RegistryWorld) -> None:
    answer = await registry.command("PUT", "/v1/units/340811", {**YINGJIANG, "name": "宜秀区"})
    assert (answer.status, answer.json) == (200, {"unit": "340811", "version": 1, "changed": True})
    assert answer.headers["etag"] == '"1"'
    event = registry.announced()[-1]
    assert isinstance(event, UnitRegistered)
    assert (event.unit, event.name, event.parent, event.valid_from) == ("340811", "宜秀区", "340800", date(2020, 1, 1))
    seen = await registry.get("/v1/units/340811")
    assert (seen.json["name"], seen.headers["etag"]) == ("宜秀区", '"1"')


async def test_a_unit_known_already_is_unchanged_and_not_announced_again(registry: RegistryWorld) -> None:
    before = registry.announced()
    answer = await registry.command("PUT", "/v1/units/340802", YINGJIANG)
    assert answer.json == {"unit": "340802", "version": 1, "changed": False}
    assert registry.announced() == before


async def test_a_later_version_is_kept_beside_the_earlier_ones(registry: RegistryWorld) -> None:
    later = {**YINGJIANG, "name": "新迎江区", "valid_from": "2026-05-01"}
    assert (await registry.command("PUT", "/v1/units/340802", later, if_match="1")).json["version"] == 2
    seen = (await registry.get("/v1/units/340802")).json
    assert [(row["valid_from"], row["name"]) for row in seen["versions"]] == [
        ("2020-01-01", "迎江区"),
        ("2026-05-01", "新迎江区"),
    ]
    assert seen["name"] == "新迎江区"


async def test_the_last_version_can_be_corrected_in_place(registry: RegistryWorld) -> None:
    await registry.command("PUT", "/v1/units/340802", {**YINGJIANG, "name": "迎江"}, if_match="1")
    seen = (await registry.get("/v1/units/340802")).json
    assert [row["name"] for row in seen["versions"]] == ["迎江"]


async def test_a_roll_is_recorded_by_date_in_any_order(registry: RegistryWorld) -> None:
    for as_of, people in (("2025-12-31", 2360), ("2024-12-31", 2384)):
        answer = await registry.command("PUT", "/v1/units/340802/roll", {"as_of": as_of, "people": people})
        assert answer.json["changed"]
    seen = (await registry.get("/v1/units/340802")).json["roll"]
    assert seen == [{"as_of": "2024-12-31", "people": 2384}, {"as_of": "2025-12-31", "people": 2360}]
    event = registry.announced()[-1]
    assert isinstance(event, RollRecorded)
    assert (event.unit, event.as_of, event.people) == ("340802", date(2024, 12, 31), 2384)


async def test_a_count_that_is_there_is_replaced_only_with_if_match(registry: RegistryWorld) -> None:
    body = {"as_of": "2025-12-31", "people": 2360}
    await registry.command("PUT", "/v1/units/340802/roll", body)
    assert (await registry.command("PUT", "/v1/units/340802/roll", body)).json["changed"] is False
    other = {**body, "people": 2361}
    assert (await registry.command("PUT", "/v1/units/340802/roll", other)).code == "if_match_missing"
    assert (await registry.command("PUT", "/v1/units/340802/roll", other, if_match="1")).code == "etag_mismatch"
    assert (await registry.command("PUT", "/v1/units/340802/roll", other, if_match="2")).status == 200
    assert (await registry.get("/v1/units/340802")).json["roll"] == [other]


@pytest.mark.parametrize(
    ("unit", "changes", "if_match", "status", "code"),
    [
        ("340802", {"name": "别名"}, None, 428, "if_match_missing"),
        ("340802", {"name": "别名"}, "7", 412, "etag_mismatch"),
        ("340811", {}, "1", 412, "etag_mismatch"),
        ("340811", {"parent": "999999"}, None, 422, "unit_parent_unknown"),
        ("340811", {"parent": "340811"}, None, 422, "unit_parent_circular"),
        ("340800", {"system": "own", "name": "市直", "parent": "340802"}, "1", 422, "unit_parent_circular"),
        ("340811", {"valid_from": "2027-07-03"}, None, 422, "date_too_far_ahead"),
        ("340802", {"valid_from": "2019-01-01"}, "1", 422, "unit_version_too_early"),
        ("350100", {}, None, 403, "outside_area"),
        ("34080", {}, None, 422, "invalid_parameter"),
        ("340811", {"system": "mine"}, None, 422, "invalid_body"),
        ("340811", {"name": ""}, None, 422, "invalid_body"),
        ("340811", {"name": "a\nb"}, None, 422, "invalid_body"),
        ("340811", {"valid_from": "2020-02-30"}, None, 422, "invalid_body"),
        ("340811", {"colour": "red"}, None, 422, "invalid_body"),
    ],
)
async def test_an_edit_of_a_unit_is_refused(
    registry: RegistryWorld, unit: str, changes: dict[str, Any], if_match: str | None, status: int, code: str
) -> None:
    before = registry.store.documents("units")
    answer = await registry.command("PUT", f"/v1/units/{unit}", {**YINGJIANG, **changes}, if_match=if_match)
    assert (answer.status, answer.code) == (status, code)
    assert registry.store.documents("units") == before


@pytest.mark.parametrize(
    ("unit", "body", "area", "status", "code"),
    [
        ("340811", {"as_of": "2025-12-31", "people": 1}, "3408", 404, "unit_unknown"),
        ("340802", {"as_of": "2026-07-02", "people": 1}, "3408", 422, "date_in_future"),
        ("340802", {"as_of": "2025-12-31", "people": 1}, "340803", 403, "outside_area"),
        ("340802", {"as_of": "2025-12-31", "people": -1}, "3408", 422, "invalid_body"),
        ("340802", {"as_of": "2025-12-31", "people": "1"}, "3408", 422, "invalid_body"),
    ],
)
async def test_a_count_is_refused(
    registry: RegistryWorld, unit: str, body: dict[str, Any], area: str, status: int, code: str
) -> None:
    answer = await registry.command("PUT", f"/v1/units/{unit}/roll", body, area=area)
    assert (answer.status, answer.code) == (status, code)


async def test_units_are_listed_by_area_in_pages(registry: RegistryWorld) -> None:
    first = (await registry.get("/v1/units?limit=2")).json
    second = (await registry.get(f"/v1/units?limit=2&after={first['next']}")).json
    assert [unit["unit"] for unit in first["items"] + second["items"]] == ["340800", "340802", "340803"]
    assert second["next"] is None
    assert [unit["unit"] for unit in (await registry.get("/v1/units", area="340803")).json["items"]] == ["340803"]
    assert (await registry.get("/v1/units", area="3501")).json["items"] == []
    assert len((await registry.get("/v1/units", area="34")).json["items"]) == 3


async def test_a_cursor_does_not_lead_out_of_the_area(registry: RegistryWorld) -> None:
    cursor = (await registry.get("/v1/units?limit=1")).json["next"]
    assert (await registry.get(f"/v1/units?after={cursor}", area="340803")).code == "cursor_invalid"
    assert (await registry.get(f"/v1/units?after={cursor}", area="34")).status == 200


@pytest.mark.parametrize(
    ("path", "area", "status", "code"),
    [
        ("/v1/units/340811", "3408", 404, "unit_unknown"),
        ("/v1/units/340802", "340803", 403, "outside_area"),
        ("/v1/units?after=x", "3408", 400, "cursor_invalid"),
        ("/v1/units?after=WzFd", "3408", 400, "cursor_invalid"),
        ("/v1/units?limit=201", "3408", 422, "invalid_parameter"),
    ],
)
async def test_a_read_of_units_is_refused(
    registry: RegistryWorld, path: str, area: str, status: int, code: str
) -> None:
    answer = await registry.get(path, area=area)
    assert (answer.status, answer.code) == (status, code)


async def test_a_unit_has_so_many_versions_and_a_roll_so_many_dates(registry: RegistryWorld) -> None:
    document = registry.store.documents("units")["340802"]
    rows = [{**document["rows"][0], "valid_from": f"2020-01-01.{number}"} for number in range(100)]
    roll = [{"as_of": f"2020-01-01.{number}", "people": 1} for number in range(400)]
    registry.store.put("units", {**document, "rows": rows, "roll": roll})
    later = {**YINGJIANG, "valid_from": "2026-05-01"}
    assert (await registry.command("PUT", "/v1/units/340802", later, if_match="1")).code == "unit_versions_too_many"
    count = {"as_of": "2025-12-31", "people": 1}
    assert (await registry.command("PUT", "/v1/units/340802/roll", count)).code == "roll_dates_too_many"


async def test_writing_needs_the_scope_and_a_key(registry: RegistryWorld) -> None:
    answer = await registry.command("PUT", "/v1/units/340811", YINGJIANG, scopes=["registry.read"])
    assert answer.code == "scope_missing"
    assert (await registry.get("/v1/units", scopes=["hours.read"])).code == "scope_missing"
