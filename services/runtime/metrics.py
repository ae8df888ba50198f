"""Declares every metric once, with its meaning and unit, and counts what eventing and HTTP tell."""

from dataclasses import dataclass
from typing import Final, Literal

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)

from services.eventing.ports import TopicPartition

MEDIA_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

Kind = Literal["counter", "gauge", "histogram"]
Unit = Literal["seconds", "events", "records", "people", "minutes", "rows", "items", "requests", "flag", "times"]


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric as it is declared: Prometheus name, kind, unit, meaning, and labels, none of which is a person."""

    name: str
    kind: Kind
    unit: Unit
    meaning: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()


_declared: list[Metric] = []


def _counter(name: str, unit: Unit, meaning: str, *labels: str) -> Metric:
    _declared.append(Metric(name, "counter", unit, meaning, labels))
    return _declared[-1]


def _gauge(name: str, unit: Unit, meaning: str, *labels: str) -> Metric:
    _declared.append(Metric(name, "gauge", unit, meaning, labels))
    return _declared[-1]


def _histogram(name: str, unit: Unit, meaning: str, *labels: str, buckets: tuple[float, ...]) -> Metric:
    _declared.append(Metric(name, "histogram", unit, meaning, labels, buckets))
    return _declared[-1]


_SECONDS: Final = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
_BATCHES: Final = (1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1_000.0, 2_000.0, 5_000.0)
_PARTITION: Final = ("topic", "partition")

PROCESS_INFO = _gauge("process_info", "flag", "1, with the process's own names.", "service", "process")

HTTP_SECONDS = _histogram(
    "http_request_seconds",
    "seconds",
    "From a request's head to its answer's end.",
    *("method", "route", "status"),
    buckets=_SECONDS,
)
HTTP_IN_FLIGHT = _gauge("http_requests_in_flight", "requests", "Requests being answered now.")
COMMANDS_REPLAYED = _counter("commands_replayed_total", "requests", "Commands given an earlier request's kept answer.")

EVENTS_APPLIED = _counter("events_applied_total", "events", "Events whose batch was committed.", *_PARTITION)
BATCH_EVENTS = _histogram("batch_events", "events", "Sizes of committed batches.", "topic", buckets=_BATCHES)
BATCH_SECONDS = _histogram("batch_seconds", "seconds", "From fetch to commit of a batch.", "topic", buckets=_SECONDS)
EVENTS_DUPLICATE = _counter("events_duplicate_total", "events", "Events absorbed as known already.", *_PARTITION)
EVENTS_IGNORED = _counter("events_ignored_total", "events", "Events of declared types not used here.", *_PARTITION)
POSITION_MOVED = _counter(
    "position_moved_total", "times", "Batches dropped because another owner had moved the position.", *_PARTITION
)
LAG_RECORDS = _gauge("lag_records", "records", "Records of a partition not applied yet.", *_PARTITION)
LAG_SECONDS = _gauge("lag_seconds", "seconds", "Age of the oldest record not applied yet.", *_PARTITION)

RECORDS_PARKED = _counter("records_parked_total", "records", "Records put aside, undecided.", "topic", "reason")
PARKED_RECORDS = _gauge("parked_records", "records", "Records waiting in parking now.")
PARKED_PEOPLE = _gauge("parked_people", "people", "Keys whose history waits in parking now.")
PARKED_MINUTES = _gauge("parked_minutes", "minutes", "Minutes of service that wait in parking now.")

TRANSACTION_RETRIES = _counter("transaction_retries_total", "times", "Transactions run again.", "where")

EVENTS_PUBLISHED = _counter("events_published_total", "events", "Events acknowledged by the broker and marked.")
RELAY_LEADING = _gauge("relay_leading", "flag", "1 while this relay holds the lease, 0 while it stands by.")
OUTBOX_UNMARKED = _gauge("outbox_unmarked_rows", "rows", "Outbox rows not published yet.")
OUTBOX_OLDEST_SECONDS = _gauge("outbox_oldest_seconds", "seconds", "Age of the oldest outbox row not published yet.")
DUE_WORK_DONE = _counter("due_work_done_total", "items", "Due items carried out.", "name")

BACKUP_LAST_SUCCESS = _gauge(
    "backup_last_success_timestamp_seconds", "seconds", "When the last whole backup of a service was begun.", "service"
)
PARITY_DIFFERENCES = _gauge(
    "parity_differences", "items", "Rows of live projections that differ from what the topics give.", "service"
)
PARITY_CHECKED_AT = _gauge(
    "parity_last_check_timestamp_seconds", "seconds", "When the last whole comparison was begun.", "service"
)

LOG_FIELDS_REFUSED = _counter("log_fields_refused_total", "times", "Log fields left out because undeclared.")

METRICS: Final = tuple(_declared)
"""All of them: what dashboards and alerts name is compared with this."""


class Metrics:
    """One process's metrics in one registry; keeps eventing's port ``Observer``."""

    def __init__(self, service: str, process: str) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call] # a third of the text, for a time that Prometheus knows without it
        self.registry = CollectorRegistry()
        self.is_leading = False
        """What the relay said last, for its readiness."""
        ProcessCollector(registry=self.registry)
        self._counters = {m: Counter(m.name, m.meaning, m.labels, registry=self.registry) for m in _of("counter")}
        self._gauges = {m: Gauge(m.name, m.meaning, m.labels, registry=self.registry) for m in _of("gauge")}
        self._histograms = {
            m: Histogram(m.name, m.meaning, m.labels, buckets=m.buckets, registry=self.registry)
            for m in _of("histogram")
        }
        self.set(PROCESS_INFO, 1, service, process)

    def count(self, metric: Metric, amount: float, *labels: str) -> None:
        """Adds to a declared counter."""
        counter = self._counters[metric]
        (counter.labels(*labels) if labels else counter).inc(amount)

    def set(self, metric: Metric, value: float, *labels: str) -> None:
        """Sets a declared gauge."""
        gauge = self._gauges[metric]
        (gauge.labels(*labels) if labels else gauge).set(value)

    def add(self, metric: Metric, amount: float) -> None:
        """Raises or lowers a declared gauge that has no labels."""
        self._gauges[metric].inc(amount)

    def observe(self, metric: Metric, value: float, *labels: str) -> None:
        """Puts a value into a declared histogram."""
        self._histograms[metric].labels(*labels).observe(value)

    def text(self) -> bytes:
        """All metrics in Prometheus's text format."""
        return generate_latest(self.registry)

    def log_fields_refused(self, fields: int) -> None:
        """Hears of log fields that were left out: a mistake in the code that logs."""
        self.count(LOG_FIELDS_REFUSED, fields)

    # services.eventing.observe.Observer

    def batch_applied(self, partition: TopicPartition, events: int, seconds: float) -> None:
        self.count(EVENTS_APPLIED, events, *_labels(partition))
        self.observe(BATCH_EVENTS, events, partition.topic)
        self.observe(BATCH_SECONDS, seconds, partition.topic)

    def duplicates_absorbed(self, partition: TopicPartition, events: int) -> None:
        self.count(EVENTS_DUPLICATE, events, *_labels(partition))

    def events_ignored(self, partition: TopicPartition, events: int) -> None:
        self.count(EVENTS_IGNORED, events, *_labels(partition))

    def record_parked(self, partition: TopicPartition, reason: str) -> None:
        self.count(RECORDS_PARKED, 1, partition.topic, reason)

    def parked_now(self, records: int, people: int, minutes: int) -> None:
        self.set(PARKED_RECORDS, records)
        self.set(PARKED_PEOPLE, people)
        self.set(PARKED_MINUTES, minutes)

    def lag(self, partition: TopicPartition, records: int, seconds: float) -> None:
        self.set(LAG_RECORDS, records, *_labels(partition))
        self.set(LAG_SECONDS, seconds, *_labels(partition))

    def position_moved(self, partition: TopicPartition) -> None:
        self.count(POSITION_MOVED, 1, *_labels(partition))

    def transaction_retried(self, where: str) -> None:
        self.count(TRANSACTION_RETRIES, 1, where)

    def relay_published(self, events: int) -> None:
        self.count(EVENTS_PUBLISHED, events)

    def relay_state(self, *, leading: bool) -> None:
        self.is_leading = leading
        self.set(RELAY_LEADING, leading)

    def outbox(self, unmarked: int, oldest_age_s: float) -> None:
        self.set(OUTBOX_UNMARKED, unmarked)
        self.set(OUTBOX_OLDEST_SECONDS, oldest_age_s)

    def due_work_done(self, name: str, items: int) -> None:
        self.count(DUE_WORK_DONE, items, name)


def _of(kind: Kind) -> list[Metric]:
    return [metric for metric in METRICS if metric.kind == kind]


def _labels(partition: TopicPartition) -> tuple[str, str]:
    return partition.topic, str(partition.partition)
