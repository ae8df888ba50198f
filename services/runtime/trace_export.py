"""Hands finished steps of traces to OpenTelemetry, which carries them to a collector; imported only where it is on."""

import logging
from contextlib import suppress
from typing import Final

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags

from services.eventing.traces import Span, Trace, parse

QUEUE_SPANS_MAX: Final = 4_096
"""Beyond it spans are dropped: a collector that is away costs no memory and holds up nobody."""
EXPORT_EVERY_MS: Final = 1_000
EXPORT_SPANS_MAX: Final = 512
EXPORT_TIMEOUT_S: Final = 1
"""Also how long the end of a process may wait for what it has not sent yet."""
_KINDS: Final = {"server": SpanKind.SERVER, "producer": SpanKind.PRODUCER, "consumer": SpanKind.CONSUMER}
_NANOSECONDS: Final = 1_000_000_000


class OpenTelemetrySpans:
    """Keeps the port ``Spans`` over OpenTelemetry's SDK."""

    def __init__(self, processor: SpanProcessor, service: str, process: str) -> None:
        self._processor = processor
        self._resource = Resource({"service.name": f"{service}-{process}", "service.namespace": "silver-service"})

    def record(self, span: Span) -> None:
        ended_ns = int(span.ended_at.timestamp() * _NANOSECONDS)
        parent = parse(span.parent) if span.parent is not None else None
        self._processor.on_end(
            ReadableSpan(
                span.name,
                context=_context(span.trace, is_remote=False),
                parent=_context(parent, is_remote=True) if parent is not None else None,
                resource=self._resource,
                attributes=span.attributes,
                kind=_KINDS[span.kind],
                status=Status(StatusCode.ERROR if span.failed else StatusCode.UNSET),
                start_time=ended_ns - int(span.seconds * _NANOSECONDS),
                end_time=ended_ns,
            )
        )

    def close(self) -> None:
        """Sends what waits, for a second at most."""
        self._processor.shutdown()


def _context(trace: Trace, *, is_remote: bool) -> SpanContext:
    return SpanContext(int(trace.trace_id, 16), int(trace.span_id, 16), is_remote, TraceFlags(int(trace.flags, 16)))


class _Within(BatchSpanProcessor):
    """A batch processor whose end is not waited for longer than a process has."""

    def shutdown(self) -> None:
        with suppress(Exception):  # whatever its end raises, the process ends all the same
            self._batch_processor.shutdown(timeout_millis=EXPORT_TIMEOUT_S * 1_000)


def to_collector(url: str, service: str, process: str) -> OpenTelemetrySpans:
    """Spans that go to an OTLP collector over HTTP, in batches, from the SDK's own thread."""
    logging.getLogger("opentelemetry").setLevel(logging.ERROR)  # a collector that is away is told once a failure anyway
    exporter = OTLPSpanExporter(endpoint=url, timeout=EXPORT_TIMEOUT_S)
    batches = _Within(
        exporter,
        max_queue_size=QUEUE_SPANS_MAX,
        schedule_delay_millis=EXPORT_EVERY_MS,
        max_export_batch_size=EXPORT_SPANS_MAX,
    )
    return OpenTelemetrySpans(batches, service, process)
