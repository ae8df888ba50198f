"""The stand-in database with a user and a password, over TLS."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pymongo import MongoClient
from pymongo.errors import PyMongoError

from deploy.certificates import Authority
from deploy.local.server_process import ServerProcess, free_ports, is_listening
from services.runtime.clock import SystemClock

USER, PASSWORD = "registry", "made-up-for-a-test"
DATABASES = ("registry", "activities")


@dataclass(frozen=True)
class SecuredDatabase:
    """Where it answers, and the authority of its certificate."""

    port: int
    authority: Path

    def uri(self, user: str = USER, password: str = PASSWORD, *, tls: bool = True) -> str:
        options = "replicaSet=secantus&directConnection=true&authSource=admin"
        encrypted = f"&tls=true&tlsCAFile={self.authority}" if tls else ""
        return f"mongodb://{user}:{password}@127.0.0.1:{self.port}/?{options}{encrypted}"


@contextmanager
def secured_database(data_dir: Path) -> Iterator[SecuredDatabase]:
    """Makes the user without asking who does, as the server wants it, and starts again with both switched on."""
    (port,) = free_ports(1)
    now = SystemClock().now()
    authority = Authority.make(now)
    data_dir.mkdir(parents=True)
    (data_dir / "secantusd.toml").touch()
    (data_dir / "authority").write_bytes(authority.pem)
    (data_dir / "server.pem").write_bytes(authority.server("mongodb", ["127.0.0.1"], now))
    place = ["--host", "127.0.0.1", "--port", str(port), "--storage-path", str(data_dir / "data"), "--sync-on-commit"]
    program = [sys.executable, "-m", "secantus", "--config", str(data_dir / "secantusd.toml"), *place]
    pem = str(data_dir / "server.pem")
    database = SecuredDatabase(port, data_dir / "authority")
    plain = f"mongodb://127.0.0.1:{port}/?directConnection=true"
    with _running("database without", program, data_dir, plain), MongoClient[dict[str, Any]](plain) as client:
        roles = [{"role": "readWrite", "db": name} for name in DATABASES]
        client.admin.command("createUser", USER, pwd=PASSWORD, roles=roles)
    secured = [*program, "--auth", "--tls-cert-file", pem, "--tls-key-file", pem]
    with _running("database with users", secured, data_dir, database.uri()):
        yield database


@contextmanager
def _running(name: str, command: list[str], data_dir: Path, uri: str) -> Iterator[None]:
    port = int(command[command.index("--port") + 1])
    server = ServerProcess(name, command, data_dir / "database.log", lambda: is_listening(port) and _answers(uri))
    server.launch()
    try:
        server.wait_ready()
        yield
    finally:
        server.stop()


def _answers(uri: str) -> bool:
    try:
        with MongoClient[dict[str, Any]](uri, serverSelectionTimeoutMS=2_000) as client:
            return bool(client["registry"].command("hello")["isWritablePrimary"])
    except PyMongoError:
        return False
