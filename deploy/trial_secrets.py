"""Makes every secret that the deployments refer to, for a trial: ``python -m deploy.trial_secrets``."""

import base64
import secrets
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Final
from urllib.parse import quote

import typer

from deploy.certificates import Authority
from services.contracts.topics import SERVICES
from services.eventing.access_tool import USERS
from services.runtime.clock import SystemClock

PASSWORD_BYTES: Final = 24
KEYFILE_BYTES: Final = 512
VAULT_KEY_BYTES: Final = 96
MODE: Final = 0o644
"""Containers read them under another user; the folder above keeps everybody else out."""
NODES: Final = 3
REPLICA_SET: Final = "silver"
DATABASE_HOSTS: Final = "mongodb-1:27017,mongodb-2:27017,mongodb-3:27017"
"""Compose's."""


def hosts_of(name: str) -> tuple[str, ...]:
    """What a server's certificate is for: Compose's names, Kubernetes' names, and this machine."""
    compose = (f"{name}-{number}" for number in range(1, NODES + 1))
    pods = (f"{name}-{number}.{name}" for number in range(NODES))
    return (name, *compose, *pods, "localhost", "127.0.0.1")


def mongodb_uri(service: str, password: str, hosts: str) -> str:
    """The address of a service's own database, for its own user, over TLS."""
    options = f"replicaSet={REPLICA_SET}&authSource={service}&tls=true&tlsCAFile=/run/secrets/authority"
    return f"mongodb://{service}:{quote(password, safe='')}@{hosts}/{service}?{options}"


def secret_names() -> tuple[str, ...]:
    """Every file that is made."""
    return tuple(_makers("", Authority.make(SystemClock().now())))


def write_secrets(folder: Path, hosts: str) -> list[str]:
    """Makes what is missing below ``folder`` and returns its names; what is there stays.

    Certificates are made together: all anew if one is missing.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    authority = Authority.make(SystemClock().now())
    made = _makers(hosts, authority)
    certificates = [name for name in made if name in CERTIFICATES]
    if not all((folder / name).exists() for name in certificates):
        for name in certificates:
            (folder / name).unlink(missing_ok=True)
    missing = [name for name in made if not (folder / name).exists()]
    for name in missing:
        path = folder / name
        path.touch(mode=MODE)
        path.write_bytes(made[name](folder))
    return missing


CERTIFICATES: Final = frozenset({"authority", "kafka_certificate", "mongodb_certificate"})


def _makers(hosts: str, authority: Authority) -> Mapping[str, Callable[[Path], bytes]]:
    """How each secret is made; a URI comes after the password that it holds."""
    now = SystemClock().now()
    made: dict[str, Callable[[Path], bytes]] = {
        "authority": lambda _: authority.pem,
        "kafka_certificate": lambda _: authority.server("kafka", hosts_of("kafka"), now),
        "mongodb_certificate": lambda _: authority.server("mongodb", hosts_of("mongodb"), now),
        "mongodb_keyfile": lambda _: base64.b64encode(secrets.token_bytes(KEYFILE_BYTES)),
        "registry_vault_master_key": lambda _: base64.b64encode(secrets.token_bytes(VAULT_KEY_BYTES)),
    }
    passwords = [f"kafka_{user}_password" for user in ("admin", *USERS)]
    passwords += [f"mongodb_{user}_password" for user in ("admin", *SERVICES)]
    for name in (*passwords, "activities_station_code_secret", "grafana_admin_password"):
        made[name] = lambda _: secrets.token_urlsafe(PASSWORD_BYTES).encode()
    for service in SERVICES:
        made[f"mongodb_uri_{service}"] = _uri_maker(service, hosts)
    return made


def _uri_maker(service: str, hosts: str) -> Callable[[Path], bytes]:
    def make(folder: Path) -> bytes:
        password = (folder / f"mongodb_{service}_password").read_text(encoding="utf-8")
        return mongodb_uri(service, password, hosts).encode()

    return make


def main(
    into: Annotated[Path, typer.Option(help="The folder.")] = Path("deploy/secrets"),
    database_hosts: Annotated[str, typer.Option(help="host:port,... that the URIs name.")] = DATABASE_HOSTS,
) -> None:
    """Makes the secrets that are missing."""
    made = write_secrets(into, database_hosts)
    typer.echo(f"{len(made)} secrets made in {into}, {len(secret_names()) - len(made)} were there")


if __name__ == "__main__":
    typer.run(main)
