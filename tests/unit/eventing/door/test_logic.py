"""The door hands on the expected record of an owned partition, once, or stops the process."""

import asyncio
import contextlib
import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pytest

from services.contracts.activities import ATTENDANCE
from services.contracts.event import Envelope
from services.eventing.batch import Origin, Saved
from services.eventing.door.logic import (
    Door,
    LogGapError,
    LogReplacedError,
    LogTruncatedError,
    cut,
    length_without_hole,
    number_below,
)
from services.eventing.inbox import SequenceGapError
from services.eventing.ports import (
    CommitUnknownError,
    ConflictError,
    Document,
    StoreUnavailableError,
    TopicPartition,
    Transaction,
)
from services.eventing.positions import POSITIONS
from tests.support.counting import CountingHandler, Counts
from tests.support.engines import Bench, bench
from tests.support.hand_log import HandLog
from tests.support.records import NOON, P0, LogRecord, Publisher, check_in

P1 = TopicPartition(ATTENDANCE, 1)
POSITION_ID = f"counting|{ATTENDANCE}|0"


@dataclass
class House:
    """A door with its engine and log."""

    door: Door
    bench: Bench
    log: HandLog

    async def bring(self, partition: TopicPartition = P0, limit: int = 1_000) -> None:
        """Fetches once and hands it to the door."""
        await self.door.receive({partition: self.log.fetch(partition, limit)})

    def position(self) -> int:
        """The stored position of the first partition."""
        return int(self.bench.store.documents(POSITIONS)[POSITION_ID]["next"])


def house(partitions: Sequence[TopicPartition] = (P0,), *, lanes: int = 1, batch_records_max: int = 1_000) -> House:
    b, log = bench(partitions=()), HandLog(partitions)
    door = Door(b.engine, log, b.clock, random.Random(1), b.witness, lanes=lanes, batch_records_max=batch_records_max)
    return House(door, b, log)


def some(count: int, key: str = "a", partition: TopicPartition = P0) -> list[LogRecord]:
    return Publisher().records([check_in(key) for _ in range(count)], partition=partition)


async def applied_to(count: int) -> House:
    """A house that has applied so many records of one key and let go of the partition."""
    h = house()
    h.log.append(some(count))
    await h.door.assigned({P0})
    await h.bring()
    await h.door.finish()
    assert h.position() == count
    return h


async def test_a_new_processor_begins_at_the_logs_start() -> None:
    h = house()
    h.log.first[P0] = 7
    h.log.append([record.at(7 + i) for i, record in enumerate(some(2))])
    await h.door.assigned({P0})
    assert h.log.seeks == [{P0: 7}]
    await h.bring()
    assert h.bench.counts() == {"a": 2}
    assert h.position() == 9


async def test_the_next_owner_begins_with_the_proof_of_the_last_record() -> None:
    h = await applied_to(3)
    h.log.append([record.at(record.offset) for record in some(5)[3:]])
    await h.door.assigned({P0})
    assert h.log.seeks[-1] == {P0: 2}
    await h.bring()
    assert h.bench.counts() == {"a": 5}


async def test_at_the_end_of_the_log_only_the_proof_comes_and_nothing_is_applied() -> None:
    h = await applied_to(3)
    await h.door.assigned({P0})
    await h.bring()
    assert h.bench.witness.counts["batches"] == 1
    assert h.door.next_offset(P0) == 3


async def test_without_a_record_before_the_position_there_is_nothing_to_prove() -> None:
    h = await applied_to(3)
    h.log.records[P0] = some(5)[3:]
    h.log.first[P0] = 3
    await h.door.assigned({P0})
    assert h.log.seeks[-1] == {P0: 3}
    await h.bring()
    assert h.bench.counts() == {"a": 5}


async def test_another_event_before_the_position_stops_the_process() -> None:
    h = await applied_to(3)
    h.log.records[P0] = [record.with_headers(ce_id=f"other-{record.offset}".encode()) for record in some(9)]
    await h.door.assigned({P0})
    with pytest.raises(LogReplacedError):
        await h.bring()
    assert h.bench.counts() == {"a": 3}


