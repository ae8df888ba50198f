"""Makes ``deploy/compose.yaml``: the whole platform with its brokers, databases and watchers on one machine."""

from typing import Any, Final

from deploy.manifests.platform import (
    BACKUPS,
    DECIDED_BY_OPERATOR,
    IMAGE,
    KAFKA_PORT,
    MONGODB_PORT,
    PLATFORM,
    PORT,
    SECRETS,
    SHARED,
    TOPICS_COMMANDS,
    VERSION,
    Process,
    parity_checks,
    topics_environment,
)
from services.contracts.topics import SERVICES

KAFKA_IMAGE: Final = "apache/kafka:4.3.1"
MONGODB_IMAGE: Final = "mongo:8.0"
PROMETHEUS_IMAGE: Final = "prom/prometheus:v3.5.0"
GRAFANA_IMAGE: Final = "grafana/grafana:12.2.0"
NODES: Final = (1, 2, 3)
INTERNAL_PORT: Final = 9093
CONTROLLER_PORT: Final = 9094
KAFKA: Final = ",".join(f"kafka-{node}:{KAFKA_PORT}" for node in NODES)
MONGODB: Final = ",".join(f"mongodb-{node}:{MONGODB_PORT}" for node in NODES)
QUORUM: Final = ",".join(f"{node}@kafka-{node}:{CONTROLLER_PORT}" for node in NODES)
CLUSTER_ID: Final = "c2lsdmVyLXNlcnZpY2UtMQ"
KAFKA_SECRETS: Final = ("kafka_certificate", "authority", "kafka_admin_password")
MONGODB_SECRETS: Final = ("mongodb_keyfile", "mongodb_certificate", "authority", "mongodb_admin_password")
MONGODB_USER_SECRETS: Final = tuple(f"mongodb_{service}_password" for service in SERVICES)

Service = dict[str, Any]


def compose() -> dict[str, Any]:
    """The file's content, in the compose specification's words."""
    services = {
        **{f"kafka-{node}": _broker(node) for node in NODES},
        **{f"mongodb-{node}": _database(node) for node in NODES},
        "mongodb-users": _database_users(),
        "topics": _topics(),
        **{process.name: _process(process) for process in PLATFORM},
        BACKUPS.name: _backups(),
        **{process.name: {**_process(process), "profiles": ["parity"]} for process in parity_checks()},
        "prometheus": _prometheus(),
        "grafana": _grafana(),
    }
    volumes = [f"{name}-{node}" for name in ("kafka", "mongodb") for node in NODES]
    volumes += ["prometheus", "grafana", "backup-data", "backup-keys"]
    return {
        "name": "silver-service",
        "services": services,
        "networks": {"outside": {}, "inside": {"internal": True}, "issuer": {}},
        "volumes": {name: {} for name in volumes},
        "secrets": {name: {"file": f"./secrets/{name}"} for name in _secret_names(services)},
    }


def _secret_names(services: dict[str, Service]) -> list[str]:
    return sorted({secret for service in services.values() for secret in service.get("secrets", ())})


def _health(*test: str, start_s: int = 60) -> dict[str, Any]:
    return {"test": ["CMD", *test], "interval": "10s", "timeout": "5s", "retries": 6, "start_period": f"{start_s}s"}


def _broker(node: int) -> Service:
    return {
        "image": KAFKA_IMAGE,
        "command": ["/etc/silver-kafka/start.sh"],
        "environment": {
            "NODE_ID": str(node),
            "HOST": f"kafka-{node}",
            "QUORUM_VOTERS": QUORUM,
            "CLUSTER_ID": CLUSTER_ID,
            "KAFKA_HEAP_OPTS": "-Xmx1g",
        },
        "secrets": list(KAFKA_SECRETS),
        "volumes": [f"kafka-{node}:/var/lib/kafka/data", "./kafka:/etc/silver-kafka:ro"],
        "networks": ["inside"],
        "healthcheck": _health("bash", "-c", f"exec 3<>/dev/tcp/127.0.0.1/{KAFKA_PORT}"),
        "stop_grace_period": "60s",
        "restart": "unless-stopped",
    }


def _database(node: int) -> Service:
    service: Service = {
        "image": MONGODB_IMAGE,
        "entrypoint": ["/etc/silver-mongodb/start.sh"],
        "secrets": list(MONGODB_SECRETS),
        "volumes": [f"mongodb-{node}:/data/db", "./mongodb:/etc/silver-mongodb:ro"],
        "networks": ["inside"],
        "healthcheck": _health("bash", "-c", f"exec 3<>/dev/tcp/127.0.0.1/{MONGODB_PORT}"),
        "stop_grace_period": "60s",
        "restart": "unless-stopped",
    }
    if node == 1:  # the others copy the administrator from it: a member that has data of its own cannot join
        service["environment"] = {
            "MONGO_INITDB_ROOT_USERNAME": "admin",
            "MONGO_INITDB_ROOT_PASSWORD_FILE": f"{SECRETS}/mongodb_admin_password",
        }
    return service


