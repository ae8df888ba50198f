"""Makes the Kubernetes objects of the platform's processes: workloads, scaling, and what guards them."""

from collections.abc import Iterator
from typing import Any, Final

from deploy.local.processes import GATEWAY
from deploy.manifests.platform import BACKUPS, IMAGE, PLATFORM, PORT, SECRETS, USER, VERSION, Process, parity_checks
from services.contracts.topics import PARTITIONS, SERVICES

Manifest = dict[str, Any]

NAMESPACE: Final = "silver-service"
PART_OF: Final = {"app.kubernetes.io/part-of": "silver-service"}
SETTINGS: Final = "platform-settings"
KAFKA_SETTINGS: Final = "kafka-address"
LAG_PER_REPLICA: Final = "500"
"""Records; a replica applies that many in about a second."""
COOLDOWN_S: Final = 300
REPLICAS: Final = {"api": 2, "gateway": 2, "relay": 2, "parity": 1}
"""Of a relay one leads and one stands by; of processors KEDA decides."""
STOP_WITHIN_S: Final = 10
"""Processes promise to end within five seconds."""
STARTED_WITHIN_S: Final = 90


def labels(name: str) -> dict[str, str]:
    """What finds the pods of one workload."""
    return {"app.kubernetes.io/name": name, **PART_OF}


def named(kind: str, version: str, name: str, **rest: object) -> Manifest:
    """An object of the platform."""
    return {"apiVersion": version, "kind": kind, "metadata": {"name": name, "labels": labels(name)}, **rest}


def processes_of(service: str) -> list[Manifest]:
    """All objects of one service's processes."""
    return [manifest for process in PLATFORM if process.service == service for manifest in process_objects(process)]


def process_objects(process: Process) -> Iterator[Manifest]:
    """A process's Deployment, Service and disruption budget; a processor's scaling too."""
    yield deployment(process)
    yield service(process.name)
    yield disruption_budget(process.name)
    if process.role == "processor":
        yield scaled_object(process)


def deployment(process: Process) -> Manifest:
    """The pods of one process. A processor's number is left to KEDA, so that applying again does not undo it."""
    strategy = {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}}
    replicas = {} if process.role == "processor" else {"replicas": REPLICAS[process.role]}
    template = {"metadata": {"labels": labels(process.name)}, "spec": pod(process)}
    selector = {"matchLabels": labels(process.name)}
    spec = {**replicas, "strategy": strategy, "selector": selector, "template": template}
    return named("Deployment", "apps/v1", process.name, spec=spec)


def pod(process: Process) -> Manifest:
    """One pod: locked down, spread over nodes, with its secrets as files."""
    spread = {
        "maxSkew": 1,
        "topologyKey": "kubernetes.io/hostname",
        "whenUnsatisfiable": "ScheduleAnyway",
        "labelSelector": {"matchLabels": labels(process.name)},
    }
    return {
        **pod_security(),
        "terminationGracePeriodSeconds": STOP_WITHIN_S,
        "topologySpreadConstraints": [spread],
        "containers": [container(process)],
        "volumes": [{"name": "tmp", "emptyDir": {}}, *secret_volume(process.name, process.secrets)],
    }


def pod_security() -> Manifest:
    """What no pod of ours needs."""
    return {
        "automountServiceAccountToken": False,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": USER,
            "runAsGroup": USER,
            "fsGroup": USER,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
    }


