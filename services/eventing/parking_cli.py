"""Shows from the command line what is parked: the ``parked`` commands of every service."""

import asyncio
import json
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from services.eventing.parking import list_heads, show_parked
from services.eventing.ports import Document, Reads

LIMIT = 50
LIMIT_MAX = 500
EXIT_NOT_FOUND = 1

OpenStore = Callable[[], AbstractAsyncContextManager[Reads]]
"""Opens the service's store for as long as a command lasts."""


def parked_app(open_store: OpenStore) -> typer.Typer:
    """The sub-commands ``list`` and ``show``, to be mounted as ``parked``."""
    app = typer.Typer(no_args_is_help=True, help="What could not be applied, and what waits behind it.")

    @app.command("list")
    def list_command(
        limit: Annotated[int, typer.Option(min=1, max=LIMIT_MAX, help="Keys to show.")] = LIMIT,
        after: Annotated[str, typer.Option(help="The last id of the page before.")] = "",
        *,
        as_json: Annotated[bool, typer.Option("--json", help="One JSON object a key.")] = False,
    ) -> None:
        """Lists the keys whose records wait, with what the first of them was parked for. Shows no values."""
        queues = asyncio.run(_list(open_store, limit, after))
        if as_json:
            for queue in queues:
                typer.echo(json.dumps(summary_of(queue), ensure_ascii=False))
        else:
            Console().print(table_of(queues))

    @app.command("show")
    def show_command(parked_id: Annotated[str, typer.Argument(help="An id from the list.")]) -> None:
        """Shows one key's records in the order in which they wait, one JSON object each, with the value as it came."""
        queue = asyncio.run(_show(open_store, parked_id))
        if queue is None:
            typer.echo(f"nothing is parked under {parked_id}", err=True)
            raise typer.Exit(EXIT_NOT_FOUND)
        for record in queue["records"]:
            typer.echo(json.dumps({**record, "value": text_of(record["value"])}, ensure_ascii=False))

    return app


async def _list(open_store: OpenStore, limit: int, after: str) -> list[Document]:
    async with open_store() as store:
        return await list_heads(store, limit=limit, after=after)


async def _show(open_store: OpenStore, parked_id: str) -> Document | None:
    async with open_store() as store:
        return await show_parked(store, parked_id)


def summary_of(queue: Document) -> dict[str, str | int | None]:
    """What the list tells of a key: how much waits, since when, for what flaw, and where that stands in the log."""
    first = queue["first"]
    return {
        "id": queue["_id"],
        "since": queue["since"],
        "records": queue["count"],
        "minutes": queue["minutes"],
        "reason": first["reason"],
        "path": first["path"],
        "type": first["type"],
        "at": f"{first['topic']}|{first['partition']}|{first['offset']}",
    }


def table_of(queues: list[Document]) -> Table:
    """The list for people."""
    table = Table(title=f"{len(queues)} parked keys")
    for name in ("id", "since", "records", "minutes", "reason", "path", "type", "at"):
        table.add_column(name, overflow="fold", justify="right" if name in {"records", "minutes"} else "left")
    for queue in queues:
        table.add_row(*("" if value is None else str(value) for value in summary_of(queue).values()))
    return table


def text_of(value: bytes | None) -> str | None:
    """A value as text, with what is no text shown as escapes."""
    return None if value is None else value.decode(errors="backslashreplace")
