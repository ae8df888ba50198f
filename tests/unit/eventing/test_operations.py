"""Operators' requests are carried out once, in the position's transaction, and leave no record out of order."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from services.contracts.activities import ATTENDANCE
from services.contracts.codec import decode
from services.contracts.hours import TIMEOUTS
from services.contracts.ids import ActorId, EventId
from services.contracts.operations import OPERATIONS, ParkedRecord, ParkingExecuted, ParkingRequested
from services.eventing import operations, parking
from services.eventing.operations import RECEIVED, REQUESTS
from services.eventing.parking import PARKING, ParkingTooFast
from services.eventing.ports import Document, TopicPartition
from services.eventing.positions import POSITIONS, Position, PositionMoved
from tests.support.counting import PEOPLE, POISON, CountingHandler
from tests.support.engines import Bench, bench
from tests.support.parked import waits
from tests.support.records import NOON, P0, LogRecord, Publisher, check_in

HOURS = OPERATIONS["hours"]
OPS = TopicPartition(HOURS.topic, 0)


class Desk:
    """An engine with its operations topic, and whoever asks on it."""

    def __init__(self, handler: CountingHandler | None = None, *, parked_per_minute_max: int = 100) -> None:
        self.bench: Bench = bench(
            handler, partitions=(P0, OPS), operators=HOURS, parked_per_minute_max=parked_per_minute_max
        )
        self.publisher = Publisher()
        self.asking = Publisher("ask")
        self.sent: list[LogRecord] = []
        self.asked = 0

    async def take(self, *batches: str | None, key: str = "a") -> None:
        """Applies check-ins of a key, each with a batch id; ``POISON`` cannot be decided."""
        events = [check_in(key, batch_id=each) for each in batches]
        records = self.publisher.records(events, first=len(self.sent))
        self.sent += records
        await self.bench.apply(records)

    async def ask(self, action: Any, place: int | None = None, key: str = "a", **more: Any) -> ParkingExecuted:
        """Requests something of a key's queue (of the record at an offset) and returns what came of it."""
        await self.bench.apply([self.request(action, place, key, **more)], OPS)
        return self.outcomes()[-1]

    def request(self, action: Any, place: int | None = None, key: str = "a", **more: Any) -> LogRecord:
        """The record of one request."""
        record = None if place is None else named(self.sent[place])
        fields: dict[str, Any] = {
            "request_id": f"request-{self.asked}",
            "parked_id": f"counting|{key}",
            "parked_key": key,
            "action": action,
            "record": record,
            "corrected": None,
            "reason_code": "recorded_wrongly",
            "requested_by": ActorId("operator-1"),
            "confirmed_by": ActorId("operator-2") if action == "discard" else None,
        }
        (asked,) = self.asking.records([HOURS.requested(**fields | more)], partition=OPS, first=self.asked)
        self.asked += 1
        return asked

    def mended(self, place: int) -> str:
        """The event at an offset, as it should have been."""
        value = self.sent[place].value
        assert value is not None
        return value.decode().replace(f'"{POISON}"', "null")

    def outcomes(self) -> list[ParkingExecuted]:
        """What was announced on the operations topic, in order."""
        rows = self.bench.store.documents("outbox").values()
        events = [event for row in rows for event in row["events"] if event["topic"] == HOURS.topic]
        return [decode(e["type"], e["value"]).data for e in sorted(events, key=lambda e: (e["key"], e["sequence"]))]

    def waits(self, key: str = "a") -> list[int]:
        """The offsets in a key's queue."""
        queue = self.bench.store.documents(PARKING).get(f"counting|{key}", {"records": []})
        return [record["offset"] for record in queue["records"]]

    def person(self, key: str = "a") -> Document:
        """A key's own document."""
        return self.bench.store.documents(PEOPLE)[key]


def named(record: LogRecord) -> ParkedRecord:
    """A record as a request names it."""
    event_id = EventId(dict(record.headers)["ce_id"].decode())
    return ParkedRecord(topic=record.topic, partition=record.partition, offset=record.offset, event_id=event_id)


