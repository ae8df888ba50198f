"""The command line of a service: starts its processes and shows what is parked."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Final, NoReturn, TypeVar

import typer

from services.eventing.parking import list_parked, show_parked
from services.eventing.ports import Document, Reads
from services.runtime.ids import system_randomness
from services.runtime.mongo import MongoStore
from services.runtime.service import KINDS, Kind, Service
from services.runtime.settings import ServiceSettings, load

PARKED_LISTED_MAX: Final = 1_000
EXIT_NOT_FOUND: Final = 1

T = TypeVar("T")


def command_line(service: Service[Any], run: Callable[[Service[Any], Kind], NoReturn]) -> typer.Typer:
    """The tool of one service; ``run`` starts a process of it."""
    tool = typer.Typer(add_completion=False, no_args_is_help=True, help=f"Processes of {service.name}.")
    for kind in KINDS:
        _add_process(tool, service, kind, run)
    tool.add_typer(_parked(service), name="parked", help="What waits because it could not be decided.")
    return tool


def _add_process(
    tool: typer.Typer, service: Service[Any], kind: Kind, run: Callable[[Service[Any], Kind], NoReturn]
) -> None:
    def start() -> None:
        run(service, kind)

    tool.command(kind, help=f"Run the {kind} until SIGTERM or SIGINT.")(start)


def _parked(service: Service[Any]) -> typer.Typer:
    tool = typer.Typer(no_args_is_help=True)

    @tool.command("list")
    def list_queues(
        limit: Annotated[int, typer.Option(min=1, max=PARKED_LISTED_MAX)] = 100,
        after: Annotated[str, typer.Option(help="The last id of the page before.")] = "",
    ) -> None:
        """Print one line of JSON for each parked key: how many records and minutes wait, since when and why."""
        for queue in _read(service, lambda reads: list_parked(reads, limit=limit, after=after)):
            typer.echo(json.dumps(_summary(queue), ensure_ascii=False))

    @tool.command("show")
    def show_queue(queue_id: Annotated[str, typer.Argument(help="As `list` prints it.")]) -> None:
        """Print everything that is known of one parked key, with its records' values."""
        queue = _read(service, lambda reads: show_parked(reads, queue_id))
        if queue is None:
            typer.echo(f"nothing is parked under {queue_id}", err=True)
            raise typer.Exit(EXIT_NOT_FOUND)
        typer.echo(json.dumps(_shown(queue), ensure_ascii=False, indent=2))

    return tool


def _read(service: Service[Any], read: Callable[[Reads], Awaitable[T]]) -> T:
    settings: ServiceSettings = load(service.settings, f"{service.name} parked")

    async def reading() -> T:
        uri = settings.mongodb_uri.get_secret_value()
        store = MongoStore.open(uri, settings.database, system_randomness())
        try:
            return await read(store)
        finally:
            await store.close()

    return asyncio.run(reading())


def _summary(queue: Document) -> dict[str, Any]:
    first = queue["records"][0]
    return {
        "id": queue["_id"],
        "records": queue["count"],
        "minutes": queue["minutes"],
        "since": queue["since"],
        "first": {name: first[name] for name in ("topic", "partition", "offset", "type", "reason", "path")},
    }


def _shown(queue: Document) -> dict[str, Any]:
    records = [{**record, "value": _text(record["value"])} for record in queue["records"]]
    return {**queue, "records": records}


def _text(value: bytes | None) -> str | None:
    return None if value is None else bytes(value).decode(errors="replace")
