"""The command line of a city's history: ``python -m deploy.history``."""

import asyncio
import json
import shutil
from collections.abc import Callable, Coroutine
from datetime import date
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer
from rich.console import Console

from deploy.history import generate as generator
from deploy.history.bars import progress_bars
from deploy.history.catch_up import CatchUp
from deploy.history.gateway_client import Gateway, LoadFailed, Tokens
from deploy.history.loader import Loaded, Loader
from deploy.history.seasons import last_quarter_ends, parse_month
from deploy.history.sendings import MANIFEST, read_history
from deploy.history.verify import Verdict
from deploy.history.verify import verify as compare
from services.runtime.clock import DevelopmentClock, SystemClock
from services.runtime.development import KEY_FILE

EXIT_FAILED = 1

T = TypeVar("T")

app = typer.Typer(help="A city's history, made, loaded and checked.", no_args_is_help=True)
Directory = Annotated[Path, typer.Argument(help="A generated history.", exists=True, file_okay=False)]
Address = Annotated[str, typer.Option(help="Where the platform's gateway answers.")]
KeyFile = Annotated[Path, typer.Option(envvar="JWT_DEVELOPMENT_KEY_FILE", help="The platform's development key.")]
LoadedFile = Annotated[Path | None, typer.Option(help="Where the answers of a load are kept.")]


def today() -> date:
    """The date on which the command is run."""
    return SystemClock().now().date()


@app.command()
def generate(
    out: Annotated[Path, typer.Option(help="Where the files go; a history that is there is replaced.")],
    seed: Annotated[int, typer.Option(help="Same seed, same bytes.")] = 1,
    months: Annotated[int, typer.Option(help="How many whole months.")] = 3,
    until: Annotated[str, typer.Option(help="The last month, YYYY-MM; by default the last full quarter's.")] = "",
    only: Annotated[list[str] | None, typer.Option(help="A unit's code, repeated; by default all units.")] = None,
) -> None:
    """Write a period of the history as the files that counties send."""
    try:
        span = generator.period(parse_month(until) if until else last_quarter_ends(today()), months)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    if (out / MANIFEST).exists():
        shutil.rmtree(out)
    manifest = generator.generate(seed, span, out, only or ())
    console = Console()
    for name, count in manifest["counts"].items():
        console.print(f"{name:24} {count:>9,}")


@app.command()
def load(
    directory: Directory,
    clock: Annotated[Path, typer.Option(help="The platform's DEVELOPMENT_CLOCK_FILE.", exists=True, dir_okay=False)],
    processes: Annotated[Path, typer.Option(help="JSON: each process's address, by names like hours-relay.")],
    gateway: Address = "http://127.0.0.1:8080",
    key_file: KeyFile = KEY_FILE,
    answers: LoadedFile = None,
) -> None:
    """Load a history through the public doors of a platform that runs; safe to run again."""
    history, addresses = read_history(directory), json.loads(processes.read_bytes())
    console = Console()

    async def loading() -> Loaded:
        async with Gateway(gateway, Tokens(key_file)) as client, CatchUp(addresses) as catch_up:
            with progress_bars(console, history) as told:
                return await Loader(history, client, catch_up, DevelopmentClock(clock, writable=True), told).run()

    loaded = _or_exit(console, loading)
    if answers is not None:
        loaded.write(answers)
    for stage, seconds in loaded.seconds.items():
        console.print(f"{stage:24} {seconds:>8.1f} s")


@app.command()
def verify(
    directory: Directory,
    gateway: Address = "http://127.0.0.1:8080",
    key_file: KeyFile = KEY_FILE,
    answers: LoadedFile = None,
) -> None:
    """Compare what the services say with the oracle; with the answers of a load, those too."""
    console = Console()
    loaded = None if answers is None else Loaded.read(answers)

    async def comparing() -> Verdict:
        async with Gateway(gateway, Tokens(key_file)) as client:
            return await compare(directory, client, loaded, read_history(directory).months)

    verdict = _or_exit(console, comparing)
    for line in verdict.lines():
        console.print(line, markup=False)
    if not verdict.agrees:
        raise typer.Exit(EXIT_FAILED)


def _or_exit(console: Console, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """What the work gives; one line and exit code 1 if the platform does not take what it must."""
    try:
        return asyncio.run(work())
    except LoadFailed as failure:
        console.print(str(failure), style="bold red", markup=False)
        raise typer.Exit(EXIT_FAILED) from failure


if __name__ == "__main__":
    app()
