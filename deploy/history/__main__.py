"""The command line of a city's history: ``python -m deploy.history``."""

import shutil
from datetime import date
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from deploy.history import generate as generator
from deploy.history.seasons import last_quarter_ends, parse_month
from services.runtime.clock import SystemClock

app = typer.Typer(help="A city's history, made, loaded and checked.", no_args_is_help=True)


@app.callback()
def commands() -> None:
    """A city's history, made, loaded and checked."""


def today() -> date:
    """The date on which the command is run."""
    return SystemClock().now().date()


@app.command()
def generate(
    out: Annotated[Path, typer.Option(help="Where the files go; what is there is replaced.")],
    seed: Annotated[int, typer.Option(help="Same seed, same bytes.")] = 1,
    months: Annotated[int, typer.Option(help="How many whole months.")] = 3,
    until: Annotated[str, typer.Option(help="The last month, YYYY-MM; by default the last full quarter's.")] = "",
) -> None:
    """Write a period of the history as the files that counties send."""
    last = parse_month(until) if until else last_quarter_ends(today())
    try:
        span = generator.period(last, months)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    if (out / "manifest.json").exists():
        shutil.rmtree(out)
    manifest = generator.generate(seed, span, out)
    console = Console()
    for name, count in manifest["counts"].items():
        console.print(f"{name:24} {count:>9,}")


if __name__ == "__main__":
    app()
