"""The command line of the local servers: ``python -m deploy.local``."""

import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer
from rich.console import Console

from deploy.local.broker import Broker
from deploy.local.broker_jars import WrongJars, broker_jars
from deploy.local.database import Database
from deploy.local.prerequisites import PrerequisiteMissing, java_command
from deploy.local.prometheus import programs
from deploy.local.run import run
from deploy.local.server_process import ServerFailed
from deploy.local.servers import BOOTSTRAP_VARIABLE, Servers, embedded_servers

EXIT_UNAVAILABLE = 69  # sysexits.h: a service this needs is not there
EXIT_FAILED = 1

app = typer.Typer(help="The platform on this machine, and the servers it needs.", no_args_is_help=True)
app.command()(run)
DataDir = Annotated[Path, typer.Option(help="Where the servers keep their data.")]


def _address(name: str, address: str, server: Broker | Database | None) -> str:
    return f"{name:22} {address}  {f'process {server.pid}' if server else 'not ours'}"


def _addresses(servers: Servers) -> Iterator[str]:
    """Say a line per server: what it is, where it is, and which process it is if we started it."""
    yield _address("broker", servers.bootstrap, servers.broker)
    for name, uri in servers.mongodb_uris.items():
        yield _address(f"database of {name}", uri, servers.databases.get(name))


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


@app.command()
def up(data_dir: DataDir = Path(".local/servers")) -> None:
    """Start the servers, print their addresses and keep them up until Ctrl-C or SIGTERM."""
    # A handler, not a blocked signal: the servers would inherit the block and could not be stopped.
    signal.signal(signal.SIGTERM, _interrupt)
    with embedded_servers(data_dir) as servers, suppress(KeyboardInterrupt):
        for line in _addresses(servers):
            typer.echo(line)
        while True:
            signal.pause()


@app.command()
def prepare() -> None:
    """See to it that promtool is there; and Java and the broker's jars, unless the broker is not ours."""
    programs()
    if os.environ.get(BOOTSTRAP_VARIABLE):
        return
    broker_jars()
    java_command()


def main() -> None:
    """Run the command; a failure that a person can mend is one line, not a traceback."""
    errors = Console(stderr=True)
    try:
        app()
    except PrerequisiteMissing as missing:
        errors.print(str(missing), markup=False)
        raise SystemExit(EXIT_UNAVAILABLE) from missing
    except (ServerFailed, WrongJars) as failure:
        errors.print(str(failure), markup=False)
        raise SystemExit(EXIT_FAILED) from failure


if __name__ == "__main__":
    main()
