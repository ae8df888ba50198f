"""Volunteers as clerks register, edit, list and look at them."""

import asyncio
from datetime import date, timedelta
from typing import Any

import pytest

from services.contracts.registry import VolunteerRegistered, VolunteerUpdated
from services.eventing.ports import StoreUnavailableError
from tests.support.registry import READ, RegistryWorld, id_number, volunteer_body, volunteer_row

REVEAL = ("registry.read", "volunteers.reveal")


@pytest.fixture
async def registry() -> RegistryWorld:
    return await RegistryWorld().prepare()


async def test_a_registered_volunteer_is_announced_without_anything_personal(registry: RegistryWorld) -> None:
    volunteer = await registry.register()
    event = registry.announced()[-1]
    assert event == VolunteerRegistered(
        volunteer_id=volunteer,  # type: ignore[arg-type]
        number="340802000001",  # type: ignore[arg-type]
        home_unit="340802",  # type: ignore[arg-type]
        retired_cadre=True,
        age_band="70_74",
        channel="unit_recommendation",
        registered_on=date(2024, 3, 5),
        state="active",
        teams=("TM-340802-001",),  # type: ignore[arg-type]
    )


async def test_a_volunteer_is_read_masked(registry: RegistryWorld) -> None:
    volunteer = await registry.register()
    seen = await registry.get(f"/v1/volunteers/{volunteer}")
    assert seen.headers["etag"] == '"1"'
    number = volunteer_row()["id_number"]
    assert seen.json["masked"] == {
        "name": "甄**",
        "id_number": f"349*************{number[-2:]}",
        "mobile": "154****0001",
    }
    assert seen.json["personal"] is None
    assert number not in seen.body.decode()


async def test_a_volunteer_is_revealed_with_scope_and_reason(registry: RegistryWorld) -> None:
    volunteer = await registry.register()
    path = f"/v1/volunteers/{volunteer}?reveal=true&reason=contact"
    seen = (await registry.get(path, scopes=REVEAL)).json["personal"]
    assert (seen["name"], seen["mobile"], seen["birth_date"]) == ("甄银龄", "15401000001", "1956-03-02")
    assert seen["id_number"] == volunteer_row()["id_number"]


async def test_an_id_number_in_lower_case_is_the_same_person(registry: RegistryWorld) -> None:
    serial = next(n for n in range(1, 999, 2) if id_number(serial=n).endswith("X"))
    number = id_number(serial=serial)
    await registry.register(1, personal={"id_number": number.lower()})
    answer = await registry.command("POST", "/v1/volunteers", volunteer_body(2, personal={"id_number": number}))
    assert answer.code == "volunteer_duplicate"


@pytest.mark.parametrize(
    ("said", "status", "code"),
    [
        ({"number": "340802000002"}, 409, "volunteer_duplicate"),
        ({"personal": {"id_number": id_number(serial=999)}}, 409, "volunteer_number_taken"),
    ],
)
async def test_the_same_person_or_number_twice_is_refused(
    registry: RegistryWorld, said: dict[str, Any], status: int, code: str
) -> None:
    await registry.register()
    answer = await registry.command("POST", "/v1/volunteers", volunteer_body(1, **said))
    assert (answer.status, answer.code) == (status, code)
    assert len(registry.store.documents("volunteers")) == 1


