"""Makes Kafka and MongoDB themselves on Kubernetes, for a cluster that has neither: three of each, as in Compose."""

from pathlib import Path
from typing import Any, Final

from deploy.manifests.compose import CLUSTER_ID, CONTROLLER_PORT, INTERNAL_PORT, KAFKA_IMAGE, MONGODB_IMAGE
from deploy.manifests.kubernetes import Manifest, disruption_budget, labels, named, secret_volume
from deploy.manifests.platform import KAFKA_PORT, MONGODB_PORT, SECRETS
from services.contracts.topics import SERVICES

NODES: Final = 3
KAFKA: Final = "kafka"
MONGODB: Final = "mongodb"
KAFKA_USER: Final = 1000
MONGODB_USER: Final = 999
"""As the images have them."""
MONGODB_HOSTS: Final = ",".join(f"{MONGODB}-{node}.{MONGODB}:{MONGODB_PORT}" for node in range(NODES))
QUORUM: Final = ",".join(f"{node + 1}@{KAFKA}-{node}.{KAFKA}:{CONTROLLER_PORT}" for node in range(NODES))
STOP_WITHIN_S: Final = 60

_KAFKA_COMMAND: Final = (
    'NODE_ID=$((${HOSTNAME##*-} + 1)) HOST="$HOSTNAME.kafka" exec sh /etc/silver-kafka/start.sh'  # pods count from 0
)
_MONGODB_COMMAND: Final = (
    # Only the first makes the administrator: a member that has data of its own cannot join.
    '[ "${HOSTNAME##*-}" = 0 ] || unset MONGO_INITDB_ROOT_USERNAME MONGO_INITDB_ROOT_PASSWORD_FILE; '
    "exec bash /etc/silver-mongodb/start.sh"
)


def kafka(deploy: Path) -> list[Manifest]:
    """Three brokers; ``deploy`` is the folder that holds their script and settings."""
    ports = {"clients": KAFKA_PORT, "internal": INTERNAL_PORT, "controller": CONTROLLER_PORT}
    environment = {"QUORUM_VOTERS": QUORUM, "CLUSTER_ID": CLUSTER_ID, "KAFKA_HEAP_OPTS": "-Xmx1g"}
    server = {
        "name": KAFKA,
        "image": KAFKA_IMAGE,
        "command": ["sh", "-c", _KAFKA_COMMAND],
        "env": _env(environment),
        "resources": {"requests": {"cpu": "500m", "memory": "1536Mi"}, "limits": {"memory": "2Gi"}},
        **_mounts(KAFKA, "/var/lib/kafka/data"),
        **_answering(ports, "clients"),
    }
    secrets = ("kafka_certificate", "authority", "kafka_admin_password")
    return [
        _files(KAFKA, deploy / KAFKA),
        _headless(KAFKA, ports),
        _stateful(KAFKA, server, secrets, KAFKA_USER, "100Gi"),
        disruption_budget(KAFKA),
        _network(KAFKA, ports),
    ]


def mongodb(deploy: Path) -> list[Manifest]:
    """A replica set of three, and the job that makes it one."""
    ports = {"mongodb": MONGODB_PORT}
    environment = {
        "MONGO_INITDB_ROOT_USERNAME": "admin",
        "MONGO_INITDB_ROOT_PASSWORD_FILE": f"{SECRETS}/mongodb_admin_password",
    }
    server = {
        "name": MONGODB,
        "image": MONGODB_IMAGE,
        "command": ["bash", "-c", _MONGODB_COMMAND],
        "env": _env(environment),
        "resources": {"requests": {"cpu": "500m", "memory": "2Gi"}, "limits": {"memory": "4Gi"}},
        **_mounts(MONGODB, "/data/db"),
        **_answering(ports, MONGODB),
    }
    secrets = ("mongodb_keyfile", "mongodb_certificate", "authority", "mongodb_admin_password")
    return [
        _files(MONGODB, deploy / MONGODB),
        _headless(MONGODB, ports),
        _stateful(MONGODB, server, secrets, MONGODB_USER, "100Gi"),
        disruption_budget(MONGODB),
        _network(MONGODB, ports),
        _users(),
    ]


