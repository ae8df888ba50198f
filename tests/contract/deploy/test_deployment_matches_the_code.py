"""What deployments run, tell and scale is what the code declares: processes, variables, secrets, topics, ports."""

import importlib
import re
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError
from pydantic_settings import BaseSettings

from deploy.local.broker_jars import HASHES, kafka_version, read_hashes
from deploy.local.processes import GATEWAY, KINDS, PROCESSES
from deploy.trial_secrets import secret_names, write_secrets
from services.contracts.topics import BY_NAME, PARTITIONS, SERVICES, TOPICS
from services.eventing.access_tool import MONITOR, grants
from services.recovery.settings import BackupSettings, database_of
from services.runtime.gateway import GatewaySettings
from services.runtime.secret_files import SecretFileError, secret_settings
from tests.support.manifests import ROOT, Told, compose, overlay, told_by_compose, told_by_kubernetes

DECIDED = {"JWT_ISSUER": "https://id.example", "JWT_JWKS_URL": "https://id.example/jwks.json"}
OVERLAYS = ("production", "self-contained")
PARITY = {f"{service}-parity" for service in SERVICES}
JOBS = {"topics", "backup"} | PARITY
SECRETS = "/run/secrets/"
PORT = 8000

Deployment = Callable[[], dict[str, Told]]
DEPLOYMENTS: list[Any] = [
    pytest.param(lambda: told_by_compose(DECIDED), id="compose"),
    *(pytest.param(lambda name=name: told_by_kubernetes(name), id=name) for name in OVERLAYS),
]


def wiring(service: str) -> Any:
    return importlib.import_module(f"services.{service}.wiring").SERVICE


def settings_of(process: str) -> type[BaseSettings]:
    if process == GATEWAY:
        return GatewaySettings
    return BackupSettings if process == "backup" else wiring(process.partition("-")[0]).settings


def variables_of(settings: type[BaseSettings]) -> set[str]:
    """Every variable that a settings class reads."""
    names = {name.upper() for name in settings.model_fields}
    names |= {f"{name.upper()}_FILE" for name in secret_settings(settings)}
    prefix = getattr(settings, "SERVICE", "")
    if settings is BackupSettings:
        names |= {f"{service.upper()}_MONGODB_URI{suffix}" for service in SERVICES for suffix in ("", "_FILE")}
    return names | {f"{prefix}_{name}" for name in names if prefix}


@pytest.fixture(scope="module")
def secrets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("secrets")
    write_secrets(folder, "mongodb-1:27017")
    return folder


def environment_of(told: Told, secrets: Path) -> dict[str, str]:
    """What the process would find, with the secrets it is given and no others."""
    given = {name: value.replace(SECRETS, f"{secrets}/") for name, value in told.environment.items()}
    for name, value in told.environment.items():
        if value.startswith(SECRETS) and value.removeprefix(SECRETS) not in told.secrets:
            given[name] = f"{secrets}/not-given-to-this-process"
    return given


def loads(
    monkeypatch: pytest.MonkeyPatch, settings: type[BaseSettings], environment: Mapping[str, str]
) -> BaseSettings:
    for name in variables_of(settings):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    return settings()


@pytest.mark.parametrize("deployment", DEPLOYMENTS)
def test_the_twelve_processes_and_the_gateway_run_as_the_code_starts_them(deployment: Deployment) -> None:
    told = deployment()
    assert set(told) - JOBS == set(PROCESSES)
    for name in PROCESSES:
        service, _, kind = name.partition("-")
        module = ["services.runtime.gateway"] if name == GATEWAY else [f"services.{service}", kind]
        assert told[name].command == ("python", "-m", *module)
        assert kind in {*KINDS, ""}
        importlib.import_module(module[0])


