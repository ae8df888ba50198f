"""Organisations as clerks enter and read them."""

from datetime import date
from typing import Any

import pytest

from services.contracts.registry import OrganisationRegistered
from tests.support.registry import RegistryWorld

TEAM: dict[str, Any] = {
    "organisation_id": "TM-340802-009",
    "kind": "team",
    "name": "迎江九队",
    "unit": "340802",
    "parent_id": "ST-340802-01",
    "since": "2024-01-01",
}


@pytest.fixture
async def registry() -> RegistryWorld:
    return await RegistryWorld().prepare()


async def test_a_new_organisation_is_there_and_announced(registry: RegistryWorld) -> None:
    answer = await registry.command("POST", "/v1/organisations", TEAM)
    assert (answer.status, answer.json) == (201, {"organisation_id": "TM-340802-009", "version": 1})
    seen = await registry.get(answer.headers["location"])
    assert seen.json == {**TEAM, "version": 1}
    assert registry.announced()[-1] == OrganisationRegistered(**{**TEAM, "since": date(2024, 1, 1)})


async def test_a_team_that_is_to_be_founded_can_be_entered(registry: RegistryWorld) -> None:
    assert (await registry.command("POST", "/v1/organisations", {**TEAM, "since": "2026-08-01"})).status == 201


@pytest.mark.parametrize(
    ("changes", "area", "status", "code"),
    [
        ({"organisation_id": "TM-340802-001"}, "3408", 409, "organisation_exists"),
        ({"unit": "340811"}, "3408", 404, "unit_unknown"),
        ({"unit": "340803"}, "340802", 403, "outside_area"),
        ({"parent_id": "ST-340802-77"}, "3408", 422, "organisation_parent_unknown"),
        ({"parent_id": "TM-340802-009"}, "3408", 422, "organisation_parent_circular"),
        ({"since": "2027-07-03"}, "3408", 422, "date_too_far_ahead"),
        ({"organisation_id": "340802"}, "3408", 422, "invalid_body"),
        ({"organisation_id": "34990119560302001X"}, "3408", 422, "invalid_body"),
        ({"organisation_id": "TM-340802-009\n"}, "3408", 422, "invalid_body"),
        ({"kind": "club"}, "3408", 422, "invalid_body"),
        ({"name": "九" * 101}, "3408", 422, "invalid_body"),
    ],
)
async def test_an_organisation_is_refused(
    registry: RegistryWorld, changes: dict[str, Any], area: str, status: int, code: str
) -> None:
    before = registry.store.documents("organisations")
    answer = await registry.command("POST", "/v1/organisations", TEAM | changes, area=area)
    assert (answer.status, answer.code) == (status, code)
    assert registry.store.documents("organisations") == before


async def ids(registry: RegistryWorld, query: str, *, area: str = "3408") -> list[str]:
    """The ids on a page."""
    return [
        row["organisation_id"] for row in (await registry.get(f"/v1/organisations{query}", area=area)).json["items"]
    ]


async def test_organisations_are_listed_by_area_unit_and_kind(registry: RegistryWorld) -> None:
    assert await ids(registry, "") == ["ST-340802-01", "TM-340802-001", "TM-340803-001"]
    assert await ids(registry, "?unit=340802") == ["ST-340802-01", "TM-340802-001"]
    assert await ids(registry, "?kind=team") == ["TM-340802-001", "TM-340803-001"]
    assert await ids(registry, "?unit=340802&kind=station") == ["ST-340802-01"]
    assert await ids(registry, "", area="340803") == ["TM-340803-001"]
    assert await ids(registry, "", area="3501") == []


async def test_pages_of_organisations_leave_nothing_out(registry: RegistryWorld) -> None:
    seen: list[str] = []
    after: str | None = ""
    while after is not None:
        page = (await registry.get(f"/v1/organisations?limit=1{after and f'&after={after}'}")).json
        seen += [row["organisation_id"] for row in page["items"]]
        after = page["next"]
    assert seen == ["ST-340802-01", "TM-340802-001", "TM-340803-001"]


async def test_a_cursor_does_not_lead_out_of_the_area(registry: RegistryWorld) -> None:
    cursor = (await registry.get("/v1/organisations?limit=1")).json["next"]
    assert (await registry.get(f"/v1/organisations?after={cursor}", area="340803")).code == "cursor_invalid"
    assert (await registry.get(f"/v1/organisations?unit=340803&after={cursor}")).code == "cursor_invalid"


@pytest.mark.parametrize(
    ("path", "area", "status", "code"),
    [
        ("/v1/organisations/TM-340802-777", "3408", 404, "organisation_unknown"),
        ("/v1/organisations/TM-340802-001", "340803", 403, "outside_area"),
        ("/v1/organisations?unit=340802", "340803", 403, "outside_area"),
        ("/v1/organisations?kind=club", "3408", 422, "invalid_parameter"),
        ("/v1/organisations?after=WyJhIl0", "3408", 400, "cursor_invalid"),
    ],
)
async def test_a_read_of_organisations_is_refused(
    registry: RegistryWorld, path: str, area: str, status: int, code: str
) -> None:
    answer = await registry.get(path, area=area)
    assert (answer.status, answer.code) == (status, code)
