"""Makes the Kubernetes objects that all processes share: settings, jobs, network, ways in, monitoring."""

from pathlib import Path
from typing import Any, Final

import yaml

from deploy.local.processes import GATEWAY
from deploy.manifests.kubernetes import (
    KAFKA_SETTINGS,
    NAMESPACE,
    PART_OF,
    SETTINGS,
    Manifest,
    container_security,
    labels,
    named,
    pod_security,
    secret_volume,
)
from deploy.manifests.platform import (
    BACKUP,
    IMAGE,
    KAFKA_PORT,
    MONGODB_PORT,
    PORT,
    SECRETS,
    SHARED,
    TOPICS_COMMANDS,
    VERSION,
    topics_environment,
)
from services.contracts.topics import SERVICES
from services.eventing.access_tool import MONITOR, USERS

MONITORING: Final = {"kubernetes.io/metadata.name": "monitoring"}
INGRESS: Final = {"kubernetes.io/metadata.name": "ingress-nginx"}
RULES: Final = Path(__file__).parents[1] / "observability" / "prometheus" / "rules"
DNS_PORT: Final = 53
HTTPS_PORT: Final = 443
JOB_SECONDS_MAX: Final = 600


def settings() -> list[Manifest]:
    """The namespace, and what an operator decides; overlays put other values in."""
    space = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE, "labels": dict(PART_OF)}}
    decided = named("ConfigMap", "v1", SETTINGS, data=dict(SHARED))
    kafka = named("ConfigMap", "v1", KAFKA_SETTINGS, data={"KAFKA_BOOTSTRAP_SERVERS": f"kafka:{KAFKA_PORT}"})
    return [space, decided, kafka]


def jobs() -> list[Manifest]:
    """The job that makes topics, users and permissions; until it is done processes end and are started again."""
    secrets = ("authority", "kafka_admin_password", *(f"kafka_{user}_password" for user in USERS))
    told = topics_environment("")
    told.pop("KAFKA_BOOTSTRAP_SERVERS")
    containers = [
        {
            "name": command[2].rpartition(".")[2].replace("_", "-"),
            "image": f"{IMAGE}:{VERSION}",
            "command": list(command),
            "env": [{"name": name, "value": value} for name, value in told.items()],
            "envFrom": [{"configMapRef": {"name": KAFKA_SETTINGS}}],
            "resources": {"requests": {"cpu": "50m", "memory": "128Mi"}, "limits": {"memory": "256Mi"}},
            "securityContext": container_security(),
            "volumeMounts": [{"name": "secrets", "mountPath": SECRETS}],
        }
        for command in TOPICS_COMMANDS
    ]
    spec = {
        **pod_security(),
        "restartPolicy": "OnFailure",
        "initContainers": containers[:-1],
        "containers": containers[-1:],
        "volumes": secret_volume("topics", secrets),
    }
    job = {
        "backoffLimit": 10,
        "activeDeadlineSeconds": JOB_SECONDS_MAX,
        "template": {"metadata": {"labels": labels("topics")}, "spec": spec},
    }
    return [named("Job", "batch/v1", "topics", spec=job)]


def scaling() -> list[Manifest]:
    """How KEDA comes in to see the lag: as the monitor, who reads no record."""
    targets = [
        {"parameter": "password", "name": f"kafka-{MONITOR}-password", "key": "value"},
        {"parameter": "ca", "name": "authority", "key": "value"},
        *(
            {"parameter": parameter, "name": "kafka-monitor-access", "key": parameter}
            for parameter in ("sasl", "tls", "username")
        ),
    ]
    access = named(
        "Secret",
        "v1",
        "kafka-monitor-access",
        stringData={"sasl": "scram_sha512", "tls": "enable", "username": MONITOR},
    )
    authentication = named(
        "TriggerAuthentication", "keda.sh/v1alpha1", "kafka-monitor", spec={"secretTargetRef": targets}
    )
    return [access, authentication]