@pytest.mark.parametrize("deployment", DEPLOYMENTS)
@pytest.mark.parametrize("process", [*PROCESSES, "backup"])
def test_what_a_process_is_told_is_what_its_settings_take(
    deployment: Deployment, process: str, secrets: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told, settings = deployment()[process], settings_of(process)
    shared = {
        "ENVIRONMENT",
        "LOG_LEVEL",
        "DEPLOYMENT_AREA",
        "CORS_ORIGINS",
        "JWT_ISSUER",
        "JWT_AUDIENCE",
        "JWT_JWKS_URL",
    }
    unknown = set(told.environment) - variables_of(settings)
    assert unknown <= (shared if process == GATEWAY else set()), "nothing reads these"
    assert told.secrets <= set(secret_names())
    loaded = loads(monkeypatch, settings, environment_of(told, secrets))
    if process == "backup":
        assert {database_of(service)[0].partition(":")[0] for service in SERVICES} == {"mongodb"}
    if process in PROCESSES and process != GATEWAY:
        assert loaded.environment == "production"  # type: ignore[attr-defined]
        assert loaded.kafka_username == process.partition("-")[0]  # type: ignore[attr-defined]
        assert loaded.kafka_security.protocol == "SASL_SSL"  # type: ignore[attr-defined]
        assert "tls=true" in loaded.mongodb_uri.get_secret_value()  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "missing",
    ["KAFKA_BOOTSTRAP_SERVERS", "MONGODB_URI_FILE", "KAFKA_PASSWORD_FILE", "VAULT_MASTER_KEY_FILE", "JWT_ISSUER"],
)
def test_a_variable_left_out_is_found(missing: str, secrets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    environment = environment_of(told_by_compose(DECIDED)["registry-api"], secrets)
    del environment[missing]
    with pytest.raises(ValidationError):
        loads(monkeypatch, settings_of("registry-api"), environment)


def test_a_secret_that_is_not_mounted_is_found(secrets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = told_by_compose(DECIDED)["registry-api"]
    environment = environment_of(Told(told.command, told.environment, frozenset({"authority"})), secrets)
    with pytest.raises(SecretFileError, match="cannot be read"):
        loads(monkeypatch, settings_of("registry-api"), environment)


def test_compose_does_not_start_without_what_an_operator_decides() -> None:
    with pytest.raises(KeyError, match=r"set JWT_ISSUER in deploy/\.env"):
        told_by_compose({})


def test_prometheus_reads_every_process_where_it_listens() -> None:
    read = yaml.safe_load((ROOT / "deploy/observability/prometheus/prometheus.yml").read_text())
    targets = {
        target
        for job in read["scrape_configs"]
        for group in job.get("static_configs", ())
        for target in group["targets"]
    }
    assert targets >= {f"{name}:{PORT}" for name in PROCESSES}
    named = {
        name for job in read["scrape_configs"] for group in job.get("dns_sd_configs", ()) for name in group["names"]
    }
    assert {target.partition(":")[0] for target in targets} | (named - PARITY) <= set(compose()["services"])


def test_kubernetes_names_what_prometheus_reads_as_compose_does() -> None:
    """By service and process, which alerts and dashboards ask for."""
    (monitor,) = [each for each in overlay("production") if each["kind"] == "ServiceMonitor"]
    relabelings = monitor["spec"]["endpoints"][0]["relabelings"]

    def labels(name: str) -> dict[str, str]:
        made: dict[str, str] = {}
        for each in relabelings:
            (source,) = each["sourceLabels"]
            if found := re.fullmatch(each.get("regex", "(.*)"), made.get(source, name)):
                made[each["targetLabel"]] = found.expand(each.get("replacement", "$1").replace("$", "\\"))
        return {label: value for label, value in made.items() if label in {"service", "process"}}

    read = yaml.safe_load((ROOT / "deploy/observability/prometheus/prometheus.yml").read_text())
    groups = [group for job in read["scrape_configs"] for group in job.get("static_configs", ())]
    wanted = {target.partition(":")[0]: group["labels"] for group in groups for target in group["targets"]}
    assert {name: labels(name) for name in PROCESSES} == {name: wanted[name] for name in PROCESSES}
    assert labels("hours-parity") == {"service": "hours", "process": "parity"}
    assert labels("backup") == {"service": "backup", "process": "backup"}


def test_every_projection_has_a_check_that_can_be_switched_on() -> None:
    services, told = compose()["services"], told_by_compose(DECIDED)
    component = yaml.safe_load_all((ROOT / "k8s/components/parity/parity.yaml").read_text())
    deployments = {each["metadata"]["name"] for each in component if each["kind"] == "Deployment"}
    wanted = {
        f"{each}-parity"
        for each in SERVICES
        if importlib.import_module(f"services.{each}.recovery").RECOVERY.projection is not None
    }
    assert wanted
    assert deployments == {name for name, each in services.items() if each.get("profiles") == ["parity"]} == wanted
    for name in wanted:
        assert told[name].command == ("python", "-m", f"services.{name.removesuffix('-parity')}", "parity")


def test_only_the_gateway_and_grafana_are_reached_from_outside() -> None:
    services = compose()["services"]
    assert {name for name, each in services.items() if "ports" in each} == {GATEWAY, "grafana"}
    reachable = {name for name, each in services.items() if "outside" in each["networks"]}
    assert reachable == {GATEWAY, "grafana"}
    assert compose()["networks"]["inside"] == {"internal": True}


def test_brokers_are_the_version_that_is_tried_here_and_databases_are_three() -> None:
    services = compose()["services"]
    version = kafka_version(read_hashes(HASHES.read_text()))
    assert {services[f"kafka-{node}"]["image"] for node in (1, 2, 3)} == {f"apache/kafka:{version}"}
    assert sum(name.startswith("mongodb-") and name[-1].isdigit() for name in services) == 3


def test_what_is_mounted_is_there() -> None:
    for service in compose()["services"].values():
        for volume in service.get("volumes", ()):
            source = volume.partition(":")[0]
            if source.startswith("./"):
                assert (ROOT / "deploy" / source).exists(), source
            else:
                assert source in compose()["volumes"]


@pytest.mark.parametrize("name", OVERLAYS)
def test_a_processor_is_scaled_by_the_lag_of_the_topics_it_reads_up_to_their_partitions(name: str) -> None:
    scaled = {each["metadata"]["name"]: each["spec"] for each in overlay(name) if each["kind"] == "ScaledObject"}
    assert set(scaled) == {f"{service}-processor" for service in SERVICES}
    for service in SERVICES:
        spec, handler = scaled[f"{service}-processor"], wiring(service).build_handler()
        asked = [trigger["metadata"] for trigger in spec["triggers"]]
        assert {each["topic"] for each in asked} == set(handler.topics)
        assert {each["consumerGroup"] for each in asked} == {handler.processor}
        assert spec["scaleTargetRef"]["name"] == f"{service}-processor"
        assert (spec["minReplicaCount"], spec["maxReplicaCount"], spec["cooldownPeriod"]) == (1, PARTITIONS, 300)
        assert {BY_NAME[topic].partitions for topic in handler.topics} == {PARTITIONS}


def test_every_processor_may_read_what_it_reads_and_every_owner_write() -> None:
    allowed = {(each.user, each.kind, each.name, each.operation) for each in grants()}
    for service in SERVICES:
        handler = wiring(service).build_handler()
        assert all((service, "TOPIC", topic, "READ") in allowed for topic in handler.topics)
        assert (service, "GROUP", handler.processor, "READ") in allowed
    for topic in TOPICS:
        assert {user for user, _, name, operation in allowed if (name, operation) == (topic.name, "WRITE")} == {
            topic.owner
        }
    assert {operation for user, _, _, operation in allowed if user == MONITOR} == {"DESCRIBE"}


@pytest.mark.parametrize("name", OVERLAYS)
def test_every_workload_has_an_address_a_budget_probes_and_limits_and_is_locked_down(name: str) -> None:
    objects = overlay(name)

    def named(kind: str) -> dict[str, Any]:
        return {each["metadata"]["name"]: each for each in objects if each["kind"] == kind}

    deployments = named("Deployment")
    assert set(deployments) == {*PROCESSES, "backup"}
    for process in PROCESSES:
        labels = deployments[process]["spec"]["template"]["metadata"]["labels"]
        assert named("Service")[process]["spec"]["selector"] == labels
        assert named("PodDisruptionBudget")[process]["spec"]["selector"]["matchLabels"] == labels
    for deployment in deployments.values():
        pod = deployment["spec"]["template"]["spec"]
        (container,) = pod["containers"]
        assert container["livenessProbe"]["httpGet"] == {"path": "/healthz", "port": "http"}
        assert container["readinessProbe"]["httpGet"] == {"path": "/readyz", "port": "http"}
        assert {"requests", "limits"} <= set(container["resources"])
        assert container["securityContext"]["readOnlyRootFilesystem"] is True
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert container["ports"] == [{"name": "http", "containerPort": PORT}]


def test_no_manifest_holds_a_secret() -> None:
    texts = [path.read_text() for path in (*(ROOT / "k8s").rglob("*.yaml"), ROOT / "deploy/compose.yaml")]
    told = [told_by_compose(DECIDED), *(told_by_kubernetes(name) for name in OVERLAYS)]
    for process in (each for deployment in told for each in deployment.values()):
        for name, value in process.environment.items():
            if re.search("PASSWORD|SECRET|KEY_FILE|MONGODB_URI", name) and name != "KAFKA_PASSWORDS_DIR":
                assert value.startswith(SECRETS), name
    assert not any(re.search(r"mongodb://\w+:[^$\"]", text) for text in texts if "initiate.js" not in text)


def pins(path: Path) -> dict[str, str]:
    return dict(re.findall(r"^([A-Za-z0-9_.-]+)==([^ \\]+)", path.read_text(), re.MULTILINE))


def test_the_image_holds_what_was_locked_and_nothing_of_development() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    everything, image = pins(ROOT / "requirements.lock"), pins(ROOT / "deploy/requirements.lock")
    assert image.items() <= everything.items(), "run: make lock"
    wanted = {re.split(r"[\[<>=~! ]", each)[0].lower().replace("_", "-") for each in project["project"]["dependencies"]}
    assert wanted <= {name.lower() for name in image}, "run: make lock"
    development = {re.split(r"[\[<>=~! ]", each)[0].lower() for each in project["dependency-groups"]["dev"]}
    assert not development & set(image) - wanted


def test_the_image_runs_as_nobody_in_particular_and_says_whether_it_is_well() -> None:
    text = (ROOT / "deploy/Dockerfile").read_text()
    stages = re.findall(r"^FROM (\S+)", text, re.MULTILINE)
    assert stages == ["python:3.11-slim-bookworm"] * 2
    last = text[text.rindex("FROM ") :]
    for line in ("USER 10001:10001", "HEALTHCHECK ", "STOPSIGNAL SIGTERM", "/healthz"):
        assert line in last
    assert "--require-hashes --requirement /requirements.lock" in text
    copied = re.findall(r"^COPY (?:--from=\S+ )?(\S+)", text, re.MULTILINE)
    assert copied == ["deploy/requirements.lock", "/opt/venv", "services"]
    assert set((ROOT / ".dockerignore").read_text().splitlines()) >= {"*", "!services", "!deploy/requirements.lock"}
