"""Assessment as its readers see it: events through the engine, scores over HTTP."""

from datetime import date
from fractions import Fraction

import msgspec
import pytest

from services.assessment import wiring
from services.assessment.facts import store as facts
from services.contracts.codec import decode
from services.contracts.documents import examples
from services.contracts.event import Event
from services.contracts.hours import EntryPosted
from services.contracts.ids import Grade, OrganisationId, UnitCode, VolunteerId
from services.contracts.registry import OrganisationRegistered, RollRecorded, UnitRegistered, VolunteerRegistered
from tests.support.asgi import Answer, call
from tests.support.parked import waits
from tests.support.ports import make_ports
from tests.support.processing import Processing
from tests.support.tokens import bearer, http_settings

EXAMPLE: EntryPosted = decode(EntryPosted.TYPE, examples(EntryPosted)[1]).data
PERSON: VolunteerRegistered = decode(VolunteerRegistered.TYPE, examples(VolunteerRegistered)[1]).data


def unit(code: str = "340802", name: str = "迎江区") -> UnitRegistered:
    """A row of the area table."""
    return UnitRegistered(unit=UnitCode(code), system="gbt2260", name=name, parent=None, valid_from=date(2023, 11, 1))


def roll(people: int, code: str = "340802", as_of: date = date(2026, 6, 30)) -> RollRecorded:
    """A count of a unit's roll."""
    return RollRecorded(unit=UnitCode(code), as_of=as_of, people=people)


def station(identity: str = "station-1", code: str = "340802") -> OrganisationRegistered:
    """A station of a unit."""
    return OrganisationRegistered(
        organisation_id=OrganisationId(identity),
        kind="station",
        name="驿站",
        unit=UnitCode(code),
        parent_id=None,
        since=date(2024, 1, 1),
    )


def person(volunteer: str, *, retired: bool = True, registered_on: date = date(2024, 3, 5)) -> VolunteerRegistered:
    """A volunteer of 340802."""
    return msgspec.structs.replace(
        PERSON, volunteer_id=VolunteerId(volunteer), retired_cadre=retired, registered_on=registered_on
    )


def entry(
    volunteer: str = "v1", *, minutes: int = 120, month: int = 7, grade: Grade = 2, number: int = 1
) -> EntryPosted:
    """An entry at station-1."""
    return msgspec.structs.replace(
        EXAMPLE,
        volunteer_id=VolunteerId(volunteer),
        minutes=minutes,
        grade=grade,
        kind="credit" if minutes >= 0 else "reversal",
        reverses=None if minutes >= 0 else EXAMPLE.entry_id,
        service_date=date(2026, month, 14),
        station_id=OrganisationId("station-1"),
        session_id=f"s{month}-{number}",
        key_field="health_care",
    )


@pytest.fixture
async def assessment() -> Processing:
    return await Processing(wiring).prepare()


async def get(assessment: Processing, path: str, *, area: str = "3408") -> Answer:
    """A read by somebody of an area."""
    app = wiring.build_api(make_ports(assessment.store), http_settings())
    return await call(app, "GET", path, headers=bearer("assessment.read", area=area))


async def indicator(assessment: Processing, name: str) -> Fraction | None:
    """One indicator's value in the third quarter."""
    score = (await get(assessment, "/v1/units/340802/scores/2026-Q3")).json
    value = next(row["value"] for row in score["indicators"] if row["indicator"] == name)
    return Fraction(value) if value is not None else None


async def test_entries_reach_the_score_exactly(assessment: Processing) -> None:
    await assessment.take(unit(), roll(300), station(), person("v1"), *(entry(month=month) for month in (7, 8, 9)))
    assert await indicator(assessment, "I5") == Fraction(1, 300)
    assert await indicator(assessment, "I10") == 1
    assert await indicator(assessment, "I13") == Fraction(6, 1) / (300 * Fraction(25, 4))
    assert await indicator(assessment, "I15") == Fraction(1, 12)


