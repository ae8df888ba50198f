"""Reads from the command line or the environment how a tool gets into the log, as processes read it."""

from pathlib import Path
from typing import Annotated, Any, Final, cast

import typer

from services.eventing.log_security import LogSecurity, Mechanism, Protocol

EXIT_TRY_AGAIN: Final = 75
EXIT_WRONG: Final = 78

Bootstrap = Annotated[
    str,
    typer.Option(help="host:port[,host:port] of the brokers.", envvar="KAFKA_BOOTSTRAP_SERVERS", show_default=False),
]


def connection_options(
    context: typer.Context,
    security_protocol: Annotated[str, typer.Option(envvar="KAFKA_SECURITY_PROTOCOL")] = "PLAINTEXT",
    sasl_mechanism: Annotated[str, typer.Option(envvar="KAFKA_SASL_MECHANISM")] = "SCRAM-SHA-512",
    username: Annotated[str, typer.Option(envvar="KAFKA_USERNAME")] = "",
    password_file: Annotated[Path | None, typer.Option(envvar="KAFKA_PASSWORD_FILE")] = None,
    ca_file: Annotated[Path | None, typer.Option(envvar="KAFKA_CA_FILE")] = None,
) -> None:
    """Puts the client's security settings into the context; a wrong one is a line and exit code 78."""
    if context.resilient_parsing:
        return
    try:
        password = password_file.read_text(encoding="utf-8").strip() if password_file is not None else ""
        security = LogSecurity(
            cast("Protocol", security_protocol), cast("Mechanism", sasl_mechanism), username, password, ca_file
        )
        context.obj = security.arguments()
    except (OSError, ValueError) as error:
        named = f"{error.filename}: " if isinstance(error, OSError) and error.filename else ""
        why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        typer.echo(f"{named}{why}", err=True)
        raise typer.Exit(EXIT_WRONG) from error


def cluster_line(bootstrap: str, error: Exception) -> str:
    """What an operator reads when the cluster fails a tool."""
    said: Any = str(error) or type(error).__name__
    return (
        f"the cluster at {bootstrap} does not answer as it should ({said}): check KAFKA_BOOTSTRAP_SERVERS, "
        "KAFKA_SECURITY_PROTOCOL, KAFKA_USERNAME, KAFKA_PASSWORD_FILE and KAFKA_CA_FILE"
    )
