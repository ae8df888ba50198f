"""The commands around backups of all services."""

import asyncio
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from typing import Annotated, Any, Final

import typer
from pymongo.errors import PyMongoError

from services.recovery import backup, catalogue, erased, files, scheduled
from services.recovery.files import BackupBrokenError
from services.recovery.settings import BackupSettings, DatabaseMissingError, database_of
from services.runtime import logs
from services.runtime.clock import SystemClock
from services.runtime.metrics import Metrics
from services.runtime.mongo_commands import DURABLE, in_the_stores_words, open_client
from services.runtime.operations import operations_app
from services.runtime.serving import EXIT_UNEXPECTED, end, run_to_end, serve, stop_on_signals
from services.runtime.settings import EXIT_WRONG_SETTINGS, load
from services.runtime.vault import KEY_VAULT

NAME: Final = "backup"
EXIT_BROKEN: Final = 1

app = typer.Typer(add_completion=False, no_args_is_help=True, help="Backups of the services' databases and keys.")
OneService = Annotated[str | None, typer.Option("--service", help="Only this one; by default all.")]


@app.command("backup")
def backup_command(service: OneService = None) -> None:
    """Backs up now: every service, each as one snapshot, data and keys apart."""
    settings = load(BackupSettings, NAME)
    with told():
        for name in _names(settings, service):
            manifest = asyncio.run(scheduled.back_up(settings, name, SystemClock()))
            typer.echo(_line(settings.backup_dir / name / files.stamp_of(manifest.taken_at), manifest))


@app.command("run")
def run_command() -> None:
    """Backs up whenever it is due, until SIGTERM or SIGINT, with health and metrics on BACKUP_PORT."""
    settings = load(BackupSettings, NAME)
    metrics = Metrics(NAME, NAME)
    logs.configure(NAME, NAME, on_refused=metrics.log_fields_refused)
    with told():
        for name in _names(settings, None):
            database_of(name)
    end(run_to_end(_run(settings, metrics)))


async def _run(settings: BackupSettings, metrics: Metrics) -> None:
    stop = stop_on_signals()
    async with asyncio.TaskGroup() as group:
        group.create_task(serve(operations_app(metrics, ()), settings.host, settings.backup_port, stop))
        group.create_task(scheduled.keep_backing_up(settings, SystemClock(), metrics, stop))


@app.command("list")
def list_command(service: OneService = None) -> None:
    """Lists what there is, the oldest first."""
    settings = load(BackupSettings, NAME)
    with told():
        for name in _names(settings, service):
            for each in catalogue.backups_of(settings.backup_dir, name):
                typer.echo(_line(each.folder, each.manifest))


@app.command("verify")
def verify_command(service: OneService = None) -> None:
    """Reads every file of every backup, data and keys, and compares digests and counts."""
    settings = load(BackupSettings, NAME)
    with told():
        for name in _names(settings, service):
            for root in (settings.backup_dir, settings.backup_keys_dir):
                for each in catalogue.backups_of(root, name):
                    typer.echo(f"whole: {_line(each.folder, files.verify(each.folder))}")


@app.command("prune")
def prune_command(service: OneService = None) -> None:
    """Removes backups beyond BACKUP_KEEP; `backup` and `run` do that after each success."""
    settings = load(BackupSettings, NAME)
    with told():
        for name in _names(settings, service):
            for root in (settings.backup_dir, settings.backup_keys_dir):
                for old in catalogue.prune(root, name, settings.backup_keep):
                    typer.echo(f"removed {root / name / old}")


@app.command("erase")
def erase_command(person: Annotated[str, typer.Argument(help="A volunteer's id.")], service: str = "registry") -> None:
    """Destroys a person's key in the database and in every backup, for ever: no restore brings the person back."""
    settings = load(BackupSettings, NAME)
    with told():
        # The list first: whatever fails after it, no restore brings the key back.
        erased.add_erased(settings.backup_keys_dir, [person])
        taken_out = backup.forget(settings.backup_keys_dir, service, frozenset({person}))
        destroyed = asyncio.run(_destroy(service, person))
        typer.echo(f"{destroyed} key destroyed in the database, {taken_out} in backups")


async def _destroy(service: str, person: str) -> int:
    uri, database = database_of(service)
    client = open_client(uri, f"{service} erase")
    try:
        keys = client[database].get_collection(KEY_VAULT, write_concern=DURABLE)
        return (await keys.delete_many({"keyAltNames": person})).deleted_count
    finally:
        await client.close()


def _names(settings: BackupSettings, service: str | None) -> tuple[str, ...]:
    names = scheduled.services_of(settings)
    if service is not None and service not in names:
        raise ValueError(f"{service}: not one of {', '.join(names)}")
    return names if service is None else (service,)


def _line(folder: object, manifest: files.Manifest) -> str:
    documents = sum(each.documents for each in manifest.collections.values())
    size = sum(each.bytes for each in manifest.collections.values())
    return f"{folder}: {documents} documents, {size} bytes, {len(manifest.positions)} positions"


@contextmanager
def told() -> Iterator[None]:
    """Turns what an operator can mend into one line and an exit code."""
    try:
        yield
    except BackupBrokenError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(EXIT_BROKEN) from error
    except (DatabaseMissingError, ValueError) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(EXIT_WRONG_SETTINGS) from error
    except PyMongoError as error:
        typer.echo(f"the database does not answer as it should: {in_the_stores_words(error) or error!r}", err=True)
        raise typer.Exit(EXIT_UNEXPECTED) from error
    except OSError as error:
        typer.echo(f"{error.filename}: {error.strerror}", err=True)
        raise typer.Exit(EXIT_UNEXPECTED) from error


def run_async(work: Coroutine[Any, Any, None]) -> None:
    """Runs a command's work, told as above."""
    with told():
        asyncio.run(work)