async def test_reversal_takes_everything_back(assessment: Processing) -> None:
    await assessment.take(unit(), roll(300), station(), person("v1"), entry(), entry(minutes=-120))
    assert await indicator(assessment, "I5") == 0
    assert await indicator(assessment, "I13") == 0
    assert await indicator(assessment, "I15") == 0
    assert len(assessment.store.documents(facts.FACTS)) == 2


async def test_grade_0_is_shown_and_not_counted(assessment: Processing) -> None:
    await assessment.take(unit(), roll(300), person("v1"), entry(grade=0))
    score = (await get(assessment, "/v1/units/340802/scores/2026-Q3")).json
    assert score["minutes_by_grade"] == [120, 0, 0, 0]
    assert await indicator(assessment, "I5") == 0
    assert await indicator(assessment, "I15") == 0


async def test_only_retired_cadres_registered_by_the_periods_end_participate(assessment: Processing) -> None:
    people = [person("v1"), person("v2", retired=False), person("v3", registered_on=date(2026, 10, 1))]
    await assessment.take(unit(), roll(300), *people, *(entry(f"v{n}") for n in (1, 2, 3, 4)))
    assert await indicator(assessment, "I5") == Fraction(1, 300)


async def test_roll_of_the_periods_end_counts_whatever_arrives_first(assessment: Processing) -> None:
    later, earlier = roll(400, as_of=date(2026, 9, 30)), roll(300, as_of=date(2026, 3, 31))
    await assessment.take(roll(999, as_of=date(2026, 10, 1)), later, unit(), earlier, person("v1"), entry())
    assert await indicator(assessment, "I5") == Fraction(1, 400)


async def test_order_of_arrival_over_topics_does_not_matter(assessment: Processing) -> None:
    events: list[Event] = [unit(), roll(300), station(), person("v1"), entry(), entry("v2"), entry(month=8)]
    await assessment.take(*events)
    other = await Processing(wiring).prepare()
    for event in reversed(events):
        await other.take(event)
    path = "/v1/scoreboard?period=2026-Q3"
    assert (await get(assessment, path)).json == (await get(other, path)).json


async def test_scoreboard_ranks_the_units_of_the_area(assessment: Processing) -> None:
    await assessment.take(unit(), roll(300), unit("340803", "大观区"), roll(300, "340803"), person("v1"), entry())
    board = (await get(assessment, "/v1/scoreboard?period=2026-Q3")).json
    assert [(row["rank"], row["unit"], row["name"]) for row in board["rows"]] == [
        (1, "340802", "迎江区"),
        (2, "340803", "大观区"),
    ]
    assert [
        row["unit"] for row in (await get(assessment, "/v1/scoreboard?period=2026-Q3", area="340803")).json["rows"]
    ] == ["340803"]


@pytest.mark.parametrize(
    ("path", "area", "status", "code"),
    [
        ("/v1/units/340899/scores/2026-Q3", "3408", 404, "unit_unknown"),
        ("/v1/units/340802/scores/2026-Q3", "340803", 403, "outside_area"),
        ("/v1/units/340802/scores/2026-Q5", "3408", 422, "invalid_parameter"),
        ("/v1/units/340802/scores/2026-Q3?rule_set=x", "3408", 404, "rule_set_unknown"),
        ("/v1/scoreboard?period=soon", "3408", 422, "invalid_parameter"),
        ("/v1/scoreboard", "3408", 422, "invalid_parameter"),
        ("/v1/rule-sets/x", "3408", 404, "rule_set_unknown"),
    ],
)
async def test_read_is_refused(assessment: Processing, path: str, area: str, status: int, code: str) -> None:
    await assessment.take(unit())
    answer = await get(assessment, path, area=area)
    assert (answer.status, answer.code) == (status, code)


async def test_rule_sets_can_be_read(assessment: Processing) -> None:
    (only,) = (await get(assessment, "/v1/rule-sets")).json
    assert (await get(assessment, f"/v1/rule-sets/{only['id']}")).json == only


async def test_reversal_without_what_it_reverses_is_parked(assessment: Processing) -> None:
    await assessment.take(msgspec.structs.replace(entry(), reverses=EXAMPLE.entry_id))
    assert await waits(assessment.store) == (1, 1, 120)
