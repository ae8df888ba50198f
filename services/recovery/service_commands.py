"""The commands of one service that bring data back: restore, rebuild, verify, swap, parity."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Annotated, Any, Final

import typer

from services.eventing import generations
from services.eventing.history import History
from services.eventing.ports import LogError, Store, StoreError
from services.recovery import catalogue, command_line, parity, patience
from services.recovery.builder import Builder, NotBuiltError
from services.recovery.compare import Verdict, told
from services.recovery.recovery import Recovery
from services.recovery.restore import (
    Place,
    RestoreRefusedError,
    TakenBack,
    check,
    load_backup,
    open_again,
    refuse_if_used,
)
from services.recovery.settings import BackupSettings
from services.recovery.swap import SwapRefusedError, next_generation, swap
from services.recovery.tail import TailBrokenError
from services.runtime import logs
from services.runtime.clock import SystemClock
from services.runtime.command_line import command_line as service_line
from services.runtime.ids import system_randomness
from services.runtime.metrics import Metrics
from services.runtime.mongo import MongoStore
from services.runtime.operations import operations_app
from services.runtime.process import run
from services.runtime.service import Service
from services.runtime.serving import EXIT_UNEXPECTED, end, run_to_end, serve, stop_on_signals
from services.runtime.settings import ServiceSettings, load

EXIT_REFUSED: Final = 1
EXIT_DIFFERENT: Final = 2
PARITY: Final = "parity"


@dataclass(frozen=True, slots=True)
class World:
    """What a command works on."""

    settings: ServiceSettings
    base: MongoStore
    live: Store
    history: History
    metrics: Metrics
    drop: Callable[[Sequence[str]], Coroutine[Any, Any, None]]


def main(service: Service[Any], recovery: Recovery) -> None:
    """The command line of a service, with what brings its data back."""
    tool = service_line(service, run)
    _add_restore(tool, service, recovery)
    if recovery.projection is not None:
        _add_rebuild(tool, service, recovery)
    tool()


@asynccontextmanager
async def world(service: Service[Any], settings: ServiceSettings, metrics: Metrics) -> AsyncIterator[World]:
    """Opens the service's database and the log."""
    # Imported here, because the processes that serve need not carry the client.
    from services.eventing.kafka_history import open_history  # noqa: PLC0415

    uri, database = settings.mongodb_uri.get_secret_value(), settings.database
    ids = settings.mongodb_ids_per_query
    base = MongoStore.open(uri, database, system_randomness(), ids_per_query=ids)
    client = patience.patient_client(uri, f"{service.name} rebuild")

    async def drop(collections: Sequence[str]) -> None:
        for name in collections:
            await patience.drop(client[database], name)

    try:
        bootstrap = ",".join(settings.kafka_bootstrap_servers)
        async with open_history(bootstrap, settings.kafka_security.arguments()) as history:
            yield World(settings, base, await generations.live(base), history, metrics, drop)
    finally:
        await client.close()
        await base.close()


def _add_restore(tool: typer.Typer, service: Service[Any], recovery: Recovery) -> None:
    @tool.command("restore")
    def restore_command(
        backup: Annotated[str, typer.Option(help="A backup's name, as 20261124T030000Z; by default the newest.")] = "",
        *,
        replace: Annotated[bool, typer.Option("--replace", help="Throw away what the database holds.")] = False,
    ) -> None:
        """Puts a backup back, and what the service's own topics hold beyond it; publishes nothing."""
        settings = load(service.settings, f"{service.name} restore")
        folders = load(BackupSettings, f"{service.name} restore")
        with _told():
            asyncio.run(_restore(service, recovery, settings, folders, backup, replace=replace))


async def _restore(
    service: Service[Any],
    recovery: Recovery,
    settings: ServiceSettings,
    folders: BackupSettings,
    name: str,
    *,
    replace: bool,
) -> None:
    place = _place(service.name, settings, folders, name)
    wall = SystemClock()
    try:
        manifest = check(place, service.name)
        await refuse_if_used(place, wall, replace=replace)
        metrics = Metrics(service.name, "restore")
        async with world(service, settings, metrics) as outside:
            documents, left_out = await load_backup(place)
            typer.echo(f"{documents} documents of {place.data.name}, {left_out} keys of erased people left out")
            await outside.base.prepare(service.all_collections(), service.all_indexes())
            store = await generations.live(outside.base)
            taken = TakenBack(service, recovery, store, outside.history, wall=wall, observer=metrics)
            events, decided = await taken.run(manifest)
            typer.echo(f"{events} events of its own topics taken back, {decided} of them decided again")
        await open_again(place, service.name, wall)
    finally:
        await place.client.close()
    typer.echo("from the backup alone, because no topic holds it:")
    for what, lost in recovery.not_in_topics.items():
        typer.echo(f"  {what}: {lost}")
    typer.echo(f"{service.name} may be started")


