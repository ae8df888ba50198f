"""What events of hours leave with registry: credited minutes, notices to be delivered."""

from datetime import UTC, date, datetime
from typing import Any

import pytest

from services.contracts.hours import EntryPosted, NoticeRaised
from services.registry import wiring
from services.registry.deliveries import store
from tests.support.parked import waits
from tests.support.processing import Processing
from tests.support.registry import RegistryWorld


def entry(number: int = 1, *, minutes: int = 120, grade: Any = 2, volunteer: str = "v1", **said: Any) -> EntryPosted:
    """An entry of a volunteer's account."""
    usual: dict[str, Any] = {
        "entry_id": f"e{number}",
        "volunteer_id": volunteer,
        "kind": "credit",
        "minutes": minutes,
        "grade": grade,
        "state": "settled",
        "service_date": date(2026, 7, 1),
        "booking_month": "2026-07",
        "recorded_at": datetime(2026, 7, 1, 3, tzinfo=UTC),
        "home_unit": "340802",
        "unit_served": "340802",
        "lane": "340802|activities.attendance|0",
        "attendance_id": f"a{number}",
        "session_id": "s1",
        "activity_id": "c1",
        "organiser_id": "TM-340802-001",
        "station_id": None,
        "service_type": "health",
        "key_field": None,
        "reverses": None,
        "cause": f"x{number}",
        "rule": "credit-1",
        "ordinal": 0,
        "chain_number": number,
        "chain_hash": "0" * 64,
    }
    return EntryPosted(**(usual | said))


def reversal(number: int, of: int, *, minutes: int = -120, **said: Any) -> EntryPosted:
    """The reversal of an entry."""
    return entry(number, minutes=minutes, kind="reversal", reverses=f"e{of}", **said)


def notice(volunteer: str = "v1", attendance: str = "a1") -> NoticeRaised:
    """Somebody is to be told of a missed check-out."""
    return NoticeRaised(
        recipient_id=volunteer,  # type: ignore[arg-type]
        notice="check_out_missing_settled",
        attendance_id=attendance,  # type: ignore[arg-type]
        service_date=date(2026, 7, 1),
        minutes=0,
    )


@pytest.fixture
async def registry() -> Processing:
    return await Processing(wiring).prepare()


def served(registry: Processing, volunteer: str = "v1") -> tuple[Any, int]:
    """The minutes by grade and the number of entries that are kept beside a volunteer."""
    record = registry.store.documents(store.RECORDS)[volunteer]
    return record["minutes"], record["entries"]


async def test_credited_minutes_are_kept_by_grade(registry: Processing) -> None:
    await registry.take(entry(1), entry(2, minutes=60, grade=0), entry(3, minutes=30), entry(4, volunteer="v2"))
    assert served(registry) == ([60, 0, 150, 0], 3)
    assert served(registry, "v2") == ([0, 0, 120, 0], 1)


async def test_a_reversal_takes_its_minutes_back(registry: Processing) -> None:
    await registry.take(entry(1), reversal(2, of=1), entry(3, minutes=90, grade=3))
    assert served(registry) == ([0, 0, 0, 90], 3)


async def test_pending_entries_are_counted_but_not_credited(registry: Processing) -> None:
    await registry.take(entry(1, state="pending"))
    assert served(registry) == ([0, 0, 0, 0], 1)


async def test_one_batch_and_many_leave_the_same(registry: Processing) -> None:
    events = [entry(1), entry(2, grade=1), reversal(3, of=1), entry(4, grade=3)]
    await registry.take(*events)
    other = await Processing(wiring).prepare()
    for event in events:
        await other.take(event)
    assert served(registry) == served(other)


async def test_a_notice_waits_to_be_delivered(registry: Processing) -> None:
    await registry.take(entry(1), notice(), notice("v2", "a2"))
    notices = list(registry.store.documents(store.NOTICES).values())
    assert {(each["recipient_id"], each["state"], each["notice"]) for each in notices} == {
        ("v1", "waiting", "check_out_missing_settled"),
        ("v2", "waiting", "check_out_missing_settled"),
    }
    assert all(each["raised_at"].endswith("Z") and len(each["_id"]) > 0 for each in notices)


async def test_a_person_who_only_has_a_notice_has_no_minutes(registry: Processing) -> None:
    await registry.take(notice())
    assert store.served_of(registry.store.documents(store.RECORDS)["v1"]).minutes == (0, 0, 0, 0)


@pytest.mark.parametrize(
    "broken",
    [
        entry(1, kind="reversal"),
        entry(1, reverses="e0"),
        reversal(1, of=0),
    ],
)
async def test_a_broken_promise_is_parked_with_its_minutes_and_the_rest_waits(
    registry: Processing, broken: EntryPosted
) -> None:
    await registry.take(broken, entry(2), entry(3, volunteer="v2"))
    assert await waits(registry.store) == (2, 1, 240)
    assert served(registry, "v2") == ([0, 0, 120, 0], 1)


async def test_what_was_credited_is_shown_with_the_volunteer(registry: Processing) -> None:
    world = await RegistryWorld(store=registry.store).prepare()
    volunteer = await world.register()
    assert (await world.get(f"/v1/volunteers/{volunteer}")).json["served"]["minutes"] == 0
    await registry.take(entry(1, volunteer=volunteer), entry(2, volunteer=volunteer, grade=0, minutes=30))
    assert (await world.get(f"/v1/volunteers/{volunteer}")).json["served"] == {
        "minutes": 150,
        "minutes_by_grade": [30, 0, 120, 0],
        "entries": 2,
    }
