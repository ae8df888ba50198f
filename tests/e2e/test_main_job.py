"""The main job: one check-in reaches the balance and the score, over HTTP, on real processes."""

from fractions import Fraction
from typing import Any

import pytest

from deploy.history.gateway_client import Gateway
from deploy.local.processes import PROCESSES, Platform
from tests.support.town import HOUR, UNIT, WITHIN_S, Town, kiosk_batch, now, until, whole_minutes

QUARTER_OF_MONTH = {month: (month + 2) // 3 for month in range(1, 13)}


def period() -> str:
    """The quarter that now lies in, by Shanghai's calendar."""
    day = now() + 8 * HOUR
    return f"{day.year}-Q{QUARTER_OF_MONTH[day.month]}"


async def participation(gateway: Gateway) -> Fraction:
    """How many of the roll took part."""
    score = await gateway.get(f"/assessment/v1/units/{UNIT}/scores/{period()}")
    value = next(row["value"] for row in score["indicators"] if row["indicator"] == "I5")
    return Fraction(value)


async def test_one_check_in_reaches_balance_and_score(town: Town, gateway: Gateway) -> None:
    started, number = now() - 2 * HOUR, "340802000001"
    came, left = started + HOUR / 2, started + HOUR
    await town.publish("SE-e2e-1", started, started + 2 * HOUR)
    before = await participation(gateway)
    batch = kiosk_batch([("SE-e2e-1", number, "check_in", came), ("SE-e2e-1", number, "check_out", left)])

    async def send() -> Any:
        return (await gateway.post("/activities/v1/batches", content=batch)).json()

    receipt = await until(send, lambda answer: "accepted" in answer)
    assert receipt["refused"] == []
    account = await until(lambda: town.account(number), lambda seen: bool(seen and seen["entries"]))
    assert account["minutes"] == whole_minutes(came, left)
    assert account["by_grade"]["grade_2"] == account["minutes"]
    assert await until(lambda: participation(gateway), lambda value: value > before) == before + Fraction(1, 100)
    walk = await gateway.get(f"/hours/v1/accounts/{town.volunteers[number]}/verification")
    assert walk["holds"]
    assert (await send())["accepted"] == receipt["accepted"]
    assert (await town.account(number))["minutes"] == account["minutes"]


async def test_sign_up_check_in_by_station_code_and_check_out_by_card(town: Town, gateway: Gateway) -> None:
    number = "340802000002"
    volunteer = town.volunteers[number]
    await town.publish("SE-e2e-2", now() - HOUR, now() + HOUR)
    session = "/activities/v1/sessions/SE-e2e-2"
    await until(
        lambda: town.post(f"{session}/sign-ups", {"volunteer_id": volunteer}, key="sign up"),
        lambda answer: answer.status_code in (200, 201),
    )
    code = (await gateway.get("/activities/v1/stations/ST-1/code"))["code"]
    body: dict[str, Any] = {"volunteer_id": volunteer, "proof": {"method": "station_code", "code": code}}
    first = await town.accept(f"{session}/check-ins", body, key="check in")
    assert await town.accept(f"{session}/check-ins", body, key="check in") == first
    again = await town.post(f"{session}/check-ins", body, key="another key")
    assert (again.status_code, again.json()["code"]) == (409, "already_checked_in")
    account = await until(lambda: town.account(number), lambda seen: bool(seen and seen["pending"]))
    assert account["minutes"] == 0
    body = {"volunteer_id": volunteer, "proof": {"method": "personal_card", "card": number}}
    await town.accept(f"{session}/check-outs", body, key="check out")
    account = await until(lambda: town.account(number), lambda seen: seen["entries"] == 1)
    assert account["pending"] == []


async def test_changes_of_every_service_can_be_read_without_a_gap(town: Town, gateway: Gateway) -> None:
    assert town.volunteers
    for service in ("registry", "activities", "hours", "assessment"):
        seen: list[str] = []
        after: dict[str, str | int] = {}
        while True:
            page = await gateway.get(f"/{service}/v1/changes", limit=50, **after)
            seen += [event["id"] for event in page["items"]]
            if not page["items"]:
                break
            after = {"after": page["next"]}
        assert len(seen) == len(set(seen))
        assert seen or service == "assessment"


async def test_county_does_not_see_another_countys_people(town: Town, gateway: Gateway) -> None:
    stranger = gateway.tokens.of("county", "340803")
    path = f"{gateway.address}/registry/v1/volunteers/{town.volunteers['340802000001']}"
    import httpx  # noqa: PLC0415

    async with httpx.AsyncClient(trust_env=False) as client:
        answer = await client.get(path, headers={"Authorization": f"Bearer {stranger}"})
        assert (answer.status_code, answer.json()["code"]) == (403, "outside_area")
        assert (await client.get(path)).json()["code"] == "unauthenticated"


@pytest.mark.parametrize("name", PROCESSES)
def test_every_process_tells_its_metrics_and_its_health(platform: Platform, name: str) -> None:
    platform.wait_ready(name, within_s=WITHIN_S)  # a group that is just being assigned anew is not ready for a moment
    assert "# HELP" in platform.metrics(name)
