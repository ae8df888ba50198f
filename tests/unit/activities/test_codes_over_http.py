"""Codes are shown to who may show them, and open the doors they are for."""

import pytest

from tests.support.activities import OTHER_UNIT, STATION, TEAM, UNIT, World, a_session, at

WORD = {"method": "leader_list"}


@pytest.fixture
async def world() -> World:
    world = await World().prepare()
    await world.register(1)
    world.put(a_session())
    return world


async def test_the_code_that_a_station_shows_opens_its_session(world: World) -> None:
    shown = (await world.get(f"/v1/stations/{STATION}/code", area=UNIT)).json
    assert (shown["station_id"], shown["step_seconds"]) == (STATION, 60)
    assert (shown["valid_from"], shown["valid_until"]) == ("2026-07-14T01:00:00Z", "2026-07-14T01:01:00Z")
    body = {"volunteer_id": "V-1", "proof": {"method": "station_code", "code": shown["code"]}}
    assert (await world.post("/v1/sessions/SE-1/check-ins", body)).status == 201


async def test_a_station_code_follows_business_time(world: World) -> None:
    first = (await world.get(f"/v1/stations/{STATION}/code")).json["code"]
    world.clock.at = at(9, 1)
    assert (await world.get(f"/v1/stations/{STATION}/code")).json["code"] != first


async def test_the_codes_of_a_session_are_the_same_whenever_asked_for(world: World) -> None:
    path = "/v1/sessions/SE-1/one-time-codes"
    codes = (await world.get(f"{path}?count=5", area=UNIT)).json["codes"]
    assert [code[:5] for code in codes] == ["0001-", "0002-", "0003-", "0004-", "0005-"]
    assert (await world.get(f"{path}?first=4&count=2")).json["codes"] == codes[3:]
    body = {"volunteer_id": "V-1", "proof": {"method": "one_time_code", "code": codes[2]}}
    assert (await world.post("/v1/sessions/SE-1/check-ins", body)).status == 201


async def test_a_session_has_only_so_many_slips(world: World) -> None:
    path = "/v1/sessions/SE-1/one-time-codes"
    assert len((await world.get(f"{path}?first=9998&count=500")).json["codes"]) == 2
    for query in ("first=0", "first=10000", "count=0", "count=501"):
        assert (await world.get(f"{path}?{query}")).code == "invalid_parameter"


async def test_codes_are_for_who_may_show_them(world: World) -> None:
    for path in (f"/v1/stations/{STATION}/code", "/v1/sessions/SE-1/one-time-codes"):
        assert (await world.get(path, scopes=("activities.read", "attendance.write"))).code == "scope_missing"
        assert (await world.get(path, area=OTHER_UNIT)).code == "outside_area"


@pytest.mark.parametrize("station", [TEAM, UNIT, "ST-9"])
async def test_only_stations_show_codes(world: World, station: str) -> None:
    assert (await world.get(f"/v1/stations/{station}/code")).code == "station_unknown"


async def test_slips_are_printed_for_sessions_that_exist(world: World) -> None:
    assert (await world.get("/v1/sessions/SE-9/one-time-codes")).code == "session_unknown"