async def test_a_repair_and_a_redrive_apply_everything_in_order() -> None:
    desk = Desk()
    await desk.take(None, POISON, None, None)
    assert desk.waits() == [1, 2, 3]
    done = await desk.ask("repair", 1, corrected=desk.mended(1))
    assert (done.outcome, done.remaining, done.corrected) == ("done", 3, desk.mended(1))
    assert desk.person()["inbox"]["parked"]
    done = await desk.ask("redrive")
    assert (done.outcome, done.applied, done.remaining) == ("done", 3, 0)
    assert desk.waits() == []
    assert desk.bench.store.documents(PARKING) == {}
    assert desk.person()["count"] == 4
    assert not desk.person()["inbox"]["parked"]
    numbers = {each["_id"]: each["number"] for each in desk.bench.store.documents("applied").values()}
    assert numbers == {"event-1": 1, "event-2": 2, "event-3": 3, "event-4": 4}


async def test_what_comes_after_a_redrive_is_applied_at_once_and_its_facts_count_on() -> None:
    desk = Desk()
    await desk.take(POISON, None)
    await desk.ask("repair", 0, corrected=desk.mended(0))
    await desk.ask("redrive")
    await desk.take(None)
    assert desk.person()["count"] == 3
    assert desk.person()["inbox"] == {
        "last": {ATTENDANCE: [3, "event-3"]},
        "sent": {TIMEOUTS: 3},
        "parked": False,
    }


async def test_a_state_after_repair_is_as_if_the_record_had_come_right() -> None:
    desk, straight = Desk(), Desk()
    await desk.take(None, POISON, None)
    await desk.ask("repair", 1, corrected=desk.mended(1))
    await desk.ask("redrive")
    await straight.take(None, None, None)
    for name in (PEOPLE, "applied"):
        assert desk.bench.store.documents(name) == straight.bench.store.documents(name)


async def test_a_redrive_ends_at_what_still_fails_and_says_where() -> None:
    desk = Desk()
    await desk.take(POISON, None, POISON, None)
    await desk.ask("repair", 0, corrected=desk.mended(0))
    done = await desk.ask("redrive")
    assert (done.outcome, done.applied, done.remaining) == ("still_failing", 2, 2)
    assert (done.failing, done.flaw) == (named(desk.sent[2]), "decision_failed")
    assert desk.waits() == [2, 3]
    assert desk.person()["inbox"]["parked"]
    (queue,) = desk.bench.store.documents(PARKING).values()
    assert [record["reason"] for record in queue["records"]] == ["decision_failed", "behind"]
    assert queue["records"][0]["path"].startswith("ValueError at counting.py")
    assert (queue["count"], queue["minutes"]) == (2, 240)
    assert await waits(desk.bench.store) == (2, 1, 240)


async def test_a_redrive_without_a_repair_changes_nothing_but_what_is_said() -> None:
    desk = Desk()
    await desk.take(POISON, None)
    before = desk.person()
    done = await desk.ask("redrive")
    assert (done.outcome, done.applied, done.remaining) == ("still_failing", 0, 2)
    assert desk.person() == before


async def test_a_discard_takes_one_record_and_leaves_the_rest_waiting() -> None:
    desk = Desk()
    await desk.take(POISON, None)
    done = await desk.ask("discard", 0)
    assert (done.outcome, done.remaining, done.confirmed_by) == ("done", 1, "operator-2")
    assert desk.waits() == [1]
    assert desk.person()["inbox"]["parked"]
    await desk.take(None)  # comes behind, in order
    assert desk.waits() == [1, 2]
    assert (await desk.ask("redrive")).applied == 2
    assert desk.person()["count"] == 2


async def test_a_discard_of_the_only_record_frees_the_key() -> None:
    desk = Desk()
    await desk.take(POISON)
    assert (await desk.ask("discard", 0)).remaining == 0
    assert not desk.person()["inbox"]["parked"]
    assert desk.bench.store.documents(PARKING) == {}
    await desk.take(None)
    assert desk.person()["count"] == 1


@pytest.mark.parametrize("action", ["repair", "discard"])
async def test_a_record_that_only_waits_is_not_touched(action: str) -> None:
    desk = Desk()
    await desk.take(POISON, None)
    done = await desk.ask(action, 1, corrected=desk.mended(1))
    assert (done.outcome, done.refusal, done.remaining) == ("refused", "record_waits_only", 2)
    assert desk.waits() == [0, 1]


async def test_a_request_whose_time_is_over_is_refused() -> None:
    desk = Desk()
    assert (await desk.ask("redrive")).refusal == "nothing_parked"
    await desk.take(POISON, POISON)
    assert (await desk.ask("discard", 0)).outcome == "done"
    assert (await desk.ask("discard", 0)).refusal == "record_not_parked"
    assert desk.waits() == [1]


