"""Every metric is declared once, and what eventing tells arrives under its name."""

import re

import pytest

from services.eventing.observe import Observer, Waits
from services.eventing.ports import TopicPartition
from services.runtime.metrics import METRICS, Metrics

PARTITION = TopicPartition("activities.attendance", 3)


def lines(metrics: Metrics) -> set[str]:
    return set(metrics.text().decode().splitlines())


def test_everything_eventing_tells_is_counted() -> None:
    metrics = Metrics("hours", "processor")
    observer: Observer = metrics
    observer.batch_committed(PARTITION, records=500, applied=490, seconds=0.3)
    observer.batch_committed(PARTITION, records=1, applied=1, seconds=0.001)
    observer.duplicates_absorbed(PARTITION, 4)
    observer.events_ignored(PARTITION, 5)
    observer.record_parked(PARTITION, "undecodable")
    observer.parked(Waits(records=6, keys=3, people=2, minutes=180, longest_records=4, oldest_age_s=7.5))
    observer.lag(PARTITION, 7, 1.5)
    observer.position_moved(PARTITION)
    observer.retried("relay", "LogError")
    metrics.transaction_retried("ConflictError")
    observer.relay_published(8)
    observer.relay_state(leading=True)
    observer.outbox(9, 2.5)
    observer.due_work_done("timeouts", 10)
    labels = '{partition="3",topic="activities.attendance"}'
    assert lines(metrics) >= {
        f"events_applied_total{labels} 491.0",
        'batch_records_count{topic="activities.attendance"} 2.0',
        'batch_records_bucket{le="500.0",topic="activities.attendance"} 2.0',
        'batch_seconds_bucket{le="0.2",topic="activities.attendance"} 1.0',
        f"events_duplicate_total{labels} 4.0",
        f"events_ignored_total{labels} 5.0",
        'records_parked_total{reason="undecodable",topic="activities.attendance"} 1.0',
        "parked_records 6.0",
        "parked_keys 3.0",
        "parked_people 2.0",
        "parked_minutes 180.0",
        "parked_longest_records 4.0",
        "parked_oldest_seconds 7.5",
        f"lag_records{labels} 7.0",
        f"lag_seconds{labels} 1.5",
        f"position_moved_total{labels} 1.0",
        'retries_total{cause="LogError",step="relay"} 1.0',
        'retries_total{cause="ConflictError",step="transaction"} 1.0',
        "events_published_total 8.0",
        "relay_leading 1.0",
        "outbox_unmarked_rows 9.0",
        "outbox_oldest_seconds 2.5",
        'due_work_done_total{name="timeouts"} 10.0',
        'process_info{process="processor",service="hours"} 1.0',
    }


@pytest.mark.parametrize("leading", [True, False])
def test_readiness_knows_what_the_relay_said_last(leading: bool) -> None:
    metrics = Metrics("hours", "relay")
    metrics.relay_state(leading=not leading)
    metrics.relay_state(leading=leading)
    assert metrics.is_leading is leading
    assert f"relay_leading {float(leading)}" in lines(metrics)


def test_metrics_are_declared_once_with_meaning_and_a_name_that_says_the_unit() -> None:
    names = [metric.name for metric in METRICS]
    assert len(set(names)) == len(names)
    for metric in METRICS:
        assert re.fullmatch(r"[a-z][a-z_]*", metric.name)
        assert metric.meaning.endswith("."), metric.name
        assert metric.name.endswith("_total") == (metric.kind == "counter"), metric.name
        assert (metric.unit == "seconds") == metric.name.endswith("_seconds"), metric.name
        assert bool(metric.buckets) == (metric.kind == "histogram"), metric.name


def test_no_label_can_hold_a_person() -> None:
    allowed = {
        "service",
        "process",
        "method",
        "route",
        "status",
        "topic",
        "partition",
        "reason",
        "step",
        "cause",
        "code",
        "name",
    }
    assert {label for metric in METRICS for label in metric.labels} <= allowed


def test_each_process_has_its_own_registry() -> None:
    one, other = Metrics("hours", "api"), Metrics("hours", "relay")
    one.relay_published(1)
    assert "events_published_total 0.0" in lines(other)
