"""Queues keep their order and their limits, and are counted over any number of keys."""

from datetime import timedelta

import bson
import msgspec
import pytest

from services.eventing import parking
from services.eventing.incoming import Flaw, Incoming
from services.eventing.parking import (
    PARKING,
    Pace,
    ParkingTooFast,
    QueueTooLong,
    Waiting,
    park,
    recent_times,
)
from services.eventing.times import from_text
from tests.support.memory_store import MemoryStore
from tests.support.records import NOON, Publisher, check_in


def waiting(key: str, offset: int, minutes: int = 60) -> Waiting:
    (record,) = Publisher().records([check_in(key)], first=offset)
    return Waiting(Incoming(key, 1, f"event-{offset}", Flaw("malformed"), record), "malformed", "$.data", minutes)


async def park_all(store: MemoryStore, *each: Waiting) -> None:
    await store.transact(lambda tx: park(tx, "hours", "accounts", each, NOON))


async def test_a_queue_keeps_what_an_operator_needs() -> None:
    store = MemoryStore()
    await park_all(store, waiting("a", 7))
    (queue,) = store.documents(PARKING).values()
    (record,) = queue.pop("records")
    assert queue.pop("first") == {name: told for name, told in record.items() if name != "value"}
    assert queue == {
        "_id": "hours|a",
        "processor": "hours",
        "collection": "accounts",
        "key": "a",
        "subject": "volunteer id",
        "count": 1,
        "minutes": 60,
        "bytes": 1_024 + len(record["value"]),
        "since": "2026-07-01T04:00:00.000000Z",
        "flawed_at": "2026-07-01T04:00:00.000000Z",
    }
    assert from_text(record.pop("parked_at")) == NOON
    assert from_text(record.pop("appended_at")) == NOON + timedelta(seconds=7)
    assert record.pop("value").startswith(b'{"id"')
    assert record == {
        "topic": "activities.attendance",
        "partition": 0,
        "offset": 7,
        "sequence": 1,
        "id": "event-7",
        "type": "activities.attendance.checked_in.v1",
        "reason": "malformed",
        "path": "$.data",
        "minutes": 60,
    }


async def test_later_records_join_the_queue_and_since_stays() -> None:
    store = MemoryStore()
    await park_all(store, waiting("a", 1))
    await store.transact(lambda tx: park(tx, "hours", "accounts", [waiting("a", 2)], NOON + timedelta(hours=1)))
    (queue,) = store.documents(PARKING).values()
    assert [record["offset"] for record in queue["records"]] == [1, 2]
    assert (queue["count"], queue["minutes"], from_text(queue["since"])) == (2, 120, NOON)


async def test_a_queue_that_would_not_fit_its_document_stops_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parking, "PARKED_RECORDS_PER_KEY_MAX", 2)
    store = MemoryStore()
    await park_all(store, waiting("a", 1), waiting("a", 2))
    with pytest.raises(QueueTooLong):
        await park_all(store, waiting("a", 3))


async def test_a_queue_is_limited_in_bytes_too(monkeypatch: pytest.MonkeyPatch) -> None:
    each = len(waiting("a", 1).incoming.record.value or b"") + parking.RECORD_OVERHEAD_BYTES
    monkeypatch.setattr(parking, "PARKED_BYTES_PER_KEY_MAX", 2 * each)
    store = MemoryStore()
    await park_all(store, waiting("a", 1), waiting("a", 2))
    with pytest.raises(QueueTooLong, match=f"3 records of {3 * each} bytes"):
        await park_all(store, waiting("a", 3))


async def test_a_full_queue_fits_a_document() -> None:
    """The longest record that is likely, in as many as there may be, is less than MongoDB's 16 MiB."""
    store = MemoryStore()
    await park_all(store, waiting("a" * 256, 1))
    (queue,) = store.documents(PARKING).values()
    (record,) = queue["records"]
    beside = len(bson.encode(record)) - len(record["value"])
    assert beside <= parking.RECORD_OVERHEAD_BYTES
    assert parking.PARKED_BYTES_PER_KEY_MAX + beside < 16 * 1024 * 1024


async def test_what_was_parked_within_the_last_minute_is_known_from_the_store() -> None:
    store = MemoryStore()
    await park_all(store, waiting("a", 1))
    assert await recent_times(store, "hours", NOON + timedelta(seconds=59), 10) == [NOON]
    assert await recent_times(store, "hours", NOON + timedelta(seconds=60), 10) == []
    assert await recent_times(store, "assessment", NOON, 10) == []


async def test_every_flawed_record_of_the_last_minute_is_known_and_none_that_only_waits() -> None:
    store = MemoryStore()
    await park_all(store, waiting("a", 1), waiting("a", 2))
    later = NOON + timedelta(hours=1)
    behind = msgspec.structs.replace(waiting("a", 4), reason="behind")
    await store.transact(lambda tx: park(tx, "hours", "accounts", [waiting("a", 3), behind], later))
    assert await recent_times(store, "hours", later, 10) == [later]
    assert await recent_times(store, "hours", NOON, 10) == [NOON, NOON, later]
    assert await recent_times(store, "hours", NOON, 1) == [NOON]


def test_the_pace_is_of_the_last_minute() -> None:
    pace = Pace(3)
    pace.restore([NOON - timedelta(seconds=50)])
    pace.check(NOON, 2)
    pace.count(NOON, 2)
    with pytest.raises(ParkingTooFast, match="3 records parked within a minute, and 1 more now"):
        pace.check(NOON, 1)
    pace.check(NOON + timedelta(seconds=10), 1)
    with pytest.raises(ParkingTooFast):
        pace.check(NOON + timedelta(seconds=10), 2)
