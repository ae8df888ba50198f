"""Says what each process of a deployment is told: its command, environment and secrets."""

import importlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

from deploy.local.processes import GATEWAY, KINDS, PROCESSES
from services.contracts.topics import SERVICES

IMAGE: Final = "silver-service"
VERSION: Final = "0.1.0"
PORT: Final = 8000
"""What every process listens on: each has an address of its own."""
KAFKA_PORT: Final = 9092
MONGODB_PORT: Final = 27017
SECRETS: Final = "/run/secrets"
BACKUP: Final = "backup"
USER: Final = 10001
"""Of the processes in their image; neither root nor anybody on the host."""

Role = Literal["api", "processor", "relay", "gateway", "backup", "parity"]


@dataclass(frozen=True, slots=True)
class Process:
    """One process: whose it is, what kind, and which secrets it reads. A secret's file has the secret's name."""

    name: str
    service: str
    role: Role
    command: tuple[str, ...]
    secrets: tuple[str, ...]

    def environment(self, kafka: str, *, proxies: str = "0") -> dict[str, str]:
        """What it is told besides what all are told.

        ``kafka`` is ``host:port,...``; ``proxies`` how many of ours stand before the gateway.
        """
        if self.role == "gateway":
            urls = {f"{service.upper()}_URL": f"http://{service}-api:{PORT}" for service in SERVICES}
            return urls | {"GATEWAY_PROXIES": proxies}
        if self.role == "backup":
            return backup_environment()
        service = self.service
        told = {
            "KAFKA_BOOTSTRAP_SERVERS": kafka,
            "KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
            "KAFKA_SASL_MECHANISM": "SCRAM-SHA-512",
            "KAFKA_USERNAME": service,
            "KAFKA_PASSWORD_FILE": f"{SECRETS}/kafka_{service}_password",
            "KAFKA_CA_FILE": f"{SECRETS}/authority",
            "MONGODB_URI_FILE": f"{SECRETS}/mongodb_uri_{service}",
        }
        return told | {variable: f"{SECRETS}/{secret}" for variable, secret in OWN_SECRETS.get(service, ())}


OWN_SECRETS: Final = {
    "registry": (("VAULT_MASTER_KEY_FILE", "registry_vault_master_key"),),
    "activities": (("STATION_CODE_SECRET_FILE", "activities_station_code_secret"),),
}
"""Settings of one service that are secrets, and the secrets they are read from."""

SHARED: Final = {
    "ENVIRONMENT": "production",
    "LOG_LEVEL": "info",
    "DEPLOYMENT_AREA": "3408",
    "JWT_ISSUER": "https://id.example",
    "JWT_AUDIENCE": "silver-service",
    "JWT_JWKS_URL": "https://id.example/jwks.json",
    "CORS_ORIGINS": "",
}
"""What an operator decides, for all processes. Compose reads each from the environment, Kubernetes from a ConfigMap."""
DECIDED_BY_OPERATOR: Final = ("JWT_ISSUER", "JWT_JWKS_URL")
"""Of those the ones that have no value that would do."""


def backup_environment() -> dict[str, str]:
    """Where backups are taken from and put; the keys go to another volume."""
    told = {f"{service.upper()}_MONGODB_URI_FILE": f"{SECRETS}/mongodb_uri_{service}" for service in SERVICES}
    return told | {"BACKUP_DIR": "/backup/data", "BACKUP_KEYS_DIR": "/backup/keys"}


def _secrets_of(service: str) -> tuple[str, ...]:
    own = (secret for _, secret in OWN_SECRETS.get(service, ()))
    return ("authority", f"kafka_{service}_password", f"mongodb_uri_{service}", *own)


def _processes() -> Iterator[Process]:
    for service in SERVICES:
        for kind in KINDS:
            role: Role = kind  # type: ignore[assignment] # KINDS is a plain tuple of the same three words
            command = ("python", "-m", f"services.{service}", kind)
            yield Process(f"{service}-{kind}", service, role, command, _secrets_of(service))
    yield Process(GATEWAY, GATEWAY, "gateway", ("python", "-m", "services.runtime.gateway"), ())


PLATFORM: Final = tuple(_processes())
"""The twelve processes and the gateway."""
assert tuple(process.name for process in PLATFORM) == PROCESSES

BACKUPS: Final = Process(
    BACKUP,
    BACKUP,
    "backup",
    ("python", "-m", "services.recovery", "run"),
    ("authority", *(f"mongodb_uri_{service}" for service in SERVICES)),
)
"""Backs every database up, one a day."""


def parity_checks() -> tuple[Process, ...]:
    """A process for each service that has a projection to check; off until somebody switches it on."""
    return tuple(
        Process(f"{each}-parity", each, "parity", ("python", "-m", f"services.{each}", "parity"), _secrets_of(each))
        for each in SERVICES
        if importlib.import_module(f"services.{each}.recovery").RECOVERY.projection is not None
    )


TOPICS_COMMANDS: Final = (
    ("python", "-m", "services.eventing.topics_tool", "create", "--min-insync-replicas", "2"),
    ("python", "-m", "services.eventing.access_tool", "grant"),
)
"""What must be done once, before any process starts, and again with each release: both change only what is missing."""


def topics_environment(kafka: str) -> dict[str, str]:
    """What the commands above are told: they come in as the administrator."""
    return {
        "KAFKA_BOOTSTRAP_SERVERS": kafka,
        "KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
        "KAFKA_SASL_MECHANISM": "SCRAM-SHA-512",
        "KAFKA_USERNAME": "admin",
        "KAFKA_PASSWORD_FILE": f"{SECRETS}/kafka_admin_password",
        "KAFKA_CA_FILE": f"{SECRETS}/authority",
        "KAFKA_PASSWORDS_DIR": SECRETS,
    }
