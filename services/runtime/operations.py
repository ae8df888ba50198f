"""Answers what operations ask of every process: is it alive, can it do its work, what does it count."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response

from services.runtime.error_handlers import add_error_handlers
from services.runtime.logs import logger
from services.runtime.metrics import MEDIA_TYPE, PROCESS_READY, Metrics
from services.runtime.outcomes import Refusal
from services.runtime.problems import ProblemTable

READINESS_TIMEOUT_S: Final = 2.0

Check = Callable[[], Awaitable[None]]
"""Returns if the process can do its work; raises what keeps it from it."""

_log = logger(__name__)


def operations_app(metrics: Metrics, checks: Sequence[Check]) -> FastAPI:
    """The app of a process that serves nothing else."""
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None, telemetry={"tracing": False, "metrics": False})
    app.state.metrics, app.state.problems = metrics, ProblemTable(())
    add_error_handlers(app, app.state.problems)
    add_operations(app, checks)
    return app


def add_operations(app: FastAPI, checks: Sequence[Check]) -> None:
    """Adds ``/healthz``, ``/readyz`` and ``/metrics``; outside ``/v1``, without a token."""

    async def healthz() -> Response:
        """The process runs its loop."""
        return Response(b'{"status":"ok"}', media_type="application/json")

    async def readyz() -> Response:
        """The process can do its work now."""
        failing = await failing_of(checks)
        if failing:
            table: ProblemTable = app.state.problems
            return table.response(Refusal("not_ready", extra={"failing": failing}))
        return Response(b'{"status":"ready"}', media_type="application/json")

    async def get_metrics(request: Request) -> Response:
        metrics: Metrics = request.app.state.metrics
        metrics.set(PROCESS_READY, not await failing_of(checks))
        return Response(metrics.text(), media_type=MEDIA_TYPE)

    app.add_api_route("/healthz", healthz, methods=["GET"], include_in_schema=False)
    app.add_api_route("/readyz", readyz, methods=["GET"], include_in_schema=False)
    app.add_api_route("/metrics", get_metrics, methods=["GET"], include_in_schema=False)


async def failing_of(checks: Sequence[Check]) -> list[str]:
    """The names of the checks that fail, all asked at once: an answer takes no longer than one of them may."""
    return [name for name in await asyncio.gather(*map(failure_of, checks)) if name is not None]


async def failure_of(check: Check) -> str | None:
    """The name of a check that fails or does not return in time, else none."""
    name = str(getattr(check, "__qualname__", type(check).__qualname__)).rpartition("<locals>.")[2]
    try:
        async with asyncio.timeout(READINESS_TIMEOUT_S):
            await check()
    except Exception as error:  # noqa: BLE001 - whatever it raises is what keeps the process from its work
        _log.warning("not ready", name=name, exc_info=error)
        return name
    return None
