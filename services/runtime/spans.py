"""Opens the way that finished steps of traces take, where a deployment has one."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from services.eventing.traces import Spans


@asynccontextmanager
async def spans_to(url: str | None, service: str, process: str) -> AsyncIterator[Spans | None]:
    """Spans that go to the collector at ``url``; none without one: OpenTelemetry is then not even imported."""
    if url is None:
        yield None
        return
    from services.runtime.trace_export import to_collector  # noqa: PLC0415 - takes its time and 10 MB

    spans = to_collector(url, service, process)
    try:
        yield spans
    finally:
        spans.close()
