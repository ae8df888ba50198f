"""Gives routes what their app was built with."""

from collections.abc import Awaitable, Callable
from typing import Any

from starlette.requests import Request

from services.eventing.ports import Ports


async def get_ports(request: Request) -> Ports:
    """The dependency that gives a route its ports."""
    ports: Ports = request.app.state.ports
    return ports


def dependency_of(name: str) -> Callable[[Request], Awaitable[Any]]:
    """A dependency that gives the item of ``build_app``'s ``state`` with this name."""

    async def state_item(request: Request) -> Any:
        return getattr(request.app.state, name)

    return state_item
