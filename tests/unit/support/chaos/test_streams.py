"""What is wrong with topics, feeds and positions is found."""

import json
from collections.abc import Iterable
from typing import Any

from tests.support.chaos.evidence import Appended, Evidence
from tests.support.chaos.streams import faults_of_feed, faults_of_positions, faults_of_topic, first_ones, repeats

TOPIC = "hours.entries"


def record(key: str, sequence: int, *, partition: int = 0, name: str = "", text: str = "") -> Appended:
    name = name or f"{key}{sequence}"
    value = f'{{"id":"{name}","subject":"{key}","sequence":"{sequence:012d}","data":"{text}"}}'
    return Appended(partition, 0, key, sequence, name, "some.type", value.encode())


def topic(*records: Appended) -> list[Appended]:
    """The records with the offsets of their partitions."""
    ends: dict[int, int] = {}
    placed = []
    for each in records:
        placed.append(each._replace(offset=ends.get(each.partition, 0)))
        ends[each.partition] = placed[-1].offset + 1
    return placed


def feed(*records: Appended) -> list[Any]:
    return [json.loads(each.value) for each in records]


def codes(faults: Iterable[str]) -> list[str]:
    return [fault.partition(":")[0] for fault in faults]


def test_keys_in_order_with_a_relays_repeats_are_well() -> None:
    a, b = [record("a", n) for n in (1, 2, 3)], [record("b", n, partition=1) for n in (1, 2)]
    records = topic(a[0], b[0], a[1], a[0], a[1], a[2], b[0], b[1], a[2])
    assert codes(faults_of_topic(TOPIC, records)) == []
    assert [each.id for each in first_ones(records)] == ["a1", "b1", "a2", "a3", "b2"]
    assert repeats({TOPIC: records}) == 4


def test_a_gap_is_seen() -> None:
    assert codes(faults_of_topic(TOPIC, topic(record("a", 1), record("a", 3)))) == ["topic_gap"]


def test_a_stream_that_does_not_begin_at_one_is_seen() -> None:
    assert codes(faults_of_topic(TOPIC, topic(record("a", 2)))) == ["topic_gap"]


def test_events_that_overtook_each_other_are_seen() -> None:
    assert codes(faults_of_topic(TOPIC, topic(record("a", 2), record("a", 1)))) == ["topic_gap", "topic_gap"]


def test_another_event_under_a_known_sequence_is_seen() -> None:
    assert codes(faults_of_topic(TOPIC, topic(record("a", 1), record("a", 1, name="x")))) == ["topic_conflict"]


def test_a_repeat_that_says_something_else_is_seen() -> None:
    assert codes(faults_of_topic(TOPIC, topic(record("a", 1), record("a", 1, text="other")))) == ["topic_conflict"]


def test_a_key_in_two_partitions_is_seen() -> None:
    records = topic(record("a", 1), record("a", 2, partition=1))
    assert codes(faults_of_topic(TOPIC, records)) == ["topic_partitions"]


def test_a_hole_in_the_offsets_is_seen() -> None:
    records = [record("a", 1), record("a", 2)._replace(offset=2)]
    assert codes(faults_of_topic(TOPIC, records)) == ["topic_offsets"]


A1, A2, B1 = record("a", 1), record("a", 2), record("b", 1)


def faults_of(told: list[Any], *records: Appended, other: str = TOPIC) -> list[str]:
    return codes(faults_of_feed("hours", told, {other: topic(*records)}))


def test_a_feed_that_holds_what_its_topics_hold_is_well() -> None:
    assert faults_of(feed(A1, B1, A2), A1, A2, A1, B1) == []


def test_topics_of_other_services_are_not_in_a_feed() -> None:
    assert faults_of([], A1, other="registry.volunteers") == []


def test_an_event_that_is_missing_in_a_feed_is_seen() -> None:
    assert faults_of(feed(A1), A1, B1) == ["feed_missing"]


def test_a_gap_in_a_feed_is_seen() -> None:
    assert faults_of(feed(A2), A1, A2) == ["feed_missing", "feed_gap"]


def test_an_event_that_stands_twice_in_a_feed_is_seen() -> None:
    assert faults_of(feed(A1, A1), A1) == ["feed_double", "feed_gap"]


def test_an_event_that_was_marked_but_never_published_is_seen() -> None:
    assert faults_of(feed(A1, B1), A1) == ["feed_unpublished"]


def test_another_order_in_a_feed_is_seen() -> None:
    assert faults_of(feed(A2, A1), A1, A2) == ["feed_gap", "feed_gap"]


def test_an_event_that_says_something_else_in_a_feed_is_seen() -> None:
    assert faults_of(feed(record("a", 1, text="other")), A1) == ["feed_differs"]


def positions(**changes: Any) -> Evidence:
    place = (TOPIC, 0)
    well: dict[str, Any] = {
        "ends": {place: 5, (TOPIC, 1): 0},
        "positions": {("registry", place): 5, ("registry", (TOPIC, 1)): 0},
        "committed": {("registry", place): 5},
    }
    return Evidence(**(well | changes))


def test_positions_at_the_ends_of_all_partitions_are_well() -> None:
    assert codes(faults_of_positions(positions())) == []


def test_a_position_before_the_end_is_seen() -> None:
    behind = {("registry", (TOPIC, 0)): 4, ("registry", (TOPIC, 1)): 0}
    assert codes(faults_of_positions(positions(positions=behind))) == ["position"]


def test_a_partition_that_nobody_has_a_position_in_is_seen() -> None:
    assert codes(faults_of_positions(positions(positions={("registry", (TOPIC, 0)): 5}))) == ["position"]


def test_a_lag_that_lag_tools_would_show_is_seen() -> None:
    assert codes(faults_of_positions(positions(committed={("registry", (TOPIC, 0)): 4}))) == ["committed"]
    assert codes(faults_of_positions(positions(committed={}))) == ["committed"]


def test_no_positions_at_all_are_seen() -> None:
    assert codes(faults_of_positions(positions(positions={}, committed={}))) == ["position"]