def _place(service: str, settings: ServiceSettings, folders: BackupSettings, name: str) -> Place:
    if not name:
        newest = catalogue.newest(folders.backup_dir, service)
        if newest is None:
            raise RestoreRefusedError(f"{folders.backup_dir}: no backup of {service}")
        name = newest.folder.name
    client = patience.patient_client(settings.mongodb_uri.get_secret_value(), f"{service} restore")
    data, keys = folders.backup_dir / service / name, folders.backup_keys_dir / service / name
    return Place(client, settings.database, data, keys, folders.backup_keys_dir)


def _add_rebuild(tool: typer.Typer, service: Service[Any], recovery: Recovery) -> None:
    @tool.command("rebuild")
    def rebuild_command() -> None:
        """Builds the projection again from its topics beside the live one, and compares the two."""
        _work(service, lambda world: _rebuild(service, recovery, world))

    @tool.command("verify")
    def verify_command() -> None:
        """Brings the built generation up to the live one and compares them."""
        _work(service, lambda world: _verify(service, recovery, world))

    @tool.command("swap")
    def swap_command(
        *,
        accept: Annotated[bool, typer.Option("--accept-differences", help="The live one is wrong.")] = False,
    ) -> None:
        """Makes the built generation the live one; then restart the service's processes."""
        _work(service, lambda world: _swap(service, recovery, world, accept=accept))

    @tool.command(PARITY)
    def parity_command() -> None:
        """Rebuilds all the time and tells how much of the live projection differs; health and metrics on API_PORT."""
        settings = load(service.settings, f"{service.name} {PARITY}")
        metrics = Metrics(service.name, PARITY)
        logs.configure(service.name, PARITY, level=settings.log_level, on_refused=metrics.log_fields_refused)
        end(run_to_end(_parity(service, recovery, settings, metrics)))


def _work(service: Service[Any], work: Callable[[World], Coroutine[Any, Any, Verdict]]) -> None:
    settings = load(service.settings, f"{service.name} rebuild")

    async def run_it() -> Verdict:
        async with world(service, settings, Metrics(service.name, "rebuild")) as opened:
            return await work(opened)

    with _told():
        verdict = asyncio.run(run_it())
        for line in told(verdict):
            typer.echo(line)
        if verdict.wrong:
            raise typer.Exit(EXIT_DIFFERENT)


async def _rebuild(service: Service[Any], recovery: Recovery, world: World) -> Verdict:
    builder, _ = await _builder(service, recovery, world, "")
    await builder.begin(world.base, service.all_indexes(), world.drop)
    return await builder.round()


async def _verify(service: Service[Any], recovery: Recovery, world: World) -> Verdict:
    builder, _ = await _builder(service, recovery, world, "")
    await builder.resume()
    return await builder.round()


async def _swap(service: Service[Any], recovery: Recovery, world: World, *, accept: bool) -> Verdict:
    assert recovery.projection is not None
    builder, generation = await _builder(service, recovery, world, "")
    await builder.resume()
    found = await swap(builder, recovery.projection, world.base, generation, accept=accept)
    typer.echo(f"generation {generation} is live: restart api, processor and relay of {service.name}")
    return found._replace(differences=(), disordered=0)


async def _builder(service: Service[Any], recovery: Recovery, world: World, name: str) -> tuple[Builder, int]:
    assert recovery.projection is not None
    generation = await next_generation(world.base)
    builder = Builder(
        recovery.projection,
        service.build_handler(),
        world.live,
        world.history,
        generation=name or str(generation),
        wall=SystemClock(),
        observer=world.metrics,
    )
    return builder, generation


async def _parity(service: Service[Any], recovery: Recovery, settings: ServiceSettings, metrics: Metrics) -> None:
    stop = stop_on_signals()
    async with world(service, settings, metrics) as opened, asyncio.TaskGroup() as group:
        builder, _ = await _builder(service, recovery, opened, parity.GENERATION)
        await builder.begin(opened.base, service.all_indexes(), opened.drop)
        app = operations_app(metrics, [opened.base.ping])
        group.create_task(serve(app, settings.host, settings.api_port, stop))
        group.create_task(parity.watch(builder, service.name, metrics, SystemClock(), stop))


@contextmanager
def _told() -> Iterator[None]:
    with command_line.told():
        try:
            yield
        except (RestoreRefusedError, SwapRefusedError, NotBuiltError, TailBrokenError) as error:
            typer.echo(str(error), err=True)
            raise typer.Exit(EXIT_REFUSED) from error
        except (StoreError, LogError) as error:
            typer.echo(f"try again: {error}", err=True)
            raise typer.Exit(EXIT_UNEXPECTED) from error