async def test_a_request_for_another_keys_queue_is_refused() -> None:
    """It stands in another partition, whose owner may be another member."""
    desk = Desk()
    await desk.take(POISON)
    done = await desk.ask("redrive", None, "b", parked_id="counting|a")
    assert done.refusal == "nothing_parked"
    assert desk.waits() == [0]


@pytest.mark.parametrize(
    "change",
    [
        {"id": "event-9"},
        {"subject": "b"},
        {"sequence": "000000000009"},
        {"type": "hours.attendance.timed_out.v1"},
        {"type": "of.nobody.v1"},
        {"data": {}},
    ],
)
async def test_a_correction_must_be_the_event_that_is_parked(change: dict[str, Any]) -> None:
    desk = Desk()
    await desk.take(POISON)
    corrected = msgspec.json.decode(desk.mended(0)) | change
    done = await desk.ask("repair", 0, corrected=msgspec.json.encode(corrected).decode())
    assert (done.outcome, done.refusal) == ("refused", "correction_invalid")


async def test_a_repaired_record_that_fails_again_can_be_repaired_again() -> None:
    desk = Desk()
    await desk.take(POISON)
    wrong = desk.sent[0].value
    assert wrong is not None
    assert (await desk.ask("repair", 0, corrected=wrong.decode())).outcome == "done"
    assert (await desk.ask("redrive")).outcome == "still_failing"
    assert (await desk.ask("repair", 0, corrected=desk.mended(0))).outcome == "done"
    assert (await desk.ask("redrive")).applied == 1


async def test_an_undecodable_record_can_be_repaired() -> None:
    desk = Desk()
    records = desk.publisher.records([check_in("a"), check_in("a")])
    broken = records[0]
    desk.sent = [LogRecord(*P0, 0, broken.key, b"{", broken.headers, broken.timestamp), records[1]]
    await desk.bench.apply(desk.sent)
    assert desk.waits() == [0, 1]
    right = records[0].value
    assert right is not None
    assert (await desk.ask("repair", 0, corrected=right.decode())).outcome == "done"
    (queue,) = desk.bench.store.documents(PARKING).values()
    assert queue["records"][0]["minutes"] == 120
    assert (await desk.ask("redrive")).applied == 2


async def test_a_long_queue_is_redriven_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(operations, "REDRIVE_RECORDS_MAX", 2)
    desk = Desk()
    await desk.take(POISON, None, None)
    await desk.ask("repair", 0, corrected=desk.mended(0))
    done = await desk.ask("redrive")
    assert (done.outcome, done.applied, done.remaining) == ("done", 2, 1)
    assert desk.person()["inbox"]["parked"]
    assert (await desk.ask("redrive")).remaining == 0
    assert desk.person()["count"] == 3


async def test_a_repair_that_does_not_fit_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    desk = Desk()
    await desk.take(POISON)
    monkeypatch.setattr(parking, "PARKED_BYTES_PER_KEY_MAX", 1_000)
    assert (await desk.ask("repair", 0, corrected=desk.mended(0))).refusal == "queue_full"


async def test_a_repeat_of_a_request_changes_nothing() -> None:
    desk = Desk()
    await desk.take(POISON, POISON)
    request = desk.request("discard", 0)
    await desk.bench.apply([request], OPS)
    before = desk.bench.store.documents(PARKING)
    await desk.bench.apply([request.at(1)], OPS)
    assert desk.bench.store.documents(PARKING) == before
    assert len(desk.outcomes()) == 1
    assert desk.bench.witness.counts["duplicates"] == 1


async def test_only_the_owner_of_the_position_executes() -> None:
    """A zombie's request is a commit on a position that has moved."""
    desk = Desk()
    await desk.take(POISON)
    request = desk.request("discard", 0)
    position = {"_id": f"counting|{OPS.topic}|0", "next": 1, "last_id": "other", "last_offset": 0}
    desk.bench.store.put(POSITIONS, position)
    with pytest.raises(PositionMoved):
        await desk.bench.apply([request], OPS)
    assert desk.waits() == [0]
    assert desk.outcomes() == []


