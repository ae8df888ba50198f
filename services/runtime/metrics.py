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

from services.eventing.observe import Step, Waits
from services.eventing.ports import TopicPartition

MEDIA_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

Kind = Literal["counter", "gauge", "histogram"]
Unit = Literal[
    "seconds", "events", "records", "people", "keys", "minutes", "rows", "items", "requests", "flag", "times"
]


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric as it is declared: Prometheus name, kind, unit, meaning, and labels, none of which is a person.

    ``shared``: it is of the whole service, and every replica tells the same: to be read as a maximum, never as a sum.
    """

    name: str
    kind: Kind
    unit: Unit
    meaning: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()
    shared: bool = False


_declared: list[Metric] = []


def _counter(name: str, unit: Unit, meaning: str, *labels: str) -> Metric:
    _declared.append(Metric(name, "counter", unit, meaning, labels))
    return _declared[-1]


def _gauge(name: str, unit: Unit, meaning: str, *labels: str) -> Metric:
    _declared.append(Metric(name, "gauge", unit, meaning, labels))
    return _declared[-1]


def _shared(name: str, unit: Unit, meaning: str) -> Metric:
    told = f"{meaning} Of the whole service, told by each of its relays: take the maximum."
    _declared.append(Metric(name, "gauge", unit, told, shared=True))
    return _declared[-1]


def _histogram(name: str, unit: Unit, meaning: str, *labels: str, buckets: tuple[float, ...]) -> Metric:
    _declared.append(Metric(name, "histogram", unit, meaning, labels, buckets))
    return _declared[-1]


_SECONDS: Final = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
_BATCHES: Final = (1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1_000.0, 2_000.0, 5_000.0)
_PARTITION: Final = ("topic", "partition")

PROCESS_INFO = _gauge("process_info", "flag", "1, with the process's own names.", "service", "process")
PROCESS_READY = _gauge(
    "process_ready", "flag", "1 if the process could do its work when it was asked for these metrics, else 0."
)

HTTP_SECONDS = _histogram(
    "http_request_seconds",
    "seconds",
    "From a request's head to its answer's end.",
    *("method", "route", "status"),
    buckets=_SECONDS,
)
HTTP_IN_FLIGHT = _gauge("http_requests_in_flight", "requests", "Requests being answered now.")
AUTHENTICATION_FAILURES = _counter(
    "authentication_failures_total", "requests", "Requests without a token that holds, by the answer's code.", "code"
)
COMMANDS_REPLAYED = _counter("commands_replayed_total", "requests", "Commands given an earlier request's kept answer.")

EVENTS_APPLIED = _counter("events_applied_total", "events", "Events whose batch was committed.", *_PARTITION)
BATCH_RECORDS = _histogram(
    "batch_records", "records", "Records of a committed batch, whatever became of each.", "topic", buckets=_BATCHES
)
BATCH_SECONDS = _histogram(
    "batch_seconds",
    "seconds",
    "Decoding, transaction and commit of a batch, in the try that succeeded; not the wait for its records.",
    "topic",
    buckets=_SECONDS,
)
EVENTS_DUPLICATE = _counter("events_duplicate_total", "events", "Events absorbed as known already.", *_PARTITION)
EVENTS_IGNORED = _counter("events_ignored_total", "events", "Events of declared types not used here.", *_PARTITION)
POSITION_MOVED = _counter(
    "position_moved_total", "times", "Batches dropped because another owner had moved the position.", *_PARTITION
)
LAG_RECORDS = _gauge(
    "lag_records",
    "records",
    "Records of a partition not applied yet, told by its owner; 0 of what is not owned.",
    *_PARTITION,
)
LAG_SECONDS = _gauge(
    "lag_seconds",
    "seconds",
    "How long a partition's oldest record not applied yet has waited, told by its owner.",
    *_PARTITION,
)

RECORDS_PARKED = _counter("records_parked_total", "records", "Records put aside, undecided.", "topic", "reason")
PARKED_RECORDS = _shared("parked_records", "records", "Records that wait in parking.")
PARKED_KEYS = _shared("parked_keys", "keys", "Keys of any kind whose later records wait in parking, in order.")
PARKED_PEOPLE = _shared("parked_people", "people", "Volunteers whose later records wait in parking, in order.")
PARKED_MINUTES = _shared("parked_minutes", "minutes", "Minutes of service that wait in parking, in no balance yet.")
PARKED_LONGEST = _shared("parked_longest_records", "records", "Records of the key that has most of them in parking.")
PARKED_OLDEST_SECONDS = _shared(
    "parked_oldest_seconds", "seconds", "How long the key has waited in parking that has waited longest."
)

RETRIES = _counter(
    "retries_total",
    "times",
    "Tries again after an error that passes: of one transaction, of a processor's batch, of a relay's piece of work; "
    "by the error's name. A transaction's last failure counts once more as its batch's or relay's.",
    *("step", "cause"),
)

EVENTS_PUBLISHED = _counter("events_published_total", "events", "Events acknowledged by the broker and marked.")
RELAY_LEADING = _gauge("relay_leading", "flag", "1 while this relay holds the lease, 0 while it stands by.")
OUTBOX_UNMARKED = _shared("outbox_unmarked_rows", "rows", "Outbox rows not published yet.")
OUTBOX_OLDEST_SECONDS = _shared(
    "outbox_oldest_seconds", "seconds", "How long the oldest fact not published yet has waited in the outbox."
)
DUE_WORK_DONE = _counter("due_work_done_total", "items", "Due items carried out, by their kind.", "name")

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

    def transaction_retried(self, cause: str) -> None:
        """Hears from the store of a transaction that it tries again, after an error of this name."""
        self.retried("transaction", cause)

    # services.eventing.observe.Observer

    def batch_committed(self, partition: TopicPartition, *, records: int, applied: int, seconds: float) -> None:
        self.count(EVENTS_APPLIED, applied, *_labels(partition))
        self.observe(BATCH_RECORDS, records, partition.topic)
        self.observe(BATCH_SECONDS, seconds, partition.topic)

    def duplicates_absorbed(self, partition: TopicPartition, events: int) -> None:
        self.count(EVENTS_DUPLICATE, events, *_labels(partition))

    def events_ignored(self, partition: TopicPartition, events: int) -> None:
        self.count(EVENTS_IGNORED, events, *_labels(partition))

    def record_parked(self, partition: TopicPartition, reason: str) -> None:
        self.count(RECORDS_PARKED, 1, partition.topic, reason)

    def lag(self, partition: TopicPartition, records: int, seconds: float) -> None:
        self.set(LAG_RECORDS, records, *_labels(partition))
        self.set(LAG_SECONDS, seconds, *_labels(partition))

    def position_moved(self, partition: TopicPartition) -> None:
        self.count(POSITION_MOVED, 1, *_labels(partition))

    def retried(self, step: Step, cause: str) -> None:
        self.count(RETRIES, 1, step, cause)

    def relay_published(self, events: int) -> None:
        self.count(EVENTS_PUBLISHED, events)

    def relay_state(self, *, leading: bool) -> None:
        self.is_leading = leading
        self.set(RELAY_LEADING, leading)

    def outbox(self, unmarked: int, oldest_age_s: float) -> None:
        self.set(OUTBOX_UNMARKED, unmarked)
        self.set(OUTBOX_OLDEST_SECONDS, oldest_age_s)

    def parked(self, waits: Waits) -> None:
        self.set(PARKED_RECORDS, waits.records)
        self.set(PARKED_KEYS, waits.keys)
        self.set(PARKED_PEOPLE, waits.people)
        self.set(PARKED_MINUTES, waits.minutes)
        self.set(PARKED_LONGEST, waits.longest_records)
        self.set(PARKED_OLDEST_SECONDS, waits.oldest_age_s)

    def due_work_done(self, name: str, items: int) -> None:
        self.count(DUE_WORK_DONE, items, name)


def _of(kind: Kind) -> list[Metric]:
    return [metric for metric in METRICS if metric.kind == kind]


def _labels(partition: TopicPartition) -> tuple[str, str]:
    return partition.topic, str(partition.partition)
