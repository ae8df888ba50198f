"""Apache Kafka on one machine: one KRaft node on the loopback address."""

import hashlib
import logging
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

from kafka.admin import KafkaAdminClient
from kafka.errors import KafkaError

from deploy.local import prerequisites
from deploy.local.broker_jars import broker_jars, cache_dir
from deploy.local.server_process import ServerFailed, ServerProcess, free_ports, is_listening

CLUSTER_ID = "silver-service-local-0"
HEAP_MB = 256
READY_REQUEST_TIMEOUT_MS = 5_000

SETTINGS = """\
process.roles=broker,controller
node.id=1
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
controller.listener.names=CONTROLLER
controller.quorum.voters=1@127.0.0.1:{controller_port}
log.dirs={log_dir}

# Facts are kept for ever, in topics that are created on purpose.
log.retention.ms=-1
log.retention.bytes=-1
auto.create.topics.enable=false

# One node cannot replicate.
default.replication.factor=1
min.insync.replicas=1
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1

# A killed broker is back as soon as the controller believes that its predecessor is gone.
broker.session.timeout.ms=5000
broker.heartbeat.interval.ms=500

# Small: a handful of groups, one machine shared with everything else.
group.initial.rebalance.delay.ms=0
offsets.topic.num.partitions=4
transaction.state.log.num.partitions=4
share.coordinator.state.topic.num.partitions=1
log.cleaner.dedupe.buffer.size=16777216
log.index.size.max.bytes=1048576
"""


def _java_arguments(java: str, jars: Path) -> list[str]:
    """Return what every Java command of the broker begins with; the first tier of compilation starts soonest."""
    logger = "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"
    return [java, f"-Xmx{HEAP_MB}m", "-XX:TieredStopAtLevel=1", "-Xlog:cds*=off", logger, "-cp", f"{jars}/*"]


def _class_archive(java: str, jars: Path) -> Path:
    """Name the archive of loaded classes: it fits one version of Java and one set of jars at one place."""
    version = subprocess.run([java, "-version"], capture_output=True, check=True).stderr
    digest = hashlib.sha256(version + str(jars).encode()).hexdigest()
    return cache_dir() / f"{jars.name}-{digest[:16]}.jsa"


def has_brokers(bootstrap: str) -> bool:
    """Say whether a cluster answers at this address and has a broker that takes part in it."""
    quiet = logging.getLogger("kafka")
    level = quiet.level
    quiet.setLevel(logging.CRITICAL)  # not being ready yet is no news
    try:
        admin = KafkaAdminClient(
            bootstrap_servers=bootstrap,
            request_timeout_ms=READY_REQUEST_TIMEOUT_MS,
            bootstrap_timeout_ms=READY_REQUEST_TIMEOUT_MS,
        )
        try:
            return any(not broker["is_fenced"] for broker in admin.describe_cluster()["brokers"])
        finally:
            admin.close()
    except KafkaError:
        return False
    finally:
        quiet.setLevel(level)


class Broker:
    """One Kafka node: its address and data stay the same over any number of stops, kills and starts."""

    def __init__(self, data_dir: Path, more_settings: str = "") -> None:
        """Prepare a node that keeps its log below ``data_dir``; the jars are fetched if they are not there yet.

        ``more_settings`` stand behind our own and win over them; ``{port}`` in them is the node's.
        """
        jars = broker_jars()
        java = prerequisites.java_command()
        self.port, self._controller_port = free_ports(2)
        self._data_dir = data_dir
        self._more_settings = more_settings
        self._settings = data_dir / "server.properties"
        self._java = _java_arguments(java, jars)
        self._archive = _class_archive(java, jars)
        self._new_archive = self._archive.with_suffix(f".{os.getpid()}-{self.port}.new")
        self._server = ServerProcess("broker", (), data_dir / "broker.log", self._is_ready)

    @property
    def bootstrap(self) -> str:
        """The address for clients, ``host:port``."""
        return f"127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        """The running process's id."""
        return self._server.pid

    @property
    def is_running(self) -> bool:
        """Whether the process runs."""
        return self._server.is_running

    def launch(self) -> None:
        """Start the node without waiting for it."""
        self._write_settings()
        self._format()
        self._server.command = self._command()
        self._server.launch()

    def wait_ready(self) -> None:
        """Wait until topics can be made. Raises ServerFailed if that does not come."""
        self._server.wait_ready()

    def start(self) -> None:
        """Start the node and wait until topics can be made."""
        self.launch()
        self.wait_ready()

    def ask_to_stop(self) -> None:
        """Tell the node to end in order, without waiting for it."""
        self._server.ask_to_stop()

    def stop(self) -> None:
        """End the node in order."""
        self._server.stop()
        if self._new_archive.exists():
            self._new_archive.replace(self._archive)

    def kill(self) -> None:
        """End the node as a power cut would."""
        self._server.kill()

    def _is_ready(self) -> bool:
        return is_listening(self.port) and has_brokers(self.bootstrap)

    @property
    def _log_dir(self) -> Path:
        return self._data_dir.resolve() / "log"

    def _write_settings(self) -> None:
        self._data_dir.mkdir(parents=True, exist_ok=True)
        settings = (SETTINGS + self._more_settings).format(
            port=self.port, controller_port=self._controller_port, log_dir=self._log_dir
        )
        self._settings.write_text(settings)

    def _command(self) -> Sequence[str]:
        """Start from the archive of loaded classes; the first node of a user that is stopped in order writes it."""
        option = (
            f"-XX:SharedArchiveFile={self._archive}"
            if self._archive.exists()
            else f"-XX:ArchiveClassesAtExit={self._new_archive}"
        )
        return [*self._java, "-Xshare:auto", option, "kafka.Kafka", str(self._settings)]

    def _format(self) -> None:
        """Give the log folder its cluster id, unless it has one: that takes a Java of its own."""
        if (self._log_dir / "meta.properties").exists():  # the last thing that formatting writes
            return
        options = ["--ignore-formatted", "--cluster-id", CLUSTER_ID, "--config", str(self._settings)]
        command = [*self._java, "kafka.tools.StorageTool", "format", *options]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise ServerFailed(f"the broker's storage cannot be formatted:\n{done.stdout}{done.stderr}")