async def test_what_was_announced_comes_back_and_is_of_no_use() -> None:
    desk = Desk()
    await desk.take(POISON)
    await desk.ask("redrive")
    (row,) = (r for r in desk.bench.store.documents("outbox").values() if r["events"][-1]["topic"] == HOURS.topic)
    event = row["events"][-1]
    # In the world the request and its outcome are counted by one stream; here the asking publisher has its own.
    headers = (("ce_id", b"outcome"), ("ce_type", event["type"].encode()), ("ce_sequence", b"2"))
    await desk.bench.apply([LogRecord(*OPS, 1, b"a", event["value"], headers, 0)], OPS)
    assert desk.bench.witness.counts["ignored"] == 1


async def test_an_unreadable_request_is_parked_by_itself_and_can_be_discarded() -> None:
    desk = Desk()
    await desk.take(POISON)
    broken = desk.request("redrive")
    broken = LogRecord(*OPS, 0, broken.key, b"{}", broken.headers, broken.timestamp)
    await desk.bench.apply([broken], OPS)
    assert set(desk.bench.store.documents(PARKING)) == {"counting|a", "counting.operations|a"}
    assert await waits(desk.bench.store) == (2, 2, 120)
    done = await desk.ask("discard", 0)  # not held up by it
    assert done.outcome == "done"
    which = "counting.operations|a"
    assert (await desk.ask("redrive", parked_id=which)).refusal == "not_redrivable"
    assert (await desk.ask("discard", record=named(broken), parked_id=which)).outcome == "done"
    assert desk.bench.store.documents(PARKING) == {}
    assert desk.bench.store.documents(RECEIVED)["a"]["inbox"]["last"][OPS.topic][0] == 4


async def test_unreadable_requests_count_for_the_pace() -> None:
    desk = Desk(parked_per_minute_max=1)
    await desk.take(POISON)
    broken = desk.request("redrive")
    with pytest.raises(ParkingTooFast):
        await desk.bench.apply([LogRecord(*OPS, 0, broken.key, b"{}", broken.headers, broken.timestamp)], OPS)


async def test_a_batch_of_requests_is_a_transaction_each() -> None:
    desk = Desk()
    await desk.take(POISON, POISON)
    requests = [desk.request("discard", 0), desk.request("discard", 0), desk.request("redrive")]
    await desk.bench.apply(requests, OPS)
    assert [each.outcome for each in desk.outcomes()] == ["done", "refused", "still_failing"]
    assert len(desk.bench.store.documents("outbox")) == 3
    assert desk.bench.position[OPS] == Position(3, "ask-3", 2)


async def test_a_request_is_kept_with_its_end() -> None:
    desk = Desk()
    await desk.take(POISON)
    await desk.ask("discard", 0)
    (kept,) = desk.bench.store.documents(REQUESTS).values()
    assert (kept["_id"], kept["state"], kept["remaining"]) == ("request-0", "done", 0)
    assert (kept["requested_by"], kept["confirmed_by"]) == ("operator-1", "operator-2")


async def test_records_of_several_topics_are_redriven_in_the_order_they_came() -> None:
    other = TopicPartition(HOURS.topic, 0)
    assert other == OPS
    desk = Desk()
    await desk.take(POISON, None)
    (queue,) = desk.bench.store.documents(PARKING).values()
    # As if the second had come from another partition: the handler is called for each run of one.
    queue["records"][1]["partition"] = 5
    desk.bench.store.put(PARKING, queue)
    await desk.ask("repair", 0, corrected=desk.mended(0))
    assert (await desk.ask("redrive")).applied == 2
    assert desk.person()["count"] == 2
    assert desk.person()["inbox"]["sent"] == {TIMEOUTS: 2}


def executed_at(rows: Sequence[Document]) -> list[Document]:
    """The outcomes' envelopes among outbox rows."""
    return [e for row in rows for e in row["events"] if e["topic"] == HOURS.topic]


async def test_the_outcome_is_named_and_timed_by_the_request() -> None:
    """A processor has no clock: the same request always makes the same event."""
    desk = Desk()
    await desk.take(POISON)
    desk.bench.clock.forward(timedelta(days=1))
    await desk.ask("redrive")
    (event,) = executed_at(list(desk.bench.store.documents("outbox").values()))
    assert decode(event["type"], event["value"]).time == NOON + timedelta(seconds=1)
    assert ParkingRequested.KEY == ParkingExecuted.KEY == "parked_key"
