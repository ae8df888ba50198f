"""People, sessions and times of the load are such that the platform must accept them."""

import json
import random
from datetime import UTC, datetime, timedelta

import pytest

from tests.support.chaos.town import (
    UNITS,
    kiosk_batch,
    local,
    person_body,
    person_row,
    programme,
    roster_batch,
    times,
)

GRACE = timedelta(minutes=15)
NOWS = [datetime(2026, 11, 24, hour, 17, 33, tzinfo=UTC) for hour in range(24)]


@pytest.mark.parametrize("now", NOWS, ids=str)
def test_people_come_and_go_within_the_grace_and_never_in_the_future(now: datetime) -> None:
    rng = random.Random(1)
    for place in programme(1, now, rng):
        for _ in range(200):
            came, left = times(place, now, rng)
            assert place.starts - GRACE <= came < left <= min(place.ends + GRACE, now)


@pytest.mark.parametrize("now", NOWS, ids=str)
def test_only_old_sessions_are_over_for_a_day(now: datetime) -> None:
    """And ``night``, where nobody is left without a check-out."""
    for place in programme(1, now, random.Random(1)):
        over = now - place.ends
        match place.purpose:
            case "now":
                assert over < timedelta(hours=-1)
            case "past":
                assert timedelta() < over < timedelta(hours=23)
            case "old":
                assert over > timedelta(hours=24, minutes=30)
            case "night":
                assert local(place.starts)[:10] < local(place.ends)[:10]
                assert over > timedelta()


def test_people_are_all_different() -> None:
    rows = [person_row(number) for number in range(2_000)]
    for column in (0, 3, 8):  # card, id number, mobile
        assert len({row[column] for row in rows}) == len(rows)
    assert {row[9] for row in rows} == set(UNITS)


def test_a_person_who_is_registered_by_a_command_is_the_one_of_the_list() -> None:
    row = person_row(7)
    body = person_body(row)
    assert (body["number"], body["home_unit"], body["personal"]["id_number"]) == (row[0], row[9], row[3])


def test_rows_that_are_numbered_otherwise_are_another_batch() -> None:
    kiosk = [kiosk_batch([("SE-1", "340802000000", "check_in", NOWS[0])], first) for first in (1, 501)]
    roster = [roster_batch([("SE-1", "340802000000", NOWS[0], NOWS[1], None)], first) for first in (1, 501)]
    for batches in (kiosk, roster):
        assert [json.loads(raw)["rows"][0]["row"] for raw in batches] == [1, 501]


def test_instants_are_written_to_the_second_in_the_citys_time() -> None:
    assert local(datetime(2026, 7, 1, 16, 0, 5, 999_999, tzinfo=UTC)) == "2026-07-02T00:00:05+08:00"
