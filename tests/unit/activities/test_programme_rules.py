"""What is wrong with a draft, and what publishing announces."""

from datetime import datetime
from typing import Any

import pytest
from msgspec.structs import replace

from services.activities.places.rules import Place
from services.activities.programme.rules import (
    Fault,
    faults_of_activity,
    faults_of_plan,
    publish,
    session_of,
)
from services.contracts.activities import ActivityPublished, SessionPublished
from services.contracts.ids import OrganisationId, UnitCode
from services.runtime.outcomes import Refusal
from tests.support.activities import BRAND, STATION, TEAM, UNIT, a_plan, an_activity, at

PLACES = {
    UNIT: Place(UNIT, "unit", UNIT),
    TEAM: Place(TEAM, "team", UNIT),
    STATION: Place(STATION, "station", UNIT),
    BRAND: Place(BRAND, "brand", UNIT),
}
DRAFT = session_of(a_plan(), an_activity())


def test_a_sound_activity_has_no_faults() -> None:
    assert faults_of_activity(an_activity(brand_id=BRAND), PLACES) == []


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"organiser_id": OrganisationId("TM-9")}, Fault("organiser_id", "organisation_unknown")),
        ({"organiser_id": OrganisationId(UNIT)}, Fault("organiser_id", "organisation_unknown")),
        ({"unit_served": UnitCode("340899")}, Fault("unit_served", "unit_unknown")),
        ({"unit_served": UnitCode(TEAM)}, Fault("unit_served", "unit_unknown")),
        ({"brand_id": TEAM}, Fault("brand_id", "brand_unknown")),
        ({"brand_id": OrganisationId("BR-9")}, Fault("brand_id", "brand_unknown")),
    ],
)
def test_an_activity_names_only_what_exists(changes: dict[str, Any], fault: Fault) -> None:
    assert faults_of_activity(an_activity(**changes), PLACES) == [fault]


@pytest.mark.parametrize("station", [TEAM, OrganisationId("ST-9")])
def test_a_session_takes_place_at_a_station_that_exists(station: OrganisationId) -> None:
    assert faults_of_plan(a_plan(station=station), PLACES) == [Fault("station_id", "station_unknown")]


def test_a_session_may_take_place_anywhere() -> None:
    assert faults_of_plan(a_plan(station=None), {}) == []


@pytest.mark.parametrize("ends_at", [at(9), at(8), at(9, 1, day=15)])
def test_a_session_lasts_up_to_a_day(ends_at: datetime) -> None:
    assert faults_of_plan(a_plan(ends_at=ends_at), PLACES) == [Fault("ends_at", "session_window_invalid")]
    assert faults_of_plan(a_plan(ends_at=at(9, day=15)), PLACES) == []


def test_a_session_takes_over_what_its_activity_has_in_common() -> None:
    facts = session_of(a_plan(), an_activity(service_type="legal", key_field=None)).facts
    assert (facts.unit_served, facts.organiser_id, facts.grace_minutes) == (UNIT, TEAM, 15)
    assert facts.service_type == "legal"
    assert facts.key_field is None


def test_publishing_announces_the_activity_before_its_sessions() -> None:
    events = publish(an_activity(), [DRAFT])
    assert isinstance(events, tuple)
    activity, session = events
    assert isinstance(activity, ActivityPublished)
    assert isinstance(session, SessionPublished)
    assert (activity.title, session.session, session.capacity) == ("银龄义诊", DRAFT.facts, 20)


def test_publishing_again_announces_only_what_is_new() -> None:
    events = publish(an_activity().as_published(), [DRAFT])
    assert isinstance(events, tuple)
    assert [type(event) for event in events] == [SessionPublished]


def test_an_activity_may_be_published_before_it_has_sessions() -> None:
    events = publish(an_activity(), [])
    assert isinstance(events, tuple)
    assert [type(event) for event in events] == [ActivityPublished]


def test_what_is_published_is_not_published_again() -> None:
    assert publish(an_activity().as_published(), []) == Refusal("nothing_to_publish")
    with pytest.raises(AssertionError):
        publish(an_activity(), [replace(DRAFT, published=True)])
