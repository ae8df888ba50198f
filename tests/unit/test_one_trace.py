"""One check-in is one trace: what a request causes, in any process, is a step of it, and no step shows a person."""

import asyncio
import json
from datetime import UTC, date, datetime

import pytest
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from services.assessment import wiring as assessment_wiring
from services.eventing.outbox import OUTBOX, messages_of
from services.eventing.relay import lease
from services.eventing.relay.loop import Relay
from services.hours import wiring as hours_wiring
from services.runtime.trace_export import OpenTelemetrySpans
from tests.support.asgi import call
from tests.support.attendance import at, checked_in, checked_out, session
from tests.support.memory_store import MemoryStore
from tests.support.notes import notes_app
from tests.support.outbox import KeptLog, outbox_store, rows
from tests.support.ports import KeptSpans, SetClock, make_ports
from tests.support.processing import Processing, announced
from tests.support.tokens import command_headers, http_settings
from tests.support.witness import Witness
from tests.unit.assessment.test_assessment_over_http import person, roll, unit

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
SAMPLED, NOT_SAMPLED = f"00-{TRACE}-{SPAN}-01", f"00-{TRACE}-{SPAN}-00"
VOLUNTEER = "v1"


async def attended(traceparent: str | None, spans: KeptSpans | None) -> Processing:
    """Hours after a check-in and a check-out that came with a context."""
    hours = await Processing(hours_wiring, spans=spans).prepare()
    hours.publisher.traceparent = traceparent
    held = session()
    await hours.take(checked_in(at(9), held, volunteer=VOLUNTEER), checked_out(at(10), held, volunteer=VOLUNTEER))
    return hours


async def test_what_a_processor_derives_is_a_step_of_the_trace_that_caused_it() -> None:
    spans = KeptSpans()
    hours = await attended(SAMPLED, spans)
    (entry,) = [each for row in hours.store.documents(OUTBOX).values() for each in announced(row)]
    assert spans.names == [
        "process activities.attendance.checked_in.v1",
        "process activities.attendance.checked_out.v1",
    ]
    assert {span.trace.trace_id for span in spans.kept} == {TRACE}
    assert {span.parent for span in spans.kept} == {SAMPLED}
    assert entry.traceparent == spans.kept[1].trace.traceparent


async def test_what_is_not_sampled_goes_on_as_it_came_and_is_not_recorded() -> None:
    spans = KeptSpans()
    hours = await attended(NOT_SAMPLED, spans)
    (entry,) = [each for row in hours.store.documents(OUTBOX).values() for each in announced(row)]
    assert entry.traceparent == NOT_SAMPLED
    assert spans.kept == []


@pytest.mark.parametrize("traceparent", [None, SAMPLED, NOT_SAMPLED])
async def test_the_ledger_is_the_same_with_and_without_a_trace(traceparent: str | None) -> None:
    plain, traced = await attended(None, None), await attended(traceparent, KeptSpans())
    for collection in ("accounts", "entries", "months"):
        assert traced.store.documents(collection) == plain.store.documents(collection), collection


async def test_the_score_that_an_entry_moves_goes_on_in_its_trace_once() -> None:
    hours, spans = await attended(SAMPLED, None), KeptSpans()
    assessment = await Processing(assessment_wiring, spans=spans).prepare()
    await assessment.store.prepare(lease.COLLECTIONS, ())
    await assessment.take(unit(), roll(300), person(VOLUNTEER))
    await assessment.take_messages([m for row in hours.store.documents(OUTBOX).values() for m in messages_of(row)])
    assert spans.names == ["process hours.entry.posted.v1"]

    ports = make_ports(assessment.store, clock=SetClock(datetime(2026, 9, 20, tzinfo=UTC)))
    guard = await lease.acquire(ports.store, ports.wall, "relay-1")
    assert guard is not None
    (work,) = assessment_wiring.due_work(ports)
    await work.run(ports.clock.now(), guard)
    scores = [each for row in assessment.store.documents(OUTBOX).values() for each in announced(row)]
    assert [score.traceparent for score in scores if score.data.period == "2026-Q3"] == [
        spans.kept[0].trace.traceparent
    ]

    assessment.publisher.traceparent = None
    await assessment.take(roll(200, as_of=date(2026, 8, 1)))
    (work,) = assessment_wiring.due_work(ports)
    known = set(assessment.store.documents(OUTBOX))
    await work.run(ports.clock.now(), guard)
    later = [each for i, row in assessment.store.documents(OUTBOX).items() if i not in known for each in announced(row)]
    assert later
    assert [score.traceparent for score in later] == [None] * len(later), "it moved for another reason"