@pytest.mark.parametrize(
    ("said", "area", "status", "code"),
    [
        ({"number": "12"}, "3408", 422, "number_form"),
        ({"number": "编号一二三四"}, "3408", 422, "number_form"),
        ({"number": "15401000012"}, "3408", 422, "number_personal"),
        ({"number": "349901195603020014"}, "3408", 422, "number_personal"),
        ({"home_unit": "340811"}, "3408", 404, "unit_unknown"),
        ({}, "340803", 403, "outside_area"),
        ({"registered_on": "2026-07-02"}, "3408", 422, "date_in_future"),
        ({"registered_on": "1956-03-02"}, "3408", 422, "registered_before_birth"),
        ({"teams": ["TM-340802-777"]}, "3408", 422, "team_unknown"),
        ({"teams": ["ST-340802-01"]}, "3408", 422, "organisation_not_a_team"),
        ({"personal": {"name": "1"}}, "3408", 422, "name_form"),
        ({"personal": {"id_number": "x"}}, "3408", 422, "id_number_form"),
        ({"personal": {"id_number": "349901195603020015"}}, "3408", 422, "id_number_check_digit"),
        ({"personal": {"birth_date": "1956-03-03"}}, "3408", 422, "id_number_birth_date"),
        ({"personal": {"sex": "2"}}, "3408", 422, "id_number_sex"),
        ({"personal": {"birth_date": "2020-03-02"}}, "3408", 422, "id_number_birth_date"),
        (
            {"personal": {"birth_date": "2009-03-02", "id_number": id_number(date(2009, 3, 2))}},
            "3408",
            422,
            "birth_date_range",
        ),
        ({"personal": {"political_status": "99"}}, "3408", 422, "political_status_unknown"),
        ({"personal": {"ethnic_group": "99"}}, "3408", 422, "ethnic_group_unknown"),
        ({"personal": {"mobile": "1"}}, "3408", 422, "mobile_form"),
        ({"personal": {"address": "a\nb"}}, "3408", 422, "address_form"),
        ({"personal": {"id_type": "passport"}}, "3408", 422, "invalid_body"),
        ({"personal": {"sex": "3"}}, "3408", 422, "invalid_body"),
        ({"teams": [f"TM-{number}" for number in range(21)]}, "3408", 422, "invalid_body"),
        ({"retired_cadre": "perhaps"}, "3408", 422, "invalid_body"),
        ({"channel": "street"}, "3408", 422, "invalid_body"),
    ],
)
async def test_a_registration_is_refused_and_leaves_nothing(
    registry: RegistryWorld, said: dict[str, Any], area: str, status: int, code: str
) -> None:
    before = registry.announced()
    answer = await registry.command("POST", "/v1/volunteers", volunteer_body(**said), area=area)
    assert (answer.status, answer.code) == (status, code)
    assert registry.store.documents("volunteers") == {}
    assert registry.store.documents("volunteer_claims") == {}
    assert registry.announced() == before
    assert registry.vault.keys == {}


async def test_a_refusal_names_every_wrong_field(registry: RegistryWorld) -> None:
    body = volunteer_body(personal={"name": "1", "mobile": "2"})
    problem = (await registry.command("POST", "/v1/volunteers", body)).json
    assert problem["code"] == "name_form"
    assert [error["message"] for error in problem["errors"]] == ["name_form", "mobile_form"]


async def test_a_repeated_command_registers_once_and_makes_one_key(registry: RegistryWorld) -> None:
    first = await registry.command("POST", "/v1/volunteers", volunteer_body(), key="k")
    second = await registry.command("POST", "/v1/volunteers", volunteer_body(), key="k")
    assert second.headers["idempotency-replayed"] == "true"
    assert first.body == second.body
    assert len(registry.vault.keys) == 1
    other = await registry.command("POST", "/v1/volunteers", volunteer_body(2), key="k")
    assert other.code == "idempotency_key_reused"


async def test_an_edit_changes_what_is_sent_and_is_announced(registry: RegistryWorld) -> None:
    volunteer = await registry.register()
    changes: dict[str, Any] = {"home_unit": "340803", "state": "paused", "teams": [], "mobile": None, "name": "甄长青"}
    answer = await registry.command("PATCH", f"/v1/volunteers/{volunteer}", changes, if_match="1")
    assert (answer.status, answer.json["version"], answer.headers["etag"]) == (200, 2, '"2"')
    event = registry.announced()[-1]
    assert isinstance(event, VolunteerUpdated)
    assert (event.home_unit, event.state, event.teams) == ("340803", "paused", ())
    path = f"/v1/volunteers/{volunteer}?reveal=true&reason=correction"
    seen = (await registry.get(path, scopes=REVEAL)).json
    assert (seen["personal"]["name"], seen["personal"]["mobile"]) == ("甄长青", None)
    assert seen["personal"]["address"] == "迎江区晚晴路7号"
    assert (seen["channel"], seen["number"]) == ("unit_recommendation", "340802000001")


