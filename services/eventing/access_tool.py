"""Gives each service's user at the log its password and exactly the permissions that the topics' declaration names."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import typer
from kafka.admin import (
    ACL,
    ACLFilter,
    ACLOperation,
    ACLPermissionType,
    ACLResourcePatternType,
    KafkaAdminClient,
    ResourcePattern,
    ResourcePatternFilter,
    ResourceType,
    UserScramCredentialUpsertion,
)
from kafka.errors import KafkaError

from services.contracts.topics import SERVICES, TOPICS, Topic
from services.eventing.log_options import (
    EXIT_TRY_AGAIN,
    EXIT_WRONG,
    Bootstrap,
    cluster_line,
    connection_options,
)

MONITOR: Final = "monitor"
"""Reads how far groups lag, and no record: for autoscaling."""
USERS: Final = (*SERVICES, MONITOR)
REQUEST_TIMEOUT_MS: Final = 10_000
PASSWORD_CHARACTERS_MIN: Final = 16
SCRAM: Final = "SCRAM_SHA_512"

Kind = Literal["TOPIC", "GROUP"]
Operation = Literal["READ", "WRITE", "DESCRIBE"]


class AccessRefusedError(Exception):
    """A password is missing or too short, or the cluster refused a change."""


@dataclass(frozen=True, slots=True, order=True)
class Grant:
    """One permission: a user may do this to one topic or one consumer group."""

    user: str
    kind: Kind
    name: str
    operation: Operation


def grants(topics: Sequence[Topic] = TOPICS) -> tuple[Grant, ...]:
    """All permissions: owners write and read, consumers read in the group of their name, the monitor looks on."""
    found = {Grant(MONITOR, "TOPIC", topic.name, "DESCRIBE") for topic in topics}
    for topic in topics:
        found.add(Grant(topic.owner, "TOPIC", topic.name, "WRITE"))
        found.add(Grant(topic.owner, "TOPIC", topic.name, "READ"))  # what is restored is read back by its owner
        found.update(Grant(service, "TOPIC", topic.name, "READ") for service in topic.consumers)
    for service in SERVICES:
        found.add(Grant(service, "GROUP", service, "READ"))
        found.add(Grant(MONITOR, "GROUP", service, "DESCRIBE"))
    return tuple(sorted(found))


def grant_access(
    bootstrap: str,
    passwords: Mapping[str, str],
    *,
    topics: Sequence[Topic] = TOPICS,
    settings: Mapping[str, object] | None = None,
) -> None:
    """Sets the passwords of users and makes their permissions these and no others; safe to run again.

    ``settings`` are kafka-python's own for security, of a super user. Raises ``AccessRefusedError``, before it changes
    anything if that is for a password; ``KafkaError`` if the cluster fails.
    """
    for user, password in passwords.items():
        if len(password) < PASSWORD_CHARACTERS_MIN:
            raise AccessRefusedError(f"the password of {user} needs {PASSWORD_CHARACTERS_MIN} characters")
    with _admin(bootstrap, settings) as admin:
        told = admin.alter_user_scram_credentials(
            [UserScramCredentialUpsertion(user, SCRAM, password) for user, password in passwords.items()]
        )
        _refuse(f"{user}: {why}" for user, why in told.items() if why is not None)
        for user in passwords:
            _make_exact(admin, user, {_acl(each) for each in grants(topics) if each.user == user})


def present_grants(bootstrap: str, settings: Mapping[str, object] | None = None) -> set[Grant]:
    """The permissions that our users have now. Raises ``KafkaError`` if the cluster fails."""
    with _admin(bootstrap, settings) as admin:
        return {_grant(user, acl) for user in USERS for acl in _present(admin, user)}


def _make_exact(admin: Any, user: str, wanted: set[Any]) -> None:
    present = set(_present(admin, user))
    if missing := sorted(wanted - present, key=str):
        answer = admin.create_acls(missing)
        _refuse(str(each) for each in answer["failed"])
    if surplus := sorted(present - wanted, key=str):
        admin.delete_acls([_filter_of(acl) for acl in surplus])


def _present(admin: Any, user: str) -> list[Any]:
    anything = ResourcePatternFilter(ResourceType.ANY, None, ACLResourcePatternType.ANY)
    asked = ACLFilter(_principal(user), None, ACLOperation.ANY, ACLPermissionType.ANY, anything)
    acls, _ = admin.describe_acls(asked)
    return list(acls)


def _grant(user: str, acl: Any) -> Grant:
    found = acl.resource_pattern
    return Grant(user, found.resource_type.name, found.resource_name, acl.operation.name)


def _acl(grant: Grant) -> Any:
    pattern = ResourcePattern(ResourceType[grant.kind], grant.name)
    return ACL(_principal(grant.user), "*", ACLOperation[grant.operation], ACLPermissionType.ALLOW, pattern)


def _filter_of(acl: Any) -> Any:
    found = acl.resource_pattern
    pattern = ResourcePatternFilter(found.resource_type, found.resource_name, found.pattern_type)
    return ACLFilter(acl.principal, acl.host, acl.operation, acl.permission_type, pattern)


def _principal(user: str) -> str:
    return f"User:{user}"


def _refuse(faults: Iterator[str]) -> None:
    if told := "; ".join(faults):
        raise AccessRefusedError(told)


@contextmanager
def _admin(bootstrap: str, settings: Mapping[str, object] | None) -> Iterator[Any]:
    admin = KafkaAdminClient(
        bootstrap_servers=bootstrap.split(","),
        client_id="access-tool",
        request_timeout_ms=REQUEST_TIMEOUT_MS,
        bootstrap_timeout_ms=REQUEST_TIMEOUT_MS,
        **(settings or {}),
    )
    try:
        yield admin
    finally:
        admin.close()


app = typer.Typer(add_completion=False, no_args_is_help=True, help=__doc__, callback=connection_options)


@app.command()
def grant(
    context: typer.Context,
    bootstrap: Bootstrap,
    passwords_dir: Annotated[
        Path, typer.Option(help="Holds a file kafka_USER_password for each user.", envvar="KAFKA_PASSWORDS_DIR")
    ],
) -> None:
    """Sets the users' passwords and permissions."""
    try:
        grant_access(bootstrap, read_passwords(passwords_dir), settings=context.obj)
    except AccessRefusedError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(EXIT_WRONG) from error
    except KafkaError as error:
        typer.echo(cluster_line(bootstrap, error), err=True)
        raise typer.Exit(EXIT_TRY_AGAIN) from error
    typer.echo(f"{len(USERS)} users have {len(grants())} permissions")


@app.command()
def show() -> None:
    """Prints the permissions that ``grant`` gives, one a line."""
    for each in grants():
        typer.echo(f"{each.user} {each.operation.lower()} {each.kind.lower()} {each.name}")


def read_passwords(folder: Path) -> dict[str, str]:
    """The password of each user. Raises ``AccessRefusedError`` if a file cannot be read."""
    found = {}
    for user in USERS:
        path = folder / f"kafka_{user}_password"
        try:
            found[user] = path.read_text(encoding="utf-8").strip()
        except OSError as error:
            raise AccessRefusedError(f"{path}: {error.strerror}: put the password of {user} there") from error
    return found


if __name__ == "__main__":
    app()
