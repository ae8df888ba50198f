"""The broker and the four databases together, or those that the environment names instead."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from deploy.local.broker import Broker
from deploy.local.database import Database

SERVICES = ("registry", "activities", "hours", "assessment")
BOOTSTRAP_VARIABLE = "KAFKA_BOOTSTRAP_SERVERS"
MONGODB_VARIABLE = "MONGODB_URI"


@dataclass(frozen=True)
class Servers:
    """Where the servers are and, for those that are ours, the handles to stop, kill and start them."""

    bootstrap: str
    mongodb_uris: Mapping[str, str]
    """By service. Embedded servers are one a service; an outside address serves all, each in its own database."""
    broker: Broker | None = None
    databases: Mapping[str, Database] = field(default_factory=dict)


@contextmanager
def embedded_servers(data_dir: Path, environ: Mapping[str, str] = os.environ) -> Iterator[Servers]:
    """Start what the environment does not name, and stop that at the end; data stays below ``data_dir``.

    ``KAFKA_BOOTSTRAP_SERVERS`` and ``MONGODB_URI``, where set, replace the embedded servers. Raises ServerFailed and
    PrerequisiteMissing.
    """
    bootstrap, uri = environ.get(BOOTSTRAP_VARIABLE), environ.get(MONGODB_VARIABLE)
    broker = None if bootstrap else Broker(data_dir / "broker")
    databases = {} if uri else {name: Database(name, data_dir / "databases" / name) for name in SERVICES}
    ours = [server for server in (broker, *databases.values()) if server is not None]
    try:
        for server in ours:  # all at once, to start and to stop: most of either is waiting
            server.launch()
        for server in ours:
            server.wait_ready()
        yield Servers(
            bootstrap=bootstrap or (broker.bootstrap if broker else ""),
            mongodb_uris={name: uri or databases[name].uri for name in SERVICES},
            broker=broker,
            databases=databases,
        )
    finally:
        for server in ours:
            server.ask_to_stop()
        for server in ours:
            server.stop()
