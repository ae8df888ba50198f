"""Reads the alert rules, dashboards and scrape targets that are deployed, and what their queries ask for."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
OBSERVABILITY = ROOT / "deploy" / "observability"
PROMETHEUS = OBSERVABILITY / "prometheus"
CONFIG = PROMETHEUS / "prometheus.yml"

TARGET_LABELS = frozenset({"job", "instance", "service", "process"})
"""What the scrape configuration adds to every sample."""
MADE_BY_PROMETHEUS: Mapping[str, frozenset[str]] = {"up": frozenset(), "ALERTS": frozenset({"alertname", "alertstate"})}

_WORDS = frozenset({"by", "without", "on", "ignoring", "group_left", "group_right", "unless", "and", "or", "bool"})
_STRING = re.compile(r'"[^"]*"')
_GROUPING = re.compile(r"\b(?:by|without|on|ignoring|group_left|group_right)\s*\(([^)]*)\)")
_SELECTOR = re.compile(r"([a-zA-Z_:][\w:]*)\s*\{([^}]*)\}")
_MATCHER = re.compile(r"(\w+)\s*(?:=~|!~|!=|=)")
_RANGE = re.compile(r"\[[^\]]*\]")
_NAME = re.compile(r"(?<![\w.])([a-zA-Z_:][\w:]*)(?!\w|\s*\()")


@dataclass(frozen=True)
class Query:
    """One PromQL expression and where it stands."""

    where: str
    expr: str

    def asks(self) -> dict[str, set[str]]:
        """The metrics it names, each with the labels that are matched on it or grouped by."""
        text = _RANGE.sub("", _STRING.sub("0", self.expr))
        grouped = {label.strip() for group in _GROUPING.findall(text) for label in group.split(",") if label.strip()}
        selected = {name: set(_MATCHER.findall(matchers)) for name, matchers in _SELECTOR.findall(text)}
        plain = _GROUPING.sub("", re.sub(r"\{[^}]*\}", "", text))
        names = {name for name in _NAME.findall(plain) if name not in _WORDS}
        return {name: selected.get(name, set()) | grouped for name in names}


def alerts() -> list[tuple[str, dict[str, Any]]]:
    """Every alert rule, with the name of its file."""
    return [
        (path.name, rule)
        for path in sorted((PROMETHEUS / "rules").glob("*.yml"))
        for group in yaml.safe_load(path.read_text())["groups"]
        for rule in group["rules"]
    ]


def dashboards() -> dict[str, dict[str, Any]]:
    """Every dashboard by its file's name."""
    folder = OBSERVABILITY / "grafana" / "dashboards"
    return {path.name: json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))}


def queries() -> list[Query]:
    """Every query of a rule, of a rule's words, and of a panel."""
    return [*_of_rules(), *_of_panels()]


def _of_rules() -> Iterator[Query]:
    for file, rule in alerts():
        yield Query(f"{file}: {rule['alert']}", rule["expr"])
        for words in rule["annotations"].values():
            for asked in re.findall(r'printf "(.*?)" \$labels', words):
                yield Query(f"{file}: {rule['alert']}, its words", asked.replace("%q", '"hours"'))


def _of_panels() -> Iterator[Query]:
    for file, dashboard in dashboards().items():
        for panel in dashboard["panels"]:
            for target in panel["targets"]:
                yield Query(f"{file}: {panel['title']}", target["expr"])


def platform_targets() -> dict[tuple[str, str], str]:
    """The address that is scraped for each service and process."""
    jobs = {job["job_name"]: job for job in yaml.safe_load(CONFIG.read_text())["scrape_configs"]}
    return {
        (entry["labels"]["service"], entry["labels"]["process"]): target
        for entry in jobs["platform"]["static_configs"]
        for target in entry["targets"]
    }
