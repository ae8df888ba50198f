"""The command line of a service: starts its processes, and mends what is parked."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, NoReturn

import typer

from services.eventing.generations import live
from services.eventing.parking_cli import parked_app
from services.eventing.ports import Reads
from services.runtime.ids import SystemIds, system_randomness
from services.runtime.mongo import MongoStore
from services.runtime.parked_cli import add_commands, http_client
from services.runtime.service import KINDS, Kind, Service
from services.runtime.settings import ServiceSettings, load


def command_line(service: Service[Any], run: Callable[[Service[Any], Kind], NoReturn]) -> typer.Typer:
    """The tool of one service; ``run`` starts a process of it."""
    tool = typer.Typer(add_completion=False, no_args_is_help=True, help=f"Processes of {service.name}.")
    for kind in KINDS:
        _add_process(tool, service, kind, run)
    parked = parked_app(lambda: _open_store(service))
    add_commands(parked, lambda: _own_address(service), SystemIds(), http_client)
    tool.add_typer(parked, name="parked")
    return tool


def _add_process(
    tool: typer.Typer, service: Service[Any], kind: Kind, run: Callable[[Service[Any], Kind], NoReturn]
) -> None:
    def start() -> None:
        run(service, kind)

    tool.command(kind, help=f"Run the {kind} until SIGTERM or SIGINT.")(start)


def _own_address(service: Service[Any]) -> str:
    """Where the service's API listens on this machine."""
    settings: ServiceSettings = load(service.settings, f"{service.name} parked")
    return f"http://127.0.0.1:{settings.api_port}"


def _open_store(service: Service[Any]) -> AbstractAsyncContextManager[Reads]:
    settings: ServiceSettings = load(service.settings, f"{service.name} parked")

    @asynccontextmanager
    async def opened() -> AsyncIterator[Reads]:
        uri = settings.mongodb_uri.get_secret_value()
        store = MongoStore.open(uri, settings.database, system_randomness())
        try:
            yield await live(store)
        finally:
            await store.close()

    return opened()