def _users() -> Manifest:
    secrets = ("authority", "mongodb_admin_password", *(f"mongodb_{service}_password" for service in SERVICES))
    container = {
        "name": "mongodb-users",
        "image": MONGODB_IMAGE,
        "command": ["mongosh", "--nodb", "--quiet", "/etc/silver-mongodb/initiate.js"],
        "env": _env({"MONGODB_HOSTS": MONGODB_HOSTS, "MONGODB_USERS": ",".join(SERVICES), "HOME": "/tmp"}),  # noqa: S108
        "resources": {"requests": {"cpu": "50m", "memory": "256Mi"}, "limits": {"memory": "512Mi"}},
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
        "volumeMounts": [
            {"name": "secrets", "mountPath": SECRETS},
            {"name": "files", "mountPath": "/etc/silver-mongodb"},
        ],
    }
    spec = {
        **_pod_security(MONGODB_USER),
        "restartPolicy": "OnFailure",
        "containers": [container],
        "volumes": [*secret_volume("mongodb-users", secrets), _files_volume(MONGODB)],
    }
    job = {"backoffLimit": 20, "template": {"metadata": {"labels": labels("mongodb-users")}, "spec": spec}}
    return named("Job", "batch/v1", "mongodb-users", spec=job)


def _files(name: str, folder: Path) -> Manifest:
    texts = {path.name: path.read_text(encoding="utf-8") for path in sorted(folder.iterdir()) if path.is_file()}
    return named("ConfigMap", "v1", f"{name}-files", data=texts)


def _files_volume(name: str) -> Manifest:
    return {"name": "files", "configMap": {"name": f"{name}-files"}}


def _headless(name: str, ports: dict[str, int]) -> Manifest:
    """An address for each pod, from its start on: they find each other before they are ready."""
    spec = {
        "clusterIP": "None",
        "publishNotReadyAddresses": True,
        "selector": labels(name),
        "ports": [{"name": each, "port": port} for each, port in ports.items()],
    }
    return named("Service", "v1", name, spec=spec)


def _stateful(name: str, server: Manifest, secrets: tuple[str, ...], user: int, storage: str) -> Manifest:
    apart = {
        "labelSelector": {"matchLabels": labels(name)},
        "topologyKey": "kubernetes.io/hostname",
    }
    pod = {
        **_pod_security(user),
        "terminationGracePeriodSeconds": STOP_WITHIN_S,
        # Two of three on one node would be a majority that dies together.
        "affinity": {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [apart]}},
        "containers": [server],
        "volumes": [*secret_volume(name, secrets), _files_volume(name), {"name": "tmp", "emptyDir": {}}],
    }
    claim = {
        "metadata": {"name": "data"},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": storage}}},
    }
    spec = {
        "serviceName": name,
        "replicas": NODES,
        "podManagementPolicy": "Parallel",
        "selector": {"matchLabels": labels(name)},
        "template": {"metadata": {"labels": labels(name)}, "spec": pod},
        "volumeClaimTemplates": [claim],
    }
    return named("StatefulSet", "apps/v1", name, spec=spec)


def _pod_security(user: int) -> Manifest:
    context = {
        "runAsNonRoot": True,
        "runAsUser": user,
        "runAsGroup": user,
        "fsGroup": user,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    return {"automountServiceAccountToken": False, "securityContext": context}


def _mounts(name: str, data: str) -> Manifest:
    return {
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
        "volumeMounts": [
            {"name": "data", "mountPath": data},
            {"name": "secrets", "mountPath": SECRETS},
            {"name": "files", "mountPath": f"/etc/silver-{name}"},
            {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108 - where the script puts the settings it fills in
        ],
    }


def _answering(ports: dict[str, int], asked: str) -> Manifest:
    probe = {"tcpSocket": {"port": asked}, "periodSeconds": 10, "timeoutSeconds": 5}
    return {
        "ports": [{"name": name, "containerPort": port} for name, port in ports.items()],
        "startupProbe": {**probe, "failureThreshold": 30},
        "livenessProbe": {**probe, "failureThreshold": 6},
        "readinessProbe": {**probe, "failureThreshold": 2},
    }


def _env(values: dict[str, str]) -> list[Any]:
    return [{"name": name, "value": value} for name, value in values.items()]


def _network(name: str, ports: dict[str, int]) -> Manifest:
    """Processes and KEDA come in at the first port; the others are for the servers among themselves."""
    first, *_ = ports.values()
    everyone = {"ports": [{"port": first, "protocol": "TCP"}]}
    among = [{"port": port, "protocol": "TCP"} for port in ports.values()]
    themselves = [{"podSelector": {"matchLabels": labels(name)}}]
    spec = {
        "podSelector": {"matchLabels": labels(name)},
        "policyTypes": ["Ingress", "Egress"],
        "ingress": [everyone, {"from": themselves, "ports": among}],
        "egress": [{"to": themselves, "ports": among}],
    }
    return named("NetworkPolicy", "networking.k8s.io/v1", name, spec=spec)
