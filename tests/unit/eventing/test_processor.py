"""A batch is one transaction in which each record is applied, absorbed, ignored or parked, or the process stops."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import pytest

from services.contracts.activities import ATTENDANCE, SignedUp
from services.contracts.hours import TIMEOUTS, AttendanceTimedOut
from services.contracts.ids import ActorId, AttendanceId, UnitCode, VolunteerId
from services.eventing.inbox import IdentityError, SequenceGapError
from services.eventing.incoming import UnreadableRecordError
from services.eventing.parking import PARKING, ParkingTooFast, list_parked
from services.eventing.ports import ConflictError, StoreUnavailableError, TopicPartition
from services.eventing.positions import POSITIONS, Position, PositionMoved
from services.eventing.times import from_text
from tests.support.counting import PEOPLE, POISON, CountingHandler
from tests.support.engines import START, bench
from tests.support.records import NOON, P0, LogRecord, Publisher, check_in

SECRET = "someone's address"


def sign_up(key: str = "volunteer-1") -> SignedUp:
    return SignedUp(
        attendance_id=AttendanceId("attendance-1"),
        volunteer_id=VolunteerId(key),
        home_unit=UnitCode("340803"),
        session=check_in().session,
        entered_by=ActorId("leader-1"),
    )


def renumbered(records: Sequence[LogRecord]) -> list[LogRecord]:
    return [record.at(offset) for offset, record in enumerate(records)]


async def test_a_batch_is_applied_with_its_facts_sequences_and_position() -> None:
    b = bench()
    records = Publisher().records([check_in("a"), check_in("b"), check_in("a")])
    position = await b.apply(records)
    assert position == Position(3, "event-3", 2)
    assert b.counts() == {"a": 2, "b": 1}
    people = b.store.documents(PEOPLE)
    assert people["a"]["inbox"] == {"last": {ATTENDANCE: [2, "event-3"]}, "sent": {TIMEOUTS: 2}, "parked": False}
    assert b.store.documents(POSITIONS) == {
        f"counting|{ATTENDANCE}|0": {
            "_id": f"counting|{ATTENDANCE}|0", "next": 3, "last_id": "event-3", "last_offset": 2
        }
    }  # fmt: skip
    (row,) = b.store.documents("outbox").values()
    assert row["_id"] == f"counting|{ATTENDANCE}|0|0"
    assert row["streams"] == [f"{TIMEOUTS}|a|1", f"{TIMEOUTS}|b|1", f"{TIMEOUTS}|a|2"]
    assert b.store.commits == 1 + 1, "the position that the test put, and one transaction"
    assert b.witness.counts == {"batches": 1, "records": 3, "applied": 3}


async def test_facts_of_topics_that_no_key_document_counts_are_counted_in_streams() -> None:
    b = bench(CountingHandler(counters_in_key=False))
    publisher = Publisher()
    await b.apply(publisher.records([check_in("a"), check_in("a")]))
    await b.apply(publisher.records([check_in("a")], first=2))
    assert {each: stream["n"] for each, stream in b.store.documents("streams").items()} == {f"{TIMEOUTS}|a": 3}
    assert b.store.documents(PEOPLE)["a"]["inbox"]["sent"] == {}


async def test_a_repeat_is_absorbed() -> None:
    b = bench()
    first, second = Publisher().records([check_in("a"), check_in("a")])
    await b.apply(renumbered([first, second, second, first]))
    assert b.counts() == {"a": 2}
    assert b.witness.counts["duplicates"] == 2
    await b.apply([second.at(4)])
    assert b.counts() == {"a": 2}
    assert b.position[P0] == Position(5, "event-2", 4)


async def test_a_missing_sequence_stops_the_process_and_writes_nothing() -> None:
    b = bench()
    first, _, third = Publisher().records([check_in("a")] * 3)
    with pytest.raises(SequenceGapError, match="sequence 3 after 1"):
        await b.apply(renumbered([first, third]))
    assert b.counts() == {}
    assert b.store.documents(POSITIONS)[f"counting|{ATTENDANCE}|0"]["next"] == 0


async def test_another_event_under_the_last_sequence_stops_the_process() -> None:
    b = bench()
    (record,) = Publisher().records([check_in("a")])
    await b.apply([record])
    (other,) = Publisher().records([check_in("a", minute=1)])
    with pytest.raises(IdentityError):
        await b.apply([other.with_headers(ce_id=b"event-99").at(1)])


@pytest.mark.parametrize(
    "spoilt",
    [
        lambda record: replace(record, key=None),
        lambda record: replace(record, key=b""),
        lambda record: replace(record, key=b"\xff"),
        lambda record: record.with_headers(ce_id=None),
        lambda record: record.with_headers(ce_sequence=None),
        lambda record: record.with_headers(ce_sequence=b"first"),
        lambda record: record.with_headers(ce_sequence=b"0"),
    ],
)
async def test_a_record_that_cannot_be_counted_as_anybodys_stops_the_process(spoilt: object) -> None:
    b = bench()
    (record,) = Publisher().records([check_in(SECRET)])
    assert callable(spoilt)
    with pytest.raises(UnreadableRecordError) as stopped:
        await b.apply([spoilt(record)])
    assert SECRET not in str(stopped.value)
    assert stopped.value.__suppress_context__ or stopped.value.__context__ is None


async def test_a_declared_type_of_no_use_is_ignored_and_its_sequence_counts() -> None:
    b = bench()
    records = Publisher().records([sign_up("a"), check_in("a")])
    await b.apply(records)
    assert b.counts() == {"a": 1}
    assert b.store.documents(PEOPLE)["a"]["inbox"]["last"] == {ATTENDANCE: [2, "event-2"]}
    assert b.witness.counts["ignored"] == 1


async def test_a_key_only_ignored_has_a_document_with_its_inbox() -> None:
    b = bench()
    await b.apply(Publisher().records([sign_up("a")]))
    assert b.store.documents(PEOPLE) == {
        "a": {"_id": "a", "inbox": {"last": {ATTENDANCE: [1, "event-1"]}, "sent": {}, "parked": False}}
    }


async def test_fields_of_a_key_document_that_no_event_changed_stay() -> None:
    b = bench()
    b.store.put(PEOPLE, {"_id": "a", "note": "made by a command"})
    await b.apply(Publisher().records([sign_up("a")]))
    assert b.store.documents(PEOPLE)["a"]["note"] == "made by a command"


async def test_sequences_of_several_topics_stand_beside_each_other() -> None:
    other = TopicPartition(TIMEOUTS, 0)
    b = bench(CountingHandler((ATTENDANCE, TIMEOUTS)), partitions=(P0, other))
    publisher = Publisher()
    await b.apply(publisher.records([check_in("a")]))
    timed_out = AttendanceTimedOut(volunteer_id=VolunteerId("a"), attendance_id=AttendanceId("x"), due_at=NOON)
    await b.apply(publisher.records([timed_out], partition=other), other)
    inbox = b.store.documents(PEOPLE)["a"]["inbox"]
    assert inbox["last"] == {ATTENDANCE: [1, "event-1"], TIMEOUTS: [1, "event-2"]}
    assert inbox["sent"] == {TIMEOUTS: 1}


@pytest.mark.parametrize(
    ("spoil", "reason", "path"),
    [
        (lambda r: r.with_headers(ce_type=b"activities.new.thing.v9"), "undeclared_type", None),
        (lambda r: r.with_headers(ce_type=None), "undeclared_type", None),
        (lambda r: replace(r, value=None), "malformed", None),
        (lambda r: replace(r, value=b"\xff\xfe"), "malformed", None),
        (lambda r: replace(r, value=b'{"id": "\xff"}'), "malformed", None),
        (lambda r: replace(r, value=b'{"x":' + b"[" * 100_000 + b"]" * 100_000 + b"}"), "malformed", None),
        (lambda r: replace(r, value=r.value.replace(b"live", SECRET.encode())), "malformed", "$.data.entry_mode"),
        (lambda r: r.with_headers(ce_id=b"event-77"), "contradicts_headers", "$.id"),
        (lambda r: replace(r, key=b"volunteer-2"), "contradicts_headers", "$.subject"),
    ],
)  # fmt: skip
async def test_a_record_that_cannot_be_read_is_parked_with_a_reason(
    spoil: object, reason: str, path: str | None
) -> None:
    b = bench()
    good, bad = Publisher().records([check_in("volunteer-1"), check_in("volunteer-1")])
    assert callable(spoil)
    spoilt: LogRecord = spoil(bad)
    if spoilt.key != bad.key:
        spoilt = spoilt.with_headers(ce_sequence=b"1")
    await b.apply([good, spoilt])
    assert b.counts() == {"volunteer-1": 1}
    (queue,) = await list_parked(b.store, limit=10)
    (parked,) = queue["records"]
    assert (parked["reason"], parked["path"]) == (reason, path)
    assert parked["value"] == spoilt.value
    assert SECRET not in str({**parked, "value": None})
    assert b.witness.reasons == {reason: 1}
    assert b.store.documents(PEOPLE)[queue["key"]]["inbox"]["parked"]


async def test_a_decision_that_fails_parks_the_record_and_what_follows_of_its_key() -> None:
    b = bench()
    events = [check_in("a"), check_in("a", batch_id=POISON), check_in("b"), check_in("a"), check_in("b")]
    await b.apply(Publisher().records(events))
    assert b.counts() == {"a": 1, "b": 2}
    (queue,) = await list_parked(b.store, limit=10)
    assert [(r["offset"], r["reason"]) for r in queue["records"]] == [(1, "decision_failed"), (3, "behind")]
    assert queue["records"][0]["path"].startswith("ValueError at counting.py:")
    assert b.store.documents(PEOPLE)["a"]["inbox"]["last"] == {ATTENDANCE: [3, "event-4"]}
    assert (queue["count"], queue["minutes"]) == (2, 240)
    assert b.witness.reasons == {"decision_failed": 1, "behind": 1}


async def test_records_of_a_parked_key_wait_in_order_over_batches_and_topics() -> None:
    other = TopicPartition(TIMEOUTS, 0)
    b = bench(CountingHandler((ATTENDANCE, TIMEOUTS)), partitions=(P0, other))
    publisher = Publisher()
    await b.apply(publisher.records([check_in("a", batch_id=POISON)]))
    await b.apply(publisher.records([check_in("a"), check_in("b")], first=1))
    undeclared = AttendanceTimedOut(volunteer_id=VolunteerId("a"), attendance_id=AttendanceId("x"), due_at=NOON)
    (late,) = publisher.records([undeclared], partition=other)
    await b.apply([late.with_headers(ce_type=b"hours.unheard.of.v1")], other)
    (queue,) = await list_parked(b.store, limit=10)
    assert [(r["topic"], r["offset"]) for r in queue["records"]] == [(ATTENDANCE, 0), (ATTENDANCE, 1), (TIMEOUTS, 0)]
    assert b.counts() == {"b": 1}
    assert from_text(queue["since"]) == NOON


async def test_a_flaw_late_in_a_batch_does_not_hold_back_what_was_before_it() -> None:
    b = bench()
    good, bad = Publisher().records([check_in("a"), check_in("a")])
    await b.apply([good, replace(bad, value=b"{")])
    assert b.counts() == {"a": 1}


async def test_a_queue_is_in_order_when_a_decision_fails_before_an_unreadable_record() -> None:
    b = bench()
    first, second, third = Publisher().records([check_in("a", batch_id=POISON), check_in("a"), check_in("a")])
    await b.apply([first, replace(second, value=b"{"), third])
    (queue,) = await list_parked(b.store, limit=10)
    assert [r["offset"] for r in queue["records"]] == [0, 1, 2]
    assert [r["reason"] for r in queue["records"]] == ["decision_failed", "malformed", "behind"]


async def test_a_parked_record_that_comes_again_is_a_duplicate() -> None:
    b = bench()
    (record,) = Publisher().records([check_in("a", batch_id=POISON)])
    await b.apply([record])
    await b.apply([record.at(1)])
    (queue,) = await list_parked(b.store, limit=10)
    assert queue["count"] == 1


async def test_too_many_flaws_in_a_minute_stop_the_process_before_they_are_parked() -> None:
    b = bench(parked_per_minute_max=2)
    records = Publisher().records([check_in(str(i), batch_id=POISON) for i in range(5)])
    await b.apply(records[:2])
    with pytest.raises(ParkingTooFast):
        await b.apply(records[2:3])
    assert len(b.store.documents(PARKING)) == 2
    assert b.position[P0].next == 2
    b.clock.forward(timedelta(seconds=60))
    await b.apply(records[2:4])
    assert len(b.store.documents(PARKING)) == 4


async def test_records_behind_a_flaw_do_not_count_against_the_pace() -> None:
    b = bench(parked_per_minute_max=1)
    await b.apply(Publisher().records([check_in("a", batch_id=POISON), *[check_in("a")] * 5]))
    assert b.witness.reasons == {"decision_failed": 1, "behind": 5}


async def test_a_restart_does_not_begin_a_new_minute_of_parking() -> None:
    b = bench(parked_per_minute_max=2)
    records = Publisher().records([check_in(str(i), batch_id=POISON) for i in range(3)])
    await b.apply(records[:2])
    again = bench(parked_per_minute_max=2)
    again.store.put(PARKING, *b.store.documents(PARKING).values())
    again.clock.forward(timedelta(seconds=30))
    await again.engine.take_over([P0])
    with pytest.raises(ParkingTooFast):
        await again.apply([records[2].at(0)])


async def test_a_moved_position_is_told_and_nothing_is_written() -> None:
    b = bench()
    records = Publisher().records([check_in("a"), check_in("a")])
    await b.apply(records[:1])
    b.position[P0] = START
    with pytest.raises(PositionMoved):
        await b.apply(records)
    assert b.counts() == {"a": 1}


async def test_a_position_of_the_same_offset_but_another_event_has_moved() -> None:
    b = bench()
    records = Publisher().records([check_in("a"), check_in("a")])
    await b.apply(records[:1])
    b.position[P0] = Position(1, "event-of-another-log", 0)
    with pytest.raises(PositionMoved):
        await b.apply(records[1:])


async def test_of_two_workers_at_one_position_only_one_applies() -> None:
    b = bench()
    rival = bench()
    records = Publisher().records([check_in("a")])
    came = False

    def meanwhile(step: str) -> None:
        nonlocal came
        if step == "replace" and not came:
            came = True
            people = {
                "_id": "a",
                "count": 1,
                "inbox": {"last": {ATTENDANCE: [1, "event-1"]}, "sent": {}, "parked": False},
            }
            b.store.put(PEOPLE, people)
            b.store.put(
                POSITIONS, {"_id": f"counting|{ATTENDANCE}|0", "next": 1, "last_id": "event-1", "last_offset": 0}
            )

    b.store.fault = meanwhile
    with pytest.raises(PositionMoved):
        await b.apply(records)
    assert b.counts() == {"a": 1}
    assert b.applied() == set(), "the rival's insert is not ours"
    assert rival.counts() == {}


@pytest.mark.parametrize("step", ["get", "insert", "replace", "commit"])
async def test_a_transaction_that_is_tried_again_starts_from_nothing(step: str) -> None:
    b = bench()
    failed: list[str] = []

    def once(now: str) -> None:
        if now == step and not failed:
            failed.append(now)
            raise ConflictError("planted")

    b.store.fault = once
    await b.apply(Publisher().records([check_in("a"), check_in("a", batch_id=POISON), check_in("b"), check_in("b")]))
    assert failed
    assert b.counts() == {"a": 1, "b": 2}
    (queue,) = await list_parked(b.store, limit=10)
    assert queue["count"] == 1
    assert b.witness.reasons == {"decision_failed": 1}


async def test_an_unavailable_store_leaves_nothing_behind() -> None:
    b = bench()

    def gone(step: str) -> None:
        if step == "commit":
            raise StoreUnavailableError("planted")

    b.store.fault = gone
    with pytest.raises(StoreUnavailableError):
        await b.apply(Publisher().records([check_in("a")]))
    assert (b.counts(), b.applied()) == ({}, set())
    assert b.witness.counts == {}


async def test_a_handler_that_cannot_tell_the_minutes_at_stake_still_parks() -> None:
    class Tongueless(CountingHandler):
        def minutes_at_stake(self, envelope: object) -> int:
            raise KeyError(envelope)

    b = bench(Tongueless())
    await b.apply(Publisher().records([check_in("a", batch_id=POISON)]))
    (queue,) = await list_parked(b.store, limit=10)
    assert (queue["count"], queue["minutes"]) == (1, 0)