@pytest.mark.parametrize(("first", "end"), [(4, 9), (0, 2)])
async def test_a_log_that_does_not_hold_the_position_stops_the_process(first: int, end: int) -> None:
    h = await applied_to(3)
    h.log.records[P0] = some(9)[first:end]
    h.log.first[P0] = first
    with pytest.raises(LogTruncatedError):
        await h.door.assigned({P0})
    assert h.door.owned == set()


async def test_a_log_cut_below_the_position_while_it_is_read_stops_the_process() -> None:
    h = house()
    h.log.append(some(5))
    await h.door.assigned({P0})
    await h.bring()
    h.log.records[P0] = some(2)
    h.log.at[P0] = 0  # clients begin anew without a word
    with pytest.raises(LogTruncatedError):
        await h.bring()


async def test_records_below_the_position_are_dropped() -> None:
    h = house()
    records = some(4)
    h.log.append(records)
    await h.door.assigned({P0})
    await h.door.receive({P0: records[:3]})
    await h.door.receive({P0: records[1:]})
    assert h.bench.counts() == {"a": 4}
    assert h.bench.witness.counts["duplicates"] == 0


async def test_a_stale_list_has_the_log_seek_again() -> None:
    h = house()
    records = some(6)
    h.log.append(records)
    await h.door.assigned({P0})
    await h.door.receive({P0: records[:4]})
    await h.door.receive({P0: records[:2]})
    assert h.log.seeks[-1] == {P0: 3}
    await h.bring()
    assert h.bench.counts() == {"a": 6}


async def test_a_gap_is_repaired_once_and_stops_the_process_the_second_time() -> None:
    h = house()
    records = some(6)
    h.log.append(records)
    await h.door.assigned({P0})
    await h.door.receive({P0: records[2:]})
    assert h.bench.counts() == {}
    assert h.log.seeks[-1] == {P0: 0}
    await h.bring(limit=2)
    await h.door.receive({P0: records[3:]})
    with pytest.raises(LogGapError):
        await h.door.receive({P0: records[3:]})
    assert h.bench.counts() == {"a": 2}


async def test_a_gap_where_there_was_one_before_the_last_progress_is_a_first_one() -> None:
    h = house()
    records = some(6)
    h.log.append(records)
    await h.door.assigned({P0})
    await h.door.receive({P0: records[1:]})
    await h.bring(limit=1)
    await h.door.receive({P0: records[2:]})
    await h.bring()
    assert h.bench.counts() == {"a": 6}


async def test_what_comes_after_a_hole_inside_a_list_is_not_applied() -> None:
    h = house()
    records = some(6)
    h.log.append([record for record in records if record.offset != 3])
    await h.door.assigned({P0})
    await h.bring()
    assert h.bench.counts() == {"a": 3}
    await h.door.receive({P0: records[4:]})
    with pytest.raises(LogGapError):
        await h.bring()


async def test_a_missing_proof_is_a_gap() -> None:
    h = await applied_to(3)
    records = some(6)
    h.log.append(records[3:])
    await h.door.assigned({P0})
    await h.door.receive({P0: records[3:]})
    assert h.bench.counts() == {"a": 3}
    with pytest.raises(LogGapError):
        await h.door.receive({P0: records[3:]})


async def test_a_list_is_cut_into_batches() -> None:
    h = house(batch_records_max=4)
    h.log.append(some(10))
    await h.door.assigned({P0})
    await h.bring()
    assert h.bench.witness.counts["batches"] == 3
    assert h.bench.counts() == {"a": 10}


async def test_partitions_that_were_not_assigned_are_dropped() -> None:
    h = house((P0, P1))
    h.log.mine = frozenset({P0})
    await h.door.assigned({P0, TopicPartition("of.others", 0)})
    assert h.door.owned == {P0}
    await h.door.receive({P1: some(2, partition=P1)})
    assert h.bench.counts() == {}


