"""The whole worker on a real broker and database: every event exactly once, whatever happens to the process."""

import secrets
import signal
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from kafka import TopicPartition
from kafka.admin import KafkaAdminClient

from deploy.local.broker import Broker
from deploy.local.database import Database
from services.eventing.door.faust_door import EXIT_UNEXPECTED
from services.eventing.parking import PARKING
from tests.support.counting import POISON
from tests.support.records import Publisher, check_in
from tests.support.workers import PARTITIONS, SHORT_SESSION, Site, site, wait_until

STOP_WITHIN_S = 5


def unused_name() -> str:
    return f"t{secrets.token_hex(4)}"


@pytest.fixture
def place(kafka_bootstrap: str, mongodb_uris: Mapping[str, str], tmp_path: Path) -> Iterator[Site]:
    with site(kafka_bootstrap, mongodb_uris["hours"], unused_name(), tmp_path) as made:
        yield made


@pytest.fixture
def place_of_two_topics(kafka_bootstrap: str, mongodb_uris: Mapping[str, str], tmp_path: Path) -> Iterator[Site]:
    with site(kafka_bootstrap, mongodb_uris["hours"], unused_name(), tmp_path, topics=2) as made:
        yield made


def people(count: int, each: int = 1) -> list[str]:
    return [f"volunteer-{number:04d}" for number in range(count)] * each


def test_every_event_is_applied_once_and_the_group_shows_no_lag(place: Site) -> None:
    place.publish([check_in(key) for key in people(200, each=5)])
    worker = place.start()
    place.wait_applied()
    place.publish([check_in(key) for key in people(20)])
    place.wait_applied()
    wait_until(lambda: place.committed() == place.ends(), "committed offsets follow", 10)
    began = time.monotonic()
    assert worker.end() == 0
    assert time.monotonic() - began < STOP_WITHIN_S
    place.check()
    assert place.committed() == place.ends()
    assert worker.observed()["applied"] == place.published.total()


def test_what_a_killed_worker_left_open_is_taken_over(place: Site) -> None:
    first = place.start(**SHORT_SESSION)
    first.wait_for("ready")
    first.hold()
    place.publish([check_in(key) for key in people(200)])
    first.wait_for("held")
    assert first.end(signal.SIGKILL) == -signal.SIGKILL
    assert not place.counts()
    began = time.monotonic()
    place.start(**SHORT_SESSION)
    place.wait_applied()
    assert time.monotonic() - began < 30, "not by waiting until the dead transaction's lifetime is over, a minute"
    place.check()


def test_a_frozen_worker_that_comes_back_changes_nothing(place: Site) -> None:
    frozen = place.start(**SHORT_SESSION)
    frozen.wait_for("ready")
    frozen.hold()
    place.publish([check_in(key) for key in people(200)])
    frozen.wait_for("held")
    frozen.send(signal.SIGSTOP)
    other = place.start(**SHORT_SESSION)
    place.wait_applied()  # beyond the session's time-out, or the other would not have got the partitions
    frozen.go_on()
    frozen.send(signal.SIGCONT)
    place.publish([check_in(key) for key in people(200)])
    place.wait_applied()
    wait_until(lambda: len(members(place)) == 2, "the frozen one is a member again")
    place.publish([check_in(key) for key in people(200)])
    place.wait_applied()
    assert [worker.end() for worker in (frozen, other)] == [0, 0]
    place.check()
    assert frozen.observed()["applied"] + other.observed()["applied"] == place.published.total()


def test_a_stop_abandons_a_batch_that_does_not_end(place: Site) -> None:
    worker = place.start()
    worker.wait_for("ready")
    worker.hold()
    place.publish([check_in(key) for key in people(50)])
    worker.wait_for("held")
    began = time.monotonic()
    assert worker.end() == 0
    assert time.monotonic() - began < STOP_WITHIN_S
    assert not place.counts()
    place.start()
    place.wait_applied()
    place.check()


def test_a_position_older_than_the_logs_start_stops_the_process(place: Site) -> None:
    place.publish([check_in(key) for key in people(20)])
    worker = place.start()
    place.wait_applied()
    assert worker.end() == 0
    place.publish([check_in(key) for key in people(20, each=2)])
    (topic,) = place.topics
    admin = KafkaAdminClient(bootstrap_servers=place.bootstrap)
    ends = place.ends()
    admin.delete_records({TopicPartition(topic, number): ends[f"{topic}|{number}"] - 1 for number in range(PARTITIONS)})
    admin.close()
    late = place.start()
    assert late.process.wait(30) == EXIT_UNEXPECTED
    assert "LogTruncatedError" in late.log
    assert place.counts().total() == 20


