"""A real broker started by the deployment's own script, which asks for names, passwords and permissions over TLS."""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from kafka.admin import KafkaAdminClient
from kafka.errors import KafkaError

from deploy.certificates import Authority
from deploy.local import prerequisites
from deploy.local.broker_jars import broker_jars
from deploy.local.server_process import ServerProcess, free_ports, is_listening
from deploy.trial_secrets import write_secrets
from services.eventing.log_security import LogSecurity
from services.runtime.clock import SystemClock

KAFKA = Path("deploy/kafka").absolute()
PROGRAMS = {"kafka-storage.sh": "kafka.tools.StorageTool", "kafka-server-start.sh": "kafka.Kafka"}
"""What the image's programs run."""


@dataclass(frozen=True)
class SecuredBroker:
    """Where it answers, and the secrets it was started with."""

    bootstrap: str
    secrets: Path
    among_brokers: tuple[int, int]
    """The ports where brokers and controllers speak to each other."""

    def secret(self, name: str) -> str:
        return (self.secrets / name).read_text()

    @property
    def ca_file(self) -> Path:
        return self.secrets / "authority"

    def admin(self) -> LogSecurity:
        return self.security("admin", self.secret("kafka_admin_password"))

    def lets_in(self, username: str, password: str) -> bool:
        """Whether the user is known, and the cluster has a broker that takes part in it."""
        security = self.security(username, password).arguments()
        try:
            admin = KafkaAdminClient(bootstrap_servers=self.bootstrap, bootstrap_timeout_ms=2_000, **security)
        except KafkaError:
            return False
        try:
            return any(not each["is_fenced"] for each in admin.describe_cluster()["brokers"])
        finally:
            admin.close()

    def security(self, username: str, password: str, ca_file: Path | None = None) -> LogSecurity:
        return LogSecurity("SASL_SSL", "SCRAM-SHA-512", username, password, ca_file or self.ca_file)


def write_programs(folder: Path) -> None:
    """Stands for the image's programs: the same classes from the same jars."""
    folder.mkdir(parents=True)
    java = f"{prerequisites.java_command()} -Xmx256m -XX:TieredStopAtLevel=1 -cp '{broker_jars()}/*'"
    for name, main in PROGRAMS.items():
        path = folder / name
        path.write_text(f'#!/bin/sh\nexec {java} {main} "$@"\n')
        path.chmod(path.stat().st_mode | stat.S_IXUSR)


@contextmanager
def secured_broker(data_dir: Path) -> Iterator[SecuredBroker]:
    clients, internal, controller = free_ports(3)
    secrets = data_dir / "secrets"
    write_secrets(secrets, "127.0.0.1:1")
    write_programs(data_dir / "kafka/bin")
    told = {
        "NODE_ID": "1",
        "HOST": "127.0.0.1",
        "BIND": "127.0.0.1",
        "QUORUM_VOTERS": f"1@127.0.0.1:{controller}",
        "CLUSTER_ID": "silver-service-test-00",
        "DATA_DIR": str(data_dir / "data"),
        "SECRETS_DIR": str(secrets),
        "CONFIG_DIR": str(KAFKA),
        "KAFKA_HOME": str(data_dir / "kafka"),
        "TMPDIR": str(data_dir),
        "CLIENTS_PORT": str(clients),
        "INTERNAL_PORT": str(internal),
        "CONTROLLER_PORT": str(controller),
        "REPLICAS": "1",
        "REPLICAS_IN_SYNC": "1",
    }
    broker = SecuredBroker(f"127.0.0.1:{clients}", secrets, (internal, controller))
    command = ["env", *(f"{name}={value}" for name, value in told.items()), str(KAFKA / "start.sh")]
    server = ServerProcess("secured broker", command, data_dir / "broker.log", lambda: _is_ready(broker))
    server.launch()
    try:
        server.wait_ready()
        yield broker
    finally:
        server.stop()


def _is_ready(broker: SecuredBroker) -> bool:
    return is_listening(int(broker.bootstrap.rpartition(":")[2])) and broker.lets_in(
        "admin", broker.secret("kafka_admin_password")
    )


def another_authority(folder: Path) -> Path:
    """The certificate of somebody who signed nothing here."""
    path = folder / "another-authority"
    path.write_bytes(Authority.make(SystemClock().now()).pem)
    return path


def environment_of(broker: SecuredBroker, user: str) -> dict[str, str]:
    """What a process is told, as Compose and Kubernetes tell it."""
    return {
        "KAFKA_BOOTSTRAP_SERVERS": broker.bootstrap,
        "KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
        "KAFKA_SASL_MECHANISM": "SCRAM-SHA-512",
        "KAFKA_USERNAME": user,
        "KAFKA_PASSWORD_FILE": str(broker.secrets / f"kafka_{user}_password"),
        "KAFKA_CA_FILE": str(broker.ca_file),
        "PATH": os.environ["PATH"],
    }
