"""Builds the HTTP app of a service: what every API has in common around its routes."""

import asyncio
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

from fastapi import APIRouter, FastAPI
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.routing import APIRoute, iter_route_contexts
from pydantic import BaseModel
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import JSONResponse, Response
from starlette.staticfiles import StaticFiles

from services.contracts.operations import OPERATIONS
from services.eventing.ports import Ports
from services.runtime import parking
from services.runtime.changes import router as changes_router
from services.runtime.dependencies import dependency_of, get_ports
from services.runtime.edge import Admission, LargeBodies, Observed, Tracing
from services.runtime.error_handlers import add_error_handlers
from services.runtime.events import router as events_router
from services.runtime.live import LiveChanges
from services.runtime.metrics import Metrics
from services.runtime.openapi import complete, documented_routes
from services.runtime.operations import Check, add_operations
from services.runtime.outcomes import Problem
from services.runtime.problems import ProblemTable
from services.runtime.rates import RateLimit
from services.runtime.settings import HttpSettings
from services.runtime.tokens import Authenticator

__all__ = ["answer", "build_app", "dependency_of", "get_ports", "use_metrics"]

API_VERSION: Final = "1"
CORS_AGE_S: Final = 600
CORS_METHODS: Final = ("GET", "POST", "PUT", "PATCH", "DELETE")
CORS_REQUEST_HEADERS: Final = (
    *("Authorization", "Content-Type", "Idempotency-Key", "If-Match", "Last-Event-ID", "traceparent"),
)
CORS_ANSWER_HEADERS: Final = ("ETag", "Location", "Idempotency-Replayed", "Retry-After")
DOCS_POLICY: Final = (
    "default-src 'none'; connect-src 'self'; img-src 'self' data:; "
    "script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; frame-ancestors 'none'"
)
"""Swagger UI comes from here, so that the page works without internet; nothing comes from elsewhere."""


def use_metrics(app: FastAPI, metrics: Metrics) -> None:
    """Makes the app count where the rest of its process counts: one registry a process."""
    app.state.metrics = metrics


def use_stop(app: FastAPI, stop: asyncio.Event) -> None:
    """Makes the app's event streams end when its process is to end."""
    app.state.live.stopped = stop


def answer(body: BaseModel, *, etag: str | None = None, status: int = 200) -> Response:
    """The answer to a read, with the ``ETag`` that an edit must match."""
    headers = {} if etag is None else {"ETag": f'"{etag}"'}
    return Response(body.model_dump_json(), status, headers=headers, media_type="application/json")


def build_app(
    *,
    service: str,
    ports: Ports,
    settings: HttpSettings,
    problems: Sequence[Problem],
    routers: Sequence[APIRouter],
    readiness: Sequence[Check] = (),
    state: Mapping[str, object] = MappingProxyType({}),
) -> FastAPI:
    """The app of one service. Does no I/O but to read the development key; answers without a lifespan.

    ``readiness`` adds to the checks of store and token keys. Everything runs on the calling loop, in no thread.
    """
    table, authenticator = ProblemTable(problems), Authenticator(settings, ports.wall)
    app = ServiceApp(
        title=f"{service} API",
        version=API_VERSION,
        servers=[{"url": "."}],  # relative to the document's own address, so that it is right behind a gateway too
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        telemetry={"tracing": False, "metrics": False, "logs": False, "auto_configure": False},
    )
    common = {
        "ports": ports,
        "problems": table,
        "metrics": Metrics(service, "api"),
        "deployment_area": settings.deployment_area,
        "live": LiveChanges(ports.store),
        parking.EVENTS: OPERATIONS.get(service),  # type: ignore[call-overload]  # any name may be asked for; none has no such routes
    }
    _set_state(app, common, state)
    operated = (parking.router,) if service in OPERATIONS else ()
    for router in (*routers, changes_router, events_router, *operated):
        app.include_router(router, max_body_size=settings.body_bytes_max)
    add_operations(app, [ports.store.ping, authenticator.check, *readiness])
    _add_documentation(app)
    add_error_handlers(app, table)
    app.check_routes()
    app.add_middleware(
        Admission,
        authenticator=authenticator,
        table=table,
        rate=RateLimit(settings.requests_per_s),
        body_bytes_max=settings.body_bytes_max,
        large_bodies=_large_bodies(app),
    )
    tracing = Tracing(ports.spans, settings.traces_ratio, ports.wall) if ports.spans is not None else None
    app.add_middleware(Observed, rng=ports.rng, table=table, tracing=tracing)
    _add_cors(app, settings.cors_origins)
    return app


class ServiceApp(FastAPI):
    """A FastAPI app whose OpenAPI document says what the runtime adds to every route."""

    def check_routes(self) -> None:
        """Asserts that every route asks for a scope and refuses with codes that are in the table."""
        documented_routes(self, self.state.problems)

    def openapi(self) -> dict[str, Any]:
        if self.openapi_schema is None:
            table: ProblemTable = self.state.problems
            self.openapi_schema = complete(super().openapi(), documented_routes(self, table), table)
        return self.openapi_schema


def _set_state(app: FastAPI, common: Mapping[str, object], own: Mapping[str, object]) -> None:
    assert not common.keys() & own.keys(), "a service's state must not hide the runtime's"
    for name, item in (*common.items(), *own.items()):
        setattr(app.state, name, item)


def _add_documentation(app: FastAPI) -> None:
    """The OpenAPI document and the page that shows it."""

    async def get_openapi() -> Response:
        return JSONResponse(app.openapi())

    async def docs() -> Response:
        # Relative addresses, so that they are right behind a gateway's prefix as well.
        page = get_swagger_ui_html(
            openapi_url="openapi.json",
            title=app.title,
            swagger_js_url="docs/static/swagger-ui-bundle.js",
            swagger_css_url="docs/static/swagger-ui.css",
            swagger_favicon_url="docs/static/favicon.png",
        )
        page.headers["content-security-policy"] = DOCS_POLICY
        return page

    app.add_api_route("/openapi.json", get_openapi, methods=["GET"], include_in_schema=False)
    app.mount("/docs/static", StaticFiles(packages=[("fastapi_offline", "static")]))
    app.add_api_route("/docs", docs, methods=["GET"], include_in_schema=False)


def _large_bodies(app: FastAPI) -> list[LargeBodies]:
    """The routes that allow more than the app's limit, by FastAPI's own ``max_body_size``."""
    return [
        LargeBodies(context.path_regex, context.original_route.max_body_size)
        for context in iter_route_contexts(app.routes)
        if isinstance(context.original_route, APIRoute) and context.original_route.max_body_size is not None
    ]


def _add_cors(app: FastAPI, origins: Sequence[str]) -> None:
    if origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=list(origins),
            allow_methods=list(CORS_METHODS),
            allow_headers=list(CORS_REQUEST_HEADERS),
            expose_headers=list(CORS_ANSWER_HEADERS),
            max_age=CORS_AGE_S,
        )
