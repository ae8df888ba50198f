"""Copies of volunteers, units and organisations follow what registry publishes."""

import pytest

from services.activities.people import store as people
from services.activities.people.rules import Volunteer
from services.activities.places import store as places
from services.activities.places.rules import Place, is_organisation, is_unit, station_of
from services.contracts.ids import UnitCode, VolunteerId, VolunteerNumber
from services.contracts.registry import RollRecorded
from tests.support.activities import (
    OTHER_UNIT,
    STATION,
    TEAM,
    UNIT,
    World,
    at,
    organisation_registered,
    volunteer_registered,
    volunteer_updated,
)

ONE = VolunteerId("V-1")


@pytest.fixture
async def world() -> World:
    return await World().prepare()


async def test_a_volunteer_is_known_by_id_and_by_number(world: World) -> None:
    await world.tell(volunteer_registered(1))
    copy = Volunteer(ONE, VolunteerNumber("N-1"), UNIT, "active")
    assert await people.load(world.store, [ONE, VolunteerId("V-2")]) == {ONE: copy}
    numbers = [VolunteerNumber("N-1"), VolunteerNumber("N-2")]
    assert await people.load_by_number(world.store, numbers) == {VolunteerNumber("N-1"): copy}


async def test_a_copy_follows_every_change(world: World) -> None:
    await world.tell(volunteer_registered(1))
    await world.tell(volunteer_updated(1, state="paused", home_unit=OTHER_UNIT))
    copy = (await people.load(world.store, [ONE]))[ONE]
    assert (copy.state, copy.home_unit) == ("paused", OTHER_UNIT)


async def test_the_last_of_several_changes_in_one_batch_holds(world: World) -> None:
    await world.tell(volunteer_registered(1), volunteer_updated(1, state="paused"), volunteer_updated(1, state="left"))
    assert (await people.load(world.store, [ONE]))[ONE].state == "left"


async def test_a_number_that_two_have_is_nobodys(world: World) -> None:
    await world.register(1, 2)
    document = world.store.documents(people.VOLUNTEERS)["V-2"]
    world.store.put(people.VOLUNTEERS, document | {"number": "N-1"})
    assert await people.load_by_number(world.store, [VolunteerNumber("N-1")]) == {}


async def test_who_has_no_copy_yet_is_unknown(world: World) -> None:
    world.store.put(people.VOLUNTEERS, {"_id": "V-1", "inbox": {"parked": True}})
    assert await people.load(world.store, [ONE]) == {}


async def test_a_unit_and_an_organisation_are_told_apart(world: World) -> None:
    known = await places.load(world.store, [UNIT, STATION, TEAM, "nowhere"])
    assert known == {
        UNIT: Place(UNIT, "unit", UNIT),
        STATION: Place(STATION, "station", UNIT),
        TEAM: Place(TEAM, "team", UNIT),
    }
    assert is_unit(known[UNIT])
    assert not is_unit(known[TEAM])
    assert is_organisation(known[TEAM])
    assert is_organisation(known[TEAM], "team")
    assert not is_organisation(known[TEAM], "brand")
    assert not is_organisation(known[UNIT])
    assert (station_of(known[STATION]), station_of(known[TEAM]), station_of(None)) == (STATION, None, None)


async def test_an_organisation_follows_its_unit(world: World) -> None:
    await world.tell(organisation_registered(STATION, "station", OTHER_UNIT))
    assert (await places.load(world.store, [STATION]))[STATION].unit == OTHER_UNIT


async def test_a_roll_is_of_no_use_here(world: World) -> None:
    before = world.store.documents(places.PLACES)[UNIT]
    await world.tell(RollRecorded(unit=UnitCode(UNIT), as_of=at(9).date(), people=2360))
    after = world.store.documents(places.PLACES)[UNIT]
    assert {name: after[name] for name in ("kind", "unit")} == {name: before[name] for name in ("kind", "unit")}
    assert world.processing.witness.counts["ignored"] == 1


async def test_touching_a_volunteer_writes_the_copy_and_changes_nothing_of_it(world: World) -> None:
    await world.register(1)
    before = await people.load(world.store, [ONE])
    commits = world.store.commits
    await world.store.transact(lambda tx: people.touch(tx, ONE, "by-this"))
    assert world.store.commits == commits + 1
    assert await people.load(world.store, [ONE]) == before
    await world.tell(volunteer_updated(1, state="paused"))
    assert (await people.load(world.store, [ONE]))[ONE].state == "paused"