async def test_an_edit_that_says_what_is_known_changes_nothing(registry: RegistryWorld) -> None:
    volunteer = await registry.register()
    before = registry.announced()
    answer = await registry.command("PATCH", f"/v1/volunteers/{volunteer}", {"name": "甄银龄"}, if_match="1")
    assert answer.json == {"volunteer_id": volunteer, "version": 1, "changed": False}
    assert registry.announced() == before


async def test_an_id_number_can_be_corrected_and_the_wrong_one_is_free_again(registry: RegistryWorld) -> None:
    volunteer = await registry.register()
    wrong, right = volunteer_row()["id_number"], id_number(serial=999)
    assert (
        await registry.command("PATCH", f"/v1/volunteers/{volunteer}", {"id_number": right}, if_match="1")
    ).status == 200
    taken = await registry.command("POST", "/v1/volunteers", volunteer_body(2, personal={"id_number": right}))
    assert taken.code == "volunteer_duplicate"
    await registry.register(2, personal={"id_number": wrong})


async def test_age_bands_are_told_anew_with_the_next_change(registry: RegistryWorld) -> None:
    born = date(1951, 7, 2)
    volunteer = await registry.register(personal={"birth_date": born.isoformat(), "id_number": id_number(born)})
    registry.clock.move(timedelta(days=2))
    answer = await registry.command("PATCH", f"/v1/volunteers/{volunteer}", {"retired_cadre": True}, if_match="1")
    assert answer.json["changed"] is False
    await registry.command("PATCH", f"/v1/volunteers/{volunteer}", {"retired_cadre": False}, if_match="1")
    assert [event.age_band for event in registry.announced()[-2:]] == ["70_74", "75_79"]


@pytest.mark.parametrize(
    ("changes", "if_match", "area", "status", "code"),
    [
        ({"name": "甄长青"}, None, "3408", 428, "if_match_missing"),
        ({"name": "甄长青"}, "2", "3408", 412, "etag_mismatch"),
        ({"name": "甄长青"}, "1", "340803", 403, "outside_area"),
        ({"home_unit": "340803"}, "1", "340802", 403, "outside_area"),
        ({"home_unit": "340811"}, "1", "3408", 404, "unit_unknown"),
        ({"birth_date": "1956-03-03"}, "1", "3408", 422, "id_number_birth_date"),
        ({"id_number": volunteer_row(2)["id_number"]}, "1", "3408", 409, "volunteer_duplicate"),
        ({"name": None}, "1", "3408", 422, "invalid_body"),
        ({"number": "340802000009"}, "1", "3408", 422, "invalid_body"),
        ({"state": "resting"}, "1", "3408", 422, "invalid_body"),
    ],
)
async def test_an_edit_is_refused(
    registry: RegistryWorld, changes: dict[str, Any], if_match: str | None, area: str, status: int, code: str
) -> None:
    volunteer = await registry.register()
    await registry.register(2)
    before = registry.store.documents("volunteers")
    answer = await registry.command("PATCH", f"/v1/volunteers/{volunteer}", changes, if_match=if_match, area=area)
    assert (answer.status, answer.code) == (status, code)
    assert registry.store.documents("volunteers") == before


async def test_an_edit_of_nobody_is_refused(registry: RegistryWorld) -> None:
    answer = await registry.command("PATCH", "/v1/volunteers/nobody", {}, if_match="1")
    assert answer.code == "volunteer_unknown"


async def test_an_erased_person_is_shown_without_data_and_cannot_be_edited(registry: RegistryWorld) -> None:
    volunteer = await registry.register()
    registry.vault.destroy(volunteer)
    seen = (await registry.get(f"/v1/volunteers/{volunteer}?reveal=true&reason=contact", scopes=REVEAL)).json
    assert (seen["masked"], seen["personal"], seen["number"]) == (None, None, "340802000001")
    answer = await registry.command("PATCH", f"/v1/volunteers/{volunteer}", {"name": "甄长青"}, if_match="1")
    assert (answer.status, answer.code) == (410, "volunteer_erased")