async def test_a_relay_records_a_step_for_each_sampled_event_that_the_log_has() -> None:
    spans, store, log = KeptSpans(), outbox_store(), KeptLog()
    (row,) = rows(["a", "b"])
    row["events"][0]["traceparent"], row["events"][1]["traceparent"] = SAMPLED, NOT_SAMPLED
    store.put(OUTBOX, row)
    ports = make_ports(store, spans=spans)
    guard = await lease.acquire(store, ports.wall, "relay-1")
    assert guard is not None
    relay = Relay(ports, log, Witness(), (), holder="relay-1", stop=asyncio.Event())
    assert await relay.publish_unmarked(guard)
    (span,) = spans.kept
    assert (span.kind, span.parent, span.trace.trace_id) == ("producer", SAMPLED, TRACE)
    assert span.attributes["messaging.destination.name"] == row["events"][0]["topic"]


async def test_a_request_is_a_step_with_its_route_and_status_and_its_event_goes_on_from_it() -> None:
    spans, store = KeptSpans(), MemoryStore()
    app = notes_app(make_ports(store, spans=spans), http_settings(traces_ratio=0.0))
    headers = command_headers(["notes.write"], "k")
    await call(app, "POST", "/v1/notes", headers=headers, body={"unit": "340802", "text": "hello"})
    assert spans.kept == [], "none of those that begin here are sampled"
    headers = command_headers(["notes.write"], "k2") | {"traceparent": SAMPLED}
    await call(app, "POST", "/v1/notes", headers=headers, body={"unit": "340802", "text": "again"})
    (span,) = spans.kept
    assert (span.name, span.parent, span.trace.trace_id) == ("POST /v1/notes", SAMPLED, TRACE)
    assert span.attributes["http.response.status_code"] == 201
    traced = [event.get("traceparent") for row in store.documents(OUTBOX).values() for event in row["events"]]
    assert span.trace.traceparent in traced


async def test_no_step_shows_a_person_or_a_value() -> None:
    spans = KeptSpans()
    hours = await attended(SAMPLED, spans)
    assert VOLUNTEER in json.dumps([row["streams"] for row in hours.store.documents(OUTBOX).values()])
    for span in spans.kept:
        assert set(span.attributes) <= {
            "messaging.destination.name",
            "messaging.destination.partition.id",
            "messaging.kafka.offset",
            "messaging.batch.message_count",
            "cloudevents.event_type",
        }
        assert VOLUNTEER not in {str(value) for value in span.attributes.values()}


async def test_opentelemetry_gets_the_ids_parents_times_and_attributes() -> None:
    exporter, kept = InMemorySpanExporter(), KeptSpans()
    await attended(SAMPLED, kept)
    spans = OpenTelemetrySpans(SimpleSpanProcessor(exporter), "hours", "processor")
    spans.record(kept.kept[0])
    spans.record(kept.kept[1]._replace(failed=True, parent=None))
    first, second = exporter.get_finished_spans()
    assert first.context is not None
    assert first.parent is not None
    assert f"{first.context.trace_id:032x}" == TRACE
    assert f"{first.context.span_id:016x}" == kept.kept[0].trace.span_id
    assert f"{first.parent.span_id:016x}" == SPAN
    assert (first.kind, first.status.status_code) == (SpanKind.CONSUMER, StatusCode.UNSET)
    assert first.start_time is not None
    assert first.end_time is not None
    assert first.end_time - first.start_time == int(kept.kept[0].seconds * 1e9)
    assert first.resource.attributes["service.name"] == "hours-processor"
    assert (second.parent, second.status.status_code) == (None, StatusCode.ERROR)