def test_a_topic_made_anew_stops_the_process(place: Site) -> None:
    place.publish([check_in(key) for key in people(20)])
    worker = place.start()
    place.wait_applied()
    assert worker.end() == 0
    admin = KafkaAdminClient(bootstrap_servers=place.bootstrap)
    admin.delete_topics(list(place.topics))
    wait_until(lambda: not set(place.topics) & set(admin.list_topics()), "topics are gone")
    admin.close()
    place.make_topics()
    place.publish([check_in(key) for key in people(20, each=3)])
    late = place.start()
    assert late.process.wait(30) == EXIT_UNEXPECTED
    assert "LogReplacedError" in late.log
    assert place.counts().total() == 20


def test_two_workers_share_partitions_and_one_has_all_of_a_key(place_of_two_topics: Site) -> None:
    place = place_of_two_topics
    first, second = place.topics
    workers = [place.start(), place.start()]
    wait_until(lambda: len(members(place)) == 2, "two members")
    owned = members(place)
    for numbers in owned:
        assert numbers[first] == numbers[second]
        assert len(numbers[first]) == PARTITIONS // 2
    place.publish([check_in(key) for key in people(100)], first)
    place.publisher = Publisher("other")  # each topic has its own sequences
    place.publish([check_in(key) for key in people(100)], second)
    place.wait_applied()
    assert [worker.end() for worker in workers] == [0, 0]
    place.check()
    assert all(worker.observed()["applied"] for worker in workers)


def test_an_undecidable_record_is_parked_and_only_its_person_waits(place: Site) -> None:
    place.publish([check_in("a"), check_in("b", batch_id=POISON), check_in("b"), check_in("c")])
    worker = place.start()
    queue = f"{place.name}|b"
    wait_until(lambda: place.counts().total() == 2 and place.documents(PARKING), "two applied, one parked")
    place.publish([check_in("b")])
    wait_until(lambda: place.documents(PARKING)[queue]["count"] == 3, "the third waits too")
    assert worker.end() == 0
    assert place.counts() == {"a": 1, "c": 1}
    reasons = [record["reason"] for record in place.documents(PARKING)[queue]["records"]]
    assert reasons == ["decision_failed", "behind", "behind"]


def test_a_broker_that_was_away_costs_nothing_but_time(tmp_path: Path, mongodb_uris: Mapping[str, str]) -> None:
    broker = Broker(tmp_path / "broker")
    broker.start()
    try:
        with site(broker.bootstrap, mongodb_uris["hours"], unused_name(), tmp_path) as place:
            place.publish([check_in(key) for key in people(100)])
            worker = place.start()
            place.wait_applied()
            broker.kill()
            wait_until(lambda: not broker.is_running, "gone")
            broker.start()
            place.publish([check_in(key) for key in people(100)])
            place.wait_applied()
            assert worker.end() == 0
            place.check()
    finally:
        broker.stop()


def test_a_worker_that_is_there_before_its_broker_waits_for_it(tmp_path: Path, mongodb_uris: Mapping[str, str]) -> None:
    broker = Broker(tmp_path / "broker")
    broker.start()
    try:
        with site(broker.bootstrap, mongodb_uris["hours"], unused_name(), tmp_path) as place:
            place.publish([check_in(key) for key in people(20)])
            broker.kill()
            early, stopped = place.start(), place.start()
            wait_until(lambda: "no broker answers yet" in early.log, early.log)
            wait_until(lambda: "no broker answers yet" in stopped.log, stopped.log)
            assert stopped.end() == 0
            broker.start()
            place.wait_applied()
            assert early.end() == 0
            place.check()
    finally:
        broker.stop()


def test_a_database_that_was_away_costs_nothing_but_time(tmp_path: Path, kafka_bootstrap: str) -> None:
    database = Database("hours", tmp_path / "database")
    database.start()
    try:
        with site(kafka_bootstrap, database.uri, unused_name(), tmp_path) as place:
            worker = place.start()
            worker.wait_for("ready")
            worker.hold()
            place.publish([check_in(key) for key in people(100)])
            worker.wait_for("held")
            database.kill()
            worker.go_on()
            wait_until(lambda: "a batch failed" in worker.log, "the batch fails", 30)
            database.start()
            place.wait_applied()
            assert worker.end() == 0
            place.check()
    finally:
        database.stop()


def members(place: Site) -> list[dict[str, list[int]]]:
    """What each member of the group was assigned: partition numbers by topic."""
    admin = KafkaAdminClient(bootstrap_servers=place.bootstrap)
    group = admin.describe_groups([place.name])[place.name]
    admin.close()
    if group["group_state"] != "Stable":
        return []
    assigned = [member["member_assignment"]["assigned_partitions"] for member in group["members"]]
    return [{each["topic"]: sorted(each["partitions"]) for each in one} for one in assigned]
