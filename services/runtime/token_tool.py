"""The command line that issues development tokens: ``python -m services.runtime.auth token --role --area``."""

from datetime import timedelta
from pathlib import Path
from typing import Annotated, Final

import typer

from services.runtime.areas import is_units_area
from services.runtime.clock import SystemClock
from services.runtime.development import KEY_FILE, ROLES, Grant, development_key, issue
from services.runtime.ids import SystemIds
from services.runtime.settings import DEVELOPMENT_AUDIENCE, DEVELOPMENT_ISSUER

LIFETIME_HOURS_DEFAULT: Final = 12
LIFETIME_HOURS_MAX: Final = 24 * 31

_tool = typer.Typer(add_completion=False, help="Tokens for development.")


def _role(value: str) -> str:
    if value not in ROLES:
        raise typer.BadParameter(f"one of {', '.join(ROLES)}")
    return value


def _area(value: str) -> str:
    if not is_units_area(value):
        raise typer.BadParameter("two, four or six digits, for example 3408")
    return value


@_tool.callback()
def _development() -> None:
    """Keeps ``token`` a subcommand although it is the only one."""


@_tool.command()
def token(
    role: Annotated[str, typer.Option(callback=_role, help=f"One of {', '.join(ROLES)}.")],
    area: Annotated[str, typer.Option(callback=_area, help="Two, four or six digits: the units it covers.")] = "3408",
    subject: Annotated[str, typer.Option(help="Whose token; a volunteer's is their id. Default: the role.")] = "",
    hours: Annotated[int, typer.Option(min=1, max=LIFETIME_HOURS_MAX, help="Hours until it expires.")] = (
        LIFETIME_HOURS_DEFAULT
    ),
    key_file: Annotated[
        Path, typer.Option(envvar="JWT_DEVELOPMENT_KEY_FILE", help="The development key; made if missing.")
    ] = KEY_FILE,
    issuer: Annotated[str, typer.Option(envvar="JWT_ISSUER")] = DEVELOPMENT_ISSUER,
    audience: Annotated[str, typer.Option(envvar="JWT_AUDIENCE")] = DEVELOPMENT_AUDIENCE,
) -> None:
    """Prints a token of a role, which services with the same development key accept."""
    grant = Grant(role, area, subject or f"{role}-{area}", issuer, audience, timedelta(hours=hours))
    typer.echo(issue(development_key(key_file), grant, now=SystemClock().now(), ids=SystemIds()))


def main() -> None:
    """Runs the command line."""
    _tool()