def container_security() -> Manifest:
    """What no container of ours may do."""
    return {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


def container(process: Process) -> Manifest:
    """The process itself."""
    told = process.environment("", proxies="1")  # the ingress controller
    told.pop("KAFKA_BOOTSTRAP_SERVERS", None)
    mounts = [{"name": "tmp", "mountPath": "/tmp"}]  # noqa: S108 - the only place that it may write to
    if process.secrets:
        mounts.append({"name": "secrets", "mountPath": SECRETS})
    settings = [SETTINGS] if process.role == "gateway" else [SETTINGS, KAFKA_SETTINGS]
    return {
        "name": process.role,
        "image": f"{IMAGE}:{VERSION}",
        "command": list(process.command),
        "env": [{"name": name, "value": value} for name, value in told.items()],
        "envFrom": [{"configMapRef": {"name": name}} for name in settings],
        "ports": [{"name": "http", "containerPort": PORT}],
        "startupProbe": probe("/healthz", period_s=2, failures=STARTED_WITHIN_S // 2),
        "livenessProbe": probe("/healthz", period_s=10, failures=3),
        "readinessProbe": probe("/readyz", period_s=5, failures=2),
        "resources": {"requests": {"cpu": "100m", "memory": "192Mi"}, "limits": {"memory": "320Mi"}},
        "securityContext": container_security(),
        "volumeMounts": mounts,
    }


def probe(path: str, *, period_s: int, failures: int) -> Manifest:
    """A question over HTTP."""
    asked = {"path": path, "port": "http"}
    return {"httpGet": asked, "periodSeconds": period_s, "timeoutSeconds": 3, "failureThreshold": failures}


def secret_volume(name: str, secrets: tuple[str, ...]) -> list[Manifest]:
    """A volume with one file a secret. Every secret is a Secret of its own, so that each pod is given only its own.

    The Secret's name has dashes where the file's has underscores, and its one key is ``value``.
    """
    del name
    if not secrets:
        return []
    sources = [
        {"secret": {"name": secret.replace("_", "-"), "items": [{"key": "value", "path": secret}]}}
        for secret in secrets
    ]
    return [{"name": "secrets", "projected": {"defaultMode": 0o440, "sources": sources}}]


def service(name: str) -> Manifest:
    """The address of one workload."""
    port = {"name": "http", "port": PORT, "targetPort": "http"}
    return named("Service", "v1", name, spec={"selector": labels(name), "ports": [port]})


def disruption_budget(name: str) -> Manifest:
    """Lets a node be emptied one pod at a time."""
    spec = {"maxUnavailable": 1, "selector": {"matchLabels": labels(name)}}
    return named("PodDisruptionBudget", "policy/v1", name, spec=spec)


def scaled_object(process: Process) -> Manifest:
    """Replicas by lag, at most one a partition: more would have nothing to do; never none, for lag needs a reader."""
    calm = {"scaleDown": {"stabilizationWindowSeconds": COOLDOWN_S}}
    spec = {
        "scaleTargetRef": {"name": process.name},
        "minReplicaCount": 1,
        "maxReplicaCount": PARTITIONS,
        "cooldownPeriod": COOLDOWN_S,
        "advanced": {"horizontalPodAutoscalerConfig": {"behavior": calm}},
        "triggers": [_lag_of(process.service, topic) for topic in topics_of(process.service)],
    }
    return named("ScaledObject", "keda.sh/v1alpha1", process.name, spec=spec)


def topics_of(service: str) -> tuple[str, ...]:
    """What a service's processor reads, as its own wiring says."""
    import importlib  # noqa: PLC0415 - the services are imported only when manifests are made

    wiring = importlib.import_module(f"services.{service}.wiring")
    topics: tuple[str, ...] = wiring.SERVICE.build_handler().topics
    return topics


def _lag_of(service: str, topic: str) -> Manifest:
    metadata = {
        "bootstrapServersFromEnv": "KAFKA_BOOTSTRAP_SERVERS",
        "consumerGroup": service,
        "topic": topic,
        "lagThreshold": LAG_PER_REPLICA,
        "offsetResetPolicy": "earliest",
        "allowIdleConsumers": "false",
    }
    return {"type": "kafka", "metadata": metadata, "authenticationRef": {"name": "kafka-monitor"}}


def backups() -> list[Manifest]:
    """The process that backs up, and its two volumes: data and keys, on purpose apart."""
    claims = [
        named(
            "PersistentVolumeClaim",
            "v1",
            f"backup-{part}",
            spec={"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": size}}},
        )
        for part, size in (("data", "100Gi"), ("keys", "1Gi"))
    ]
    template = pod(BACKUPS)
    inner = template["containers"][0]
    inner["envFrom"] = []
    for part in ("data", "keys"):
        inner["volumeMounts"].append({"name": part, "mountPath": f"/backup/{part}"})
        template["volumes"].append({"name": part, "persistentVolumeClaim": {"claimName": f"backup-{part}"}})
    spec = {
        "replicas": 1,
        "strategy": {"type": "Recreate"},
        "selector": {"matchLabels": labels(BACKUPS.name)},
        "template": {"metadata": {"labels": labels(BACKUPS.name)}, "spec": template},
    }
    return [named("Deployment", "apps/v1", BACKUPS.name, spec=spec), service(BACKUPS.name), *claims]


def parity() -> list[Manifest]:
    """The processes that check projections all the time, for whoever adds the component."""
    return [each for process in parity_checks() for each in (deployment(process), service(process.name))]


def bases() -> dict[str, list[Manifest]]:
    """The files of the base that hold workloads, by name."""
    files: dict[str, list[Manifest]] = {service: processes_of(service) for service in SERVICES}
    return {**files, GATEWAY: processes_of(GATEWAY), BACKUPS.name: backups()}