async def test_volunteers_are_listed_by_unit_and_number_in_pages(registry: RegistryWorld) -> None:
    await registry.register(3)
    await registry.register(1)
    await registry.register(2, home_unit="340803")
    seen: list[str] = []
    after: str | None = ""
    while after is not None:
        page = (await registry.get(f"/v1/volunteers?limit=1{after and f'&after={after}'}")).json
        seen += [row["number"] for row in page["items"]]
        after = page["next"]
    assert seen == ["340802000001", "340802000003", "340802000002"]
    of_unit = (await registry.get("/v1/volunteers?unit=340803")).json["items"]
    assert [row["number"] for row in of_unit] == ["340802000002"]
    assert of_unit[0]["masked"]["name"] == "甄**"


async def test_a_cursor_does_not_lead_out_of_the_area(registry: RegistryWorld) -> None:
    await registry.register(1)
    await registry.register(2)
    cursor = (await registry.get("/v1/volunteers?limit=1")).json["next"]
    assert (await registry.get(f"/v1/volunteers?after={cursor}", area="340803")).code == "cursor_invalid"
    assert (await registry.get(f"/v1/volunteers?unit=340803&after={cursor}")).code == "cursor_invalid"


@pytest.mark.parametrize(
    ("query", "area", "found"),
    [
        ("number=340802000001", "3408", 1),
        ("number=340802000001&unit=340802", "3408", 1),
        ("number=340802000001&unit=340803", "3408", 0),
        ("number=340802000001", "340803", 0),
        ("number=340802000777", "3408", 0),
    ],
)
async def test_a_volunteer_is_found_by_number_within_the_area(
    registry: RegistryWorld, query: str, area: str, found: int
) -> None:
    await registry.register()
    page = (await registry.get(f"/v1/volunteers?{query}", area=area)).json
    assert (len(page["items"]), page["next"]) == (found, None)


@pytest.mark.parametrize(
    ("path", "scopes", "area", "status", "code"),
    [
        ("/v1/volunteers/nobody", READ, "3408", 404, "volunteer_unknown"),
        ("/v1/volunteers/{id}", READ, "340803", 403, "outside_area"),
        ("/v1/volunteers/{id}?reveal=true&reason=contact", READ, "3408", 403, "scope_missing"),
        ("/v1/volunteers/{id}?reveal=true", REVEAL, "3408", 422, "reveal_reason_missing"),
        ("/v1/volunteers/{id}?reveal=true&reason=because", REVEAL, "3408", 422, "invalid_parameter"),
        ("/v1/volunteers/{id}", ("hours.read",), "3408", 403, "scope_missing"),
        ("/v1/volunteers?unit=340802", READ, "340803", 403, "outside_area"),
        ("/v1/volunteers?after=WzEsMl0", READ, "3408", 400, "cursor_invalid"),
        ("/v1/volunteers?unit=city", READ, "3408", 422, "invalid_parameter"),
    ],
)
async def test_a_read_of_volunteers_is_refused(
    registry: RegistryWorld, path: str, scopes: tuple[str, ...], area: str, status: int, code: str
) -> None:
    volunteer = await registry.register()
    answer = await registry.get(path.replace("{id}", volunteer), scopes=scopes, area=area)
    assert (answer.status, answer.code) == (status, code)


async def test_a_vault_that_cannot_be_asked_makes_the_client_try_again(registry: RegistryWorld) -> None:
    def away(_: str) -> None:
        raise StoreUnavailableError("the vault does not answer")

    volunteer = await registry.register()
    registry.vault.fault = away
    answer = await registry.command("POST", "/v1/volunteers", volunteer_body(2))
    assert (answer.status, answer.code) == (503, "try_again")
    assert (await registry.get(f"/v1/volunteers/{volunteer}")).code == "try_again"
    assert (await registry.get("/readyz")).status == 503
    registry.vault.fault = None
    await registry.register(2)


async def test_two_registrations_of_one_person_at_once_leave_one(registry: RegistryWorld) -> None:
    bodies = [volunteer_body(1), volunteer_body(1, number="340802000002"), volunteer_body(1, number="340802000003")]
    answers = await asyncio.gather(*(registry.command("POST", "/v1/volunteers", body) for body in bodies))
    assert sorted(answer.status for answer in answers) == [201, 409, 409]
    assert len(registry.store.documents("volunteers")) == 1