@pytest.mark.parametrize(("missing", "warned"), [(0, False), (1, True)])
async def test_a_key_that_two_members_share_is_warned_of(
    missing: int, warned: bool, caplog: pytest.LogCaptureFixture
) -> None:
    assigned = [TopicPartition(topic, number) for topic in ("x", "y") for number in (0, 1)][missing:]
    b, log = bench(CountingHandler(("x", "y")), partitions=()), HandLog(assigned)
    door = Door(b.engine, log, b.clock, random.Random(1), b.witness)
    await door.assigned(assigned)
    assert ("not the same partition numbers" in caplog.text) is warned
    assert door.owned == set(assigned)


async def advance_elsewhere(h: House, records: Sequence[LogRecord]) -> None:
    """Another worker applies records from the stored position on."""
    other = Door(h.bench.engine, h.log, h.bench.clock, random.Random(2), h.bench.witness)
    await other.assigned({P0})
    await other.receive({P0: records})


async def test_a_moved_position_is_read_again_while_the_partition_is_ours() -> None:
    h = house()
    records = some(6)
    h.log.append(records)
    await h.door.assigned({P0})
    await advance_elsewhere(h, records[:4])
    await h.door.receive({P0: records[:2]})
    assert h.bench.witness.counts["moved"] == 1
    assert h.log.seeks[-1] == {P0: 3}
    await h.bring()
    assert h.bench.counts() == {"a": 6}


async def test_a_moved_position_of_a_lost_partition_drops_the_batch() -> None:
    h = house()
    records = some(6)
    h.log.append(records)
    await h.door.assigned({P0})
    await advance_elsewhere(h, records[:4])
    seeks = len(h.log.seeks)
    h.log.mine = frozenset()
    await h.door.receive({P0: records[:2]})
    assert len(h.log.seeks) == seeks
    assert h.bench.counts() == {"a": 4}


@pytest.mark.parametrize("error", [ConflictError, StoreUnavailableError])
@pytest.mark.parametrize("step", ["get", "commit"])
async def test_transient_errors_are_waited_out(error: type[Exception], step: str) -> None:
    h = house()
    h.log.append(some(3))
    await h.door.assigned({P0})
    left = 2

    def fault(now: str) -> None:
        nonlocal left
        if now == step and left:
            left -= 1
            raise error("planted")

    h.bench.store.fault = fault
    await h.bring()
    assert h.bench.counts() == {"a": 3}
    assert h.position() == 3


async def test_an_unknown_commit_that_took_effect_is_not_repeated() -> None:
    h = house()
    h.log.append(some(3))
    await h.door.assigned({P0})
    lost = False

    def fault(now: str) -> None:
        nonlocal lost
        if now == "committed" and not lost:
            lost = True
            raise CommitUnknownError("planted")

    h.bench.store.fault = fault
    await h.bring()
    await h.bring()
    assert h.bench.counts() == {"a": 3}
    assert h.door.next_offset(P0) == 3
    assert h.bench.witness.counts["duplicates"] == 0


async def test_an_unknown_commit_that_took_no_effect_is_repeated() -> None:
    h = house()
    h.log.append(some(3))
    await h.door.assigned({P0})
    lost = False

    def fault(now: str) -> None:
        nonlocal lost
        if now == "commit" and not lost:
            lost = True
            raise CommitUnknownError("planted")

    h.bench.store.fault = fault
    await h.bring()
    assert h.bench.counts() == {"a": 3}


async def test_a_store_that_stays_away_is_not_waited_for_once_the_partition_is_lost() -> None:
    h = house()
    h.log.append(some(3))
    await h.door.assigned({P0})

    def fault(now: str) -> None:
        if now == "commit":
            h.log.mine = frozenset()
            raise StoreUnavailableError("planted")

    h.bench.store.fault = fault
    await h.bring()
    assert h.bench.counts() == {}


async def test_what_is_not_transient_goes_out() -> None:
    h = house()
    first, _, third = some(3)
    h.log.append([first, third.at(1)])
    await h.door.assigned({P0})
    with pytest.raises(SequenceGapError):
        await h.bring()


async def test_taking_over_is_tried_again_while_store_and_log_are_away() -> None:
    h = house()
    h.log.append(some(3))
    h.log.failures = 2
    left = 2

    def fault(now: str) -> None:
        nonlocal left
        if now == "take_over" and left:
            left -= 1
            raise StoreUnavailableError("planted")

    h.bench.store.fault = fault
    await h.door.assigned({P0})
    await h.bring()
    assert h.bench.counts() == {"a": 3}


