"""Builds the HTTP app of a service: what every API has in common around its routes."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from fastapi import APIRouter, FastAPI
from starlette.requests import Request
from starlette.responses import Response

from services.eventing.ports import Ports
from services.runtime.outcomes import Problem
from services.runtime.problems import ProblemTable, RefusedError
from services.runtime.settings import HttpSettings

Check = Callable[[], Awaitable[None]]


async def get_ports(request: Request) -> Ports:
    """The dependency that gives a route its ports."""
    ports: Ports = request.app.state.ports
    return ports


def dependency_of(name: str) -> Callable[[Request], Awaitable[Any]]:
    """A dependency that gives the item of ``build_app``'s ``state`` with this name."""

    async def state_item(request: Request) -> Any:
        return getattr(request.app.state, name)

    return state_item


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
    """The app of one service; importing and building do no I/O."""
    app = FastAPI(title=service)
    app.state.ports, app.state.problems = ports, ProblemTable(problems)
    for name, item in state.items():
        setattr(app.state, name, item)
    for router in routers:
        app.include_router(router)

    async def on_refused(request: Request, error: Exception) -> Response:
        assert isinstance(error, RefusedError)
        table: ProblemTable = request.app.state.problems
        return table.response(error.refusal)

    app.add_exception_handler(RefusedError, on_refused)
    return app
