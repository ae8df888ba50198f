"""What alerts and dashboards ask for is what processes tell; every alert says what to do."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from deploy.local.processes import PROCESSES
from services.eventing.parking import PARKED_PER_MINUTE_MAX, PARKED_RECORDS_PER_KEY_MAX
from services.runtime.metrics import METRICS, Metrics
from services.runtime.settings import ServiceSettings
from tests.support.observability import (
    MADE_BY_PROMETHEUS,
    OBSERVABILITY,
    PROMETHEUS,
    ROOT,
    TARGET_LABELS,
    Query,
    alerts,
    dashboards,
    platform_targets,
    queries,
)

ALERTS = sorted({rule["alert"] for _, rule in alerts()})
ACTIONS = ("## What people notice", "## How to look", "## What to do", "## How it clears")


def told() -> dict[str, set[str]]:
    """Every sample name that a process may tell, with its labels."""
    names: dict[str, set[str]] = {name: set(labels) for name, labels in MADE_BY_PROMETHEUS.items()}
    for metric in METRICS:
        labels = set(metric.labels)
        if metric.kind == "histogram":
            names |= {f"{metric.name}_bucket": {*labels, "le"}, f"{metric.name}_sum": labels}
            names |= {f"{metric.name}_count": labels}
        else:
            names[metric.name] = labels
    for family in text_string_to_metric_families(Metrics("hours", "api").text().decode()):
        for sample in family.samples:
            names.setdefault(sample.name, set(sample.labels))
    return names


def unknown(query: Query) -> Iterator[str]:
    """What a query asks for and nobody tells: metrics, and labels that none of its metrics has."""
    known = told()
    asked = query.asks()
    for name in asked.keys() - known.keys():
        yield name
    has = set().union(*(known[name] for name in asked if name in known)) | TARGET_LABELS
    for name, labels in asked.items():
        for label in labels - has:
            yield f"{name}{{{label}}}"


def summed(query: Query) -> Iterator[str]:
    """Metrics of the whole service that a query does not read as a maximum."""
    for metric in METRICS:
        if metric.shared:
            rest = re.sub(rf"max(?: by \([\w, ]*\))? ?\({metric.name}(?:\{{[^}}]*\}})?\)", "", query.expr)
            if re.search(rf"\b{metric.name}\b", rest):
                yield metric.name


@pytest.mark.parametrize("query", queries(), ids=lambda query: query.where)
def test_every_query_asks_for_what_is_told(query: Query) -> None:
    assert query.asks(), "no metric is found in it"
    assert list(unknown(query)) == []
    assert list(summed(query)) == []


def test_a_wrong_name_a_wrong_label_and_a_sum_of_what_all_tell_are_seen() -> None:
    wrong = Query("", 'sum by (service, colour) (rate(http_request_seconds_count{kind="x"}[5m])) / lag_minutes')
    assert set(unknown(wrong)) >= {
        "lag_minutes",
        "http_request_seconds_count{colour}",
        "http_request_seconds_count{kind}",
    }
    assert list(summed(Query("", "sum by (service) (parked_people)"))) == ["parked_people"]
    assert list(summed(Query("", 'max(parked_people{service="hours"})'))) == []


def test_the_names_in_a_query_are_found() -> None:
    query = Query(
        "", 'histogram_quantile(0.9, sum by (le) (rate(a_bucket{x=~"b|c"}[5m]))) > 3 unless max by (s) (d) == 1'
    )
    assert query.asks() == {"a_bucket": {"x", "le", "s"}, "d": {"le", "s"}}


def monitoring(kind: str) -> dict[str, Any]:
    documents = yaml.safe_load_all((ROOT / "k8s" / "base" / "monitoring.yaml").read_text())
    (found,) = [each for each in documents if each["kind"] == kind]
    return dict(found["spec"])


def test_kubernetes_judges_by_the_same_rules() -> None:
    told = [rule for group in monitoring("PrometheusRule")["groups"] for rule in group["rules"]]
    assert sorted(told, key=str) == sorted((rule for _, rule in alerts()), key=str)


def test_kubernetes_names_every_process_as_compose_does() -> None:
    (endpoint,) = monitoring("ServiceMonitor")["endpoints"]
    for (service, process), target in platform_targets().items():
        workload, labels = target.partition(":")[0], {}
        for each in endpoint["relabelings"]:
            if each["sourceLabels"] == ["workload"] and (found := re.fullmatch(each["regex"], workload)):
                labels[each["targetLabel"]] = found.expand(each["replacement"].replace("$", "\\"))
        assert labels == {"service": service, "process": process}, workload


def test_every_process_is_scraped_at_its_own_name_and_port() -> None:
    ports = {kind: ServiceSettings.model_fields[f"{kind}_port"].default for kind in ("api", "processor", "relay")}
    expected = {("gateway", "gateway"): "gateway:8000"}
    for name in PROCESSES[:-1]:
        service, kind = name.split("-")
        expected[service, kind] = f"{name}:{ports[kind]}"
    assert platform_targets() == expected


@pytest.mark.parametrize(("file", "rule"), alerts(), ids=lambda each: each if isinstance(each, str) else each["alert"])
def test_every_alert_says_what_is_wrong_how_bad_it_is_and_where_to_read_on(file: str, rule: dict[str, object]) -> None:
    labels, words = rule["labels"], rule["annotations"]
    assert isinstance(labels, dict)
    assert isinstance(words, dict)
    assert labels["severity"] in {"critical", "warning"}
    assert set(words) == {"summary", "summary_zh", "description", "runbook_url"}
    assert re.search(r"[一-鿿]", words["summary_zh"])
    assert words["runbook_url"] == f"docs/runbooks/{rule['alert']}.md"
    assert (ROOT / words["runbook_url"]).exists()


@pytest.mark.parametrize("alert", ALERTS)
def test_every_runbook_says_how_to_look_what_to_do_and_how_it_clears(alert: str) -> None:
    text = (ROOT / "docs" / "runbooks" / f"{alert}.md").read_text()
    assert text.startswith(f"# {alert}\n")
    assert [line for line in text.splitlines() if line.startswith("## ")] == list(ACTIONS)


@pytest.mark.parametrize("alert", ALERTS)
def test_commands_for_compose_and_kubernetes_name_what_is_deployed(alert: str) -> None:
    text = (ROOT / "docs" / "runbooks" / f"{alert}.md").read_text()
    services = yaml.safe_load((ROOT / "deploy" / "compose.yaml").read_text())["services"]
    commands = re.findall(
        r"docker compose -f deploy/compose\.yaml (?:logs|restart|stop|exec|up -d|ps)\b([^|\n`]*)", text
    )
    named = {word for command in commands for word in re.findall(r"(?<!\S)[a-z]+-(?:\w+)(?=\s|=|$)", command)}
    assert named <= services.keys()
    workloads = set(re.findall(r"deployment/([\w-]+)", text))
    assert workloads <= set(PROCESSES)


def test_there_is_no_runbook_of_no_alert() -> None:
    assert sorted(path.stem for path in (ROOT / "docs" / "runbooks").glob("*.md") if path.stem != "README") == ALERTS


def test_the_operations_page_lists_every_alert_with_its_severity() -> None:
    page = (ROOT / "docs" / "operations.md").read_text()
    rows = re.findall(r"^\| \[(\w+)\]\(runbooks/(\w+)\.md\) \| (\w+) \|", page, re.MULTILINE)
    assert sorted(rows) == sorted({(rule["alert"],) * 2 + (rule["labels"]["severity"],) for _, rule in alerts()})


def test_every_alert_is_tested_to_fire_and_not_to_fire() -> None:
    fires: set[str] = set()
    quiet: set[str] = set()
    for path in (PROMETHEUS / "tests").glob("*.yml"):
        for test in yaml.safe_load(path.read_text())["tests"]:
            for case in test["alert_rule_test"]:
                (fires if case["exp_alerts"] else quiet).add(case["alertname"])
    assert (sorted(fires), sorted(quiet)) == (ALERTS, ALERTS)


def test_the_caps_that_alerts_speak_of_are_the_codes() -> None:
    near = {rule["labels"]["cap"]: rule for _, rule in alerts() if rule["alert"] == "ParkingNearItsCap"}
    for cap, limit in (("pace", PARKED_PER_MINUTE_MAX), ("queue", PARKED_RECORDS_PER_KEY_MAX)):
        assert near[cap]["expr"].endswith(f" > {limit * 8 // 10}")
        assert f"{limit:,}" in near[cap]["annotations"]["summary"]


def test_dashboards_have_a_title_a_unit_and_an_explanation_in_every_panel() -> None:
    found = dashboards()
    assert len({dashboard["uid"] for dashboard in found.values()}) == len(found) == 3
    for file, dashboard in found.items():
        for panel in dashboard["panels"]:
            assert panel["title"], file
            assert panel["description"], panel["title"]
            assert panel["fieldConfig"]["defaults"]["unit"], panel["title"]
            assert panel["datasource"]["uid"] == "prometheus"


def test_compose_mounts_what_is_here_where_it_is_looked_for() -> None:
    services = yaml.safe_load((ROOT / "deploy" / "compose.yaml").read_text())["services"]
    volumes = [*services["prometheus"]["volumes"], *services["grafana"]["volumes"]]
    mounted = dict(volume.split(":")[:2] for volume in volumes if volume.startswith("./observability/"))
    assert all((ROOT / "deploy" / source).exists() for source in mounted)
    provider = yaml.safe_load(
        (OBSERVABILITY / "grafana" / "provisioning" / "dashboards" / "dashboards.yml").read_text()
    )["providers"][0]
    assert mounted["./observability/grafana/dashboards"] == provider["options"]["path"]
    assert mounted["./observability/prometheus/rules"] == "/etc/prometheus/rules"


def test_dashboards_read_the_data_source_that_is_provisioned() -> None:
    (source,) = yaml.safe_load(
        (OBSERVABILITY / "grafana" / "provisioning" / "datasources" / "prometheus.yml").read_text()
    )["datasources"]
    assert source["uid"] == "prometheus"