async def test_taking_over_ends_when_the_assignment_has_changed() -> None:
    h = house()
    h.log.failures = 1_000
    h.log.mine = frozenset()
    await h.door.assigned({P0})
    assert h.door.owned == set()


async def test_taking_over_that_outlives_its_cancellation_changes_nothing_of_a_new_assignment() -> None:
    h = house((P0, P1))
    h.log.append(some(3, "b", P1))
    released = asyncio.Event()
    bounds, sought = h.log.bounds, h.log.seek
    seeks: list[set[TopicPartition]] = []

    async def stubborn(partitions: Iterable[TopicPartition]) -> dict[TopicPartition, tuple[int, int]]:
        while not released.is_set():
            with contextlib.suppress(asyncio.CancelledError):
                await released.wait()
        return await bounds(partitions)

    async def seek(positions: Mapping[TopicPartition, int]) -> None:
        seeks.append(set(positions))
        await sought(positions)

    h.log.bounds, h.log.seek = stubborn, seek  # type: ignore[method-assign]
    first = asyncio.create_task(h.door.assigned({P0}))
    await asyncio.sleep(0.01)
    await h.door.finish(within_s=0.0)
    h.log.bounds = bounds  # type: ignore[method-assign]
    await h.door.assigned({P1})
    released.set()
    await first
    assert h.door.owned == {P1}
    assert seeks == [{P1}]
    await h.bring(P1)
    assert h.bench.counts() == {"b": 3}


class SlowHandler(CountingHandler):
    """Saves when it is allowed to."""

    def __init__(self) -> None:
        super().__init__()
        self.saving = asyncio.Event()
        self.go_on = asyncio.Event()

    async def save(self, tx: Transaction, state: Counts) -> Saved:
        self.saving.set()
        await self.go_on.wait()
        return await super().save(tx, state)


async def slow_house() -> tuple[House, SlowHandler, asyncio.Task[None]]:
    handler = SlowHandler()
    b, log = bench(handler, partitions=()), HandLog([P0])
    h = House(Door(b.engine, log, b.clock, random.Random(1), b.witness, batch_records_max=2), b, log)
    log.append(some(4))
    await h.door.assigned({P0})
    receiving = asyncio.ensure_future(h.bring())
    await handler.saving.wait()
    return h, handler, receiving


async def test_finish_lets_the_batch_in_flight_end_and_begins_no_other() -> None:
    h, handler, receiving = await slow_house()
    finishing = asyncio.ensure_future(h.door.finish())
    await asyncio.sleep(0)
    handler.go_on.set()
    await finishing
    await receiving
    assert h.bench.counts() == {"a": 2}
    assert h.door.uncommitted() == {P0: 2}
    assert h.door.owned == set()


async def test_finish_abandons_a_batch_that_does_not_end() -> None:
    h, handler, receiving = await slow_house()
    await h.door.finish(within_s=0.01)
    handler.go_on.set()
    await receiving
    assert h.bench.counts() == {}
    assert h.door.owned == set()
    await h.door.assigned({P0})
    await h.bring()
    assert h.bench.counts() == {"a": 4}


async def test_a_cancelled_caller_leaves_the_batch_to_finish() -> None:
    h, handler, receiving = await slow_house()
    receiving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await receiving
    handler.go_on.set()
    await h.door.finish()
    assert h.bench.counts() == {"a": 2}


async def test_an_error_of_the_batch_in_flight_comes_out_of_finish() -> None:
    h, handler, receiving = await slow_house()
    receiving.cancel()

    def broken(step: str) -> None:
        if step == "insert":
            raise ZeroDivisionError

    h.bench.store.fault = broken
    handler.go_on.set()
    with pytest.raises(ZeroDivisionError):
        await h.door.finish()


async def test_a_result_that_comes_after_a_new_assignment_changes_nothing_of_it() -> None:
    h, handler, receiving = await slow_house()
    receiving.cancel()
    await asyncio.sleep(0)
    late = h.door._work
    h.door._work = None  # a driver that forgets to finish
    await h.door.assigned({P0})
    handler.go_on.set()
    assert late is not None
    await asyncio.wait({late})
    assert h.door.next_offset(P0) == 0, "as read at the assignment"
    await h.bring()
    await h.bring()
    assert h.bench.counts() == {"a": 4}


