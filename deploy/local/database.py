"""A MongoDB-compatible database on one machine: a stand-in for development and CI, one server a service."""

import sys
from pathlib import Path

from pymongo import MongoClient
from pymongo.errors import PyMongoError

from deploy.local.server_process import ServerProcess, free_ports, is_listening

READY_REQUEST_TIMEOUT_MS = 2_000
CACHE_SIZE = "256M"


class Database:
    """One database server: its address and data stay the same over any number of stops, kills and starts."""

    def __init__(self, name: str, data_dir: Path) -> None:
        """Prepare a server that keeps its files below ``data_dir``; ``name`` appears in messages and log file."""
        (self.port,) = free_ports(1)
        self._data_dir = data_dir
        self._server = ServerProcess(f"database of {name}", self._command(), data_dir / "database.log", self._is_ready)

    @property
    def uri(self) -> str:
        """The address for clients. A replica set of one, for transactions and change streams need a replica set."""
        return f"mongodb://127.0.0.1:{self.port}/?replicaSet=secantus&directConnection=true"

    @property
    def pid(self) -> int:
        """The running process's id."""
        return self._server.pid

    @property
    def is_running(self) -> bool:
        """Whether the process runs."""
        return self._server.is_running

    def launch(self) -> None:
        """Start the server without waiting for it."""
        self._data_dir.mkdir(parents=True, exist_ok=True)
        # A settings file of our own, empty: without one the server takes any that lies about.
        self._settings.touch()
        self._server.launch()

    def wait_ready(self) -> None:
        """Wait until the server takes writes. Raises ServerFailed if that does not come."""
        self._server.wait_ready()

    def start(self) -> None:
        """Start the server and wait until it takes writes."""
        self.launch()
        self.wait_ready()

    def ask_to_stop(self) -> None:
        """Tell the server to end in order, without waiting for it."""
        self._server.ask_to_stop()

    def stop(self) -> None:
        """End the server in order."""
        self._server.stop()

    def kill(self) -> None:
        """End the server as a power cut would."""
        self._server.kill()

    @property
    def _settings(self) -> Path:
        return self._data_dir / "secantusd.toml"

    def _command(self) -> list[str]:
        # --sync-on-commit: without it a killed server loses transactions that it acknowledged as journalled.
        place = ["--host", "127.0.0.1", "--port", str(self.port), "--storage-path", str(self._data_dir / "data")]
        limits = ["--sync-on-commit", "--cache-size", CACHE_SIZE, "--log-level", "WARNING"]
        return [sys.executable, "-m", "secantus", "--config", str(self._settings), *place, *limits]

    def _is_ready(self) -> bool:
        if not is_listening(self.port):
            return False
        try:
            with MongoClient[dict[str, object]](self.uri, serverSelectionTimeoutMS=READY_REQUEST_TIMEOUT_MS) as client:
                return bool(client.admin.command("hello")["isWritablePrimary"])
        except PyMongoError:
            return False
