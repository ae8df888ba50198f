"""A collector of OpenTelemetry traces for tests: listens on a port of this machine and keeps what it is sent."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


class SentSpan(NamedTuple):
    """A step as it was sent."""

    process: str
    name: str
    trace_id: str
    span_id: str
    parent_id: str
    attributes: dict[str, str]


@dataclass
class Collector:
    """What was sent so far, and where to."""

    url: str
    spans: list[SentSpan]

    def of(self, trace_id: str) -> list[SentSpan]:
        """The steps of one trace."""
        return [span for span in self.spans if span.trace_id == trace_id]


@contextmanager
def collecting() -> Iterator[Collector]:
    """Listens for as long as the context lasts."""
    spans: list[SentSpan] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            request = ExportTraceServiceRequest()
            request.ParseFromString(self.rfile.read(int(self.headers["content-length"])))
            spans.extend(_spans(request))
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        listening = threading.Thread(target=server.serve_forever, daemon=True)
        listening.start()
        try:
            yield Collector(f"http://127.0.0.1:{server.server_address[1]}/v1/traces", spans)
        finally:
            server.shutdown()
            listening.join()


def _spans(request: ExportTraceServiceRequest) -> Iterator[SentSpan]:
    for resource in request.resource_spans:
        names = {each.key: each.value.string_value for each in resource.resource.attributes}
        for scope in resource.scope_spans:
            for span in scope.spans:
                attributes = {each.key: str(each.value) for each in span.attributes}
                ids = (span.trace_id.hex(), span.span_id.hex(), span.parent_span_id.hex())
                yield SentSpan(names["service.name"], span.name, *ids, attributes)