async def test_lists_that_come_after_finish_are_dropped() -> None:
    h = house()
    records = some(2)
    h.log.append(records)
    await h.door.assigned({P0})
    await h.door.finish()
    await h.door.receive({P0: records})
    assert h.bench.counts() == {}


async def test_lanes_run_side_by_side_and_equal_numbers_share_one() -> None:
    others = [TopicPartition(topic, number) for topic in ("x", "y") for number in (0, 1)]
    running: set[TopicPartition] = set()
    most = 0

    class Both(CountingHandler):
        async def load(
            self,
            tx: Transaction,
            origin: Origin,
            envelopes: Sequence[Envelope[Any]],
            documents: Mapping[str, Document],
        ) -> Counts:
            nonlocal most
            running.add(TopicPartition(origin.topic, origin.partition))
            assert len({each.partition for each in running}) == len(running), "keys of one number conflict"
            most = max(most, len(running))
            await asyncio.sleep(0.01)
            running.discard(TopicPartition(origin.topic, origin.partition))
            return await super().load(tx, origin, envelopes, documents)

    b, log = bench(Both(("x", "y")), partitions=()), HandLog(others)
    door = Door(b.engine, log, b.clock, random.Random(1), b.witness, lanes=3)
    publisher = Publisher()
    for each in others:
        (record,) = publisher.records([check_in(f"key-{each.partition}")])
        log.append([replace(record, topic=each.topic, partition=each.partition).with_headers(ce_sequence=b"1")])
    await door.assigned(others)
    await door.receive({each: log.fetch(each) for each in others})
    assert b.counts() == {"key-0": 2, "key-1": 2}
    assert most == 2


async def test_uncommitted_positions_are_told_once_and_newer_ones_win_over_returned_ones() -> None:
    h = house()
    h.log.append(some(3))
    await h.door.assigned({P0})
    assert h.door.uncommitted() == {P0: 0}, "so that an idle group has offsets too"
    await h.bring(limit=1)
    taken = h.door.uncommitted()
    assert taken == {P0: 1}
    assert h.door.uncommitted() == {}
    await h.bring(limit=1)
    h.door.not_committed(taken)
    assert h.door.uncommitted() == {P0: 2}


async def test_lag_is_told_in_records_and_in_seconds_since_the_first_that_waits() -> None:
    h = house()
    h.log.append(some(5))
    await h.door.assigned({P0})
    h.door.report_lag({P0: 5})
    assert h.bench.witness.lags[P0] == (5, 0.0)
    await h.bring(limit=2)
    h.bench.clock.at = NOON.replace(second=30)
    h.door.report_lag({P0: 5})
    assert h.bench.witness.lags[P0] == (3, 30.0)
    await h.bring()
    h.door.report_lag({P0: 5})
    assert h.bench.witness.lags[P0] == (0, 0.0)


async def test_a_partition_that_was_let_go_shows_no_lag() -> None:
    h = house()
    h.log.append(some(5))
    await h.door.assigned({P0})
    h.door.report_lag({P0: 5})
    await h.door.finish()
    assert h.bench.witness.lags[P0] == (0, 0.0)


def test_a_list_is_cut_by_records_and_by_bytes() -> None:
    records = some(5)
    size = len(records[0].value or b"")
    assert [len(part) for part in cut(records, 2)] == [2, 2, 1]
    assert [len(part) for part in cut(records, 100, bytes_max=3 * size + 1)] == [3, 2]
    assert [len(part) for part in cut(records, 100, bytes_max=1)] == [1, 1, 1, 1, 1]
    assert [len(part) for part in cut(records, 100)] == [5]


def test_holes_and_what_lies_below_are_counted() -> None:
    records = some(5)
    assert number_below(records, 2) == 2
    assert number_below(records[3:], 2) == 0
    assert length_without_hole(records) == 5
    assert length_without_hole([*records[:2], *records[3:]]) == 2
    assert length_without_hole([]) == 0