def _database_users() -> Service:
    return {
        "image": MONGODB_IMAGE,
        "entrypoint": ["mongosh", "--nodb", "--quiet", "/etc/silver-mongodb/initiate.js"],
        "environment": {"MONGODB_HOSTS": MONGODB, "MONGODB_USERS": ",".join(SERVICES)},
        "secrets": ["authority", "mongodb_admin_password", *MONGODB_USER_SECRETS],
        "volumes": ["./mongodb:/etc/silver-mongodb:ro"],
        "networks": ["inside"],
        "depends_on": {f"mongodb-{node}": {"condition": "service_healthy"} for node in NODES},
        "restart": "on-failure",
    }


def _topics() -> Service:
    environment = topics_environment(KAFKA)
    passwords = [f"kafka_{user}_password" for user in (*SERVICES, "monitor")]
    return {
        "image": f"{IMAGE}:{VERSION}",
        "build": _build(),
        "command": ["sh", "-c", " && ".join(" ".join(command) for command in TOPICS_COMMANDS)],
        "environment": environment,
        "secrets": ["authority", "kafka_admin_password", *passwords],
        "networks": ["inside"],
        "depends_on": {f"kafka-{node}": {"condition": "service_healthy"} for node in NODES},
        "healthcheck": {"disable": True},
        "restart": "on-failure",
        **_locked_down(),
    }


def _build() -> dict[str, str]:
    return {"context": "..", "dockerfile": "deploy/Dockerfile"}


def _locked_down() -> Service:
    return {
        "read_only": True,
        "tmpfs": ["/tmp"],  # noqa: S108 - the only place that a container may write to
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges:true"],
    }


def _shared() -> dict[str, str]:
    """What an operator decides is read from the environment or an ``.env`` file; Compose refuses to go on without."""
    missing = {name: f"${{{name}:?set {name} in deploy/.env}}" for name in DECIDED_BY_OPERATOR}
    return {name: missing.get(name, f"${{{name}:-{value}}}") for name, value in SHARED.items() if name != "ENVIRONMENT"}


def _process(process: Process) -> Service:
    is_gateway = process.role == "gateway"
    service: Service = {
        "image": f"{IMAGE}:{VERSION}",
        "command": list(process.command),
        "environment": {"ENVIRONMENT": "production", **_shared(), **process.environment(KAFKA)},
        "secrets": list(process.secrets),
        # The issuer's keys are fetched from outside; nobody from outside reaches anything but the gateway.
        "networks": ["inside", *(["outside"] if is_gateway else ["issuer"] if process.role == "api" else [])],
        "mem_limit": "320m",
        "stop_grace_period": "10s",
        "restart": "unless-stopped",
        **_locked_down(),
    }
    if is_gateway:
        service["ports"] = [f"${{GATEWAY_BIND:-127.0.0.1}}:${{GATEWAY_PORT:-8080}}:{PORT}"]
        service["environment"] = {"LOG_LEVEL": _shared()["LOG_LEVEL"], **process.environment(KAFKA)}
        return service
    completed = {"condition": "service_completed_successfully"}
    service["depends_on"] = {"topics": completed, "mongodb-users": completed}
    return service


def _backups() -> Service:
    return {
        "image": f"{IMAGE}:{VERSION}",
        "command": list(BACKUPS.command),
        "environment": BACKUPS.environment(KAFKA),
        "secrets": list(BACKUPS.secrets),
        "volumes": ["backup-data:/backup/data", "backup-keys:/backup/keys"],
        "networks": ["inside"],
        "depends_on": {"mongodb-users": {"condition": "service_completed_successfully"}},
        "restart": "unless-stopped",
        **_locked_down(),
    }


def _prometheus() -> Service:
    observability = "./observability/prometheus"
    return {
        "image": PROMETHEUS_IMAGE,
        "command": ["--config.file=/etc/prometheus/prometheus.yml", "--storage.tsdb.retention.time=90d"],
        "volumes": [
            f"{observability}/prometheus.yml:/etc/prometheus/prometheus.yml:ro",
            f"{observability}/rules:/etc/prometheus/rules:ro",
            "prometheus:/prometheus",
        ],
        "networks": ["inside"],
        "healthcheck": _health("wget", "-q", "-O", "/dev/null", "http://127.0.0.1:9090/-/healthy"),
        "restart": "unless-stopped",
    }


def _grafana() -> Service:
    observability = "./observability/grafana"
    return {
        "image": GRAFANA_IMAGE,
        "environment": {
            "GF_SECURITY_ADMIN_PASSWORD__FILE": f"{SECRETS}/grafana_admin_password",
            "GF_USERS_ALLOW_SIGN_UP": "false",
            "GF_ANALYTICS_REPORTING_ENABLED": "false",
            "GF_ANALYTICS_CHECK_FOR_UPDATES": "false",
        },
        "secrets": ["grafana_admin_password"],
        "volumes": [
            f"{observability}/provisioning:/etc/grafana/provisioning:ro",
            f"{observability}/dashboards:/etc/grafana/dashboards:ro",
            "grafana:/var/lib/grafana",
        ],
        "ports": ["${GRAFANA_BIND:-127.0.0.1}:${GRAFANA_PORT:-3000}:3000"],
        "networks": ["inside", "outside"],
        "depends_on": {"prometheus": {"condition": "service_healthy"}},
        "healthcheck": _health("wget", "-q", "-O", "/dev/null", "http://127.0.0.1:3000/api/health"),
        "restart": "unless-stopped",
    }