def monitoring() -> list[Manifest]:
    """Prometheus reads every process, names each as Compose's configuration does, and judges by the same rules."""
    relabelled = [
        {"sourceLabels": ["__meta_kubernetes_service_label_app_kubernetes_io_name"], "targetLabel": "workload"},
        {
            "sourceLabels": ["workload"],
            "regex": f"({'|'.join(SERVICES)})-(api|processor|relay|parity)",
            "targetLabel": "service",
            "replacement": "$1",
        },
        {
            "sourceLabels": ["workload"],
            "regex": f"({'|'.join(SERVICES)})-(api|processor|relay|parity)",
            "targetLabel": "process",
            "replacement": "$2",
        },
        *(
            {"sourceLabels": ["workload"], "regex": f"({GATEWAY}|{BACKUP})", "targetLabel": label, "replacement": "$1"}
            for label in ("service", "process")
        ),
    ]
    endpoint = {
        "port": "http",
        "path": "/metrics",
        "interval": "15s",
        "honorLabels": True,
        "relabelings": relabelled,
    }
    spec = {"selector": {"matchLabels": dict(PART_OF)}, "endpoints": [endpoint]}
    groups = [group for path in sorted(RULES.glob("*.yml")) for group in yaml.safe_load(path.read_text())["groups"]]
    return [
        named("ServiceMonitor", "monitoring.coreos.com/v1", "silver-service", spec=spec),
        named("PrometheusRule", "monitoring.coreos.com/v1", "silver-service", spec={"groups": groups}),
    ]


def ingress() -> list[Manifest]:
    """The one way in from outside."""
    backend = {"service": {"name": GATEWAY, "port": {"name": "http"}}}
    host = "silver-service.example"
    spec = {
        "ingressClassName": "nginx",
        "tls": [{"hosts": [host], "secretName": "gateway-tls"}],
        "rules": [{"host": host, "http": {"paths": [{"path": "/", "pathType": "Prefix", "backend": backend}]}}],
    }
    return [named("Ingress", "networking.k8s.io/v1", GATEWAY, spec=spec)]


def network() -> list[Manifest]:
    """Nothing goes in or out but what the platform is made of."""
    everything = {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    ours = {"podSelector": {"matchLabels": dict(PART_OF)}}
    return [
        _policy("nothing-else", everything),
        _policy("metrics", {**ours, "policyTypes": ["Ingress"], "ingress": [_from_namespace(MONITORING)]}),
        _policy("way-in", _into(GATEWAY, [{"namespaceSelector": {"matchLabels": INGRESS}}])),
        *(_policy(f"{each}-api", _into(f"{each}-api", [_pods(GATEWAY)])) for each in SERVICES),
        _policy("gateway-to-services", _out_of(GATEWAY, _to_services())),
        _policy("names", {**ours, "policyTypes": ["Egress"], "egress": [_ports(DNS_PORT, "UDP", "TCP")]}),
        _policy("brokers-and-databases", {**_not_gateway(), "egress": [_ports(KAFKA_PORT), _ports(MONGODB_PORT)]}),
        *(_policy(f"{each}-issuer", _out_of(f"{each}-api", _ports(HTTPS_PORT))) for each in SERVICES),
    ]


def _policy(name: str, spec: dict[str, Any]) -> Manifest:
    return named("NetworkPolicy", "networking.k8s.io/v1", name, spec=spec)


def _pods(name: str) -> dict[str, Any]:
    return {"podSelector": {"matchLabels": labels(name)}}


def _from_namespace(selected: dict[str, str]) -> dict[str, Any]:
    return {"from": [{"namespaceSelector": {"matchLabels": selected}}], **_ports(PORT)}


def _ports(port: int, *protocols: str) -> dict[str, Any]:
    return {"ports": [{"port": port, "protocol": protocol} for protocol in protocols or ("TCP",)]}


def _into(name: str, sources: list[dict[str, Any]]) -> dict[str, Any]:
    return {**_pods(name), "policyTypes": ["Ingress"], "ingress": [{"from": sources, **_ports(PORT)}]}


def _out_of(name: str, rule: dict[str, Any]) -> dict[str, Any]:
    return {**_pods(name), "policyTypes": ["Egress"], "egress": [rule]}


def _to_services() -> dict[str, Any]:
    return {"to": [_pods(f"{each}-api") for each in SERVICES], **_ports(PORT)}


def _not_gateway() -> dict[str, Any]:
    """Who reaches brokers and databases: all of ours but the one that strangers talk to."""
    other = {"key": "app.kubernetes.io/name", "operator": "NotIn", "values": [GATEWAY]}
    return {"podSelector": {"matchLabels": dict(PART_OF), "matchExpressions": [other]}, "policyTypes": ["Egress"]}
