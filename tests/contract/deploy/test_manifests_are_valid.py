"""Every manifest is what its schema says, strictly: Kubernetes', Compose's, KEDA's, Prometheus's."""

import json
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import pytest
import yaml
from cloudcoil.models.keda.v1alpha1 import ScaledObject, TriggerAuthentication

from tests.support.manifests import ROOT, Manifest, compose, overlay

KUBERNETES_VERSION = "1.34"
LABEL = {"type": "object", "additionalProperties": {"type": "string"}}
METADATA = {
    "type": "object",
    "additionalProperties": False,
    "required": ["name"],
    "properties": {"name": {"type": "string"}, "labels": LABEL},
}
RELABELING = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "sourceLabels": {"type": "array", "items": {"type": "string"}},
        "targetLabel": {"type": "string"},
        "regex": {"type": "string"},
        "replacement": {"type": "string"},
        "action": {"enum": ["replace", "keep", "drop", "labelmap", "labeldrop", "labelkeep"]},
    },
}
SERVICE_MONITOR = {
    "type": "object",
    "additionalProperties": False,
    "required": ["apiVersion", "kind", "metadata", "spec"],
    "properties": {
        "apiVersion": {"const": "monitoring.coreos.com/v1"},
        "kind": {"const": "ServiceMonitor"},
        "metadata": METADATA,
        "spec": {
            "type": "object",
            "additionalProperties": False,
            "required": ["selector", "endpoints"],
            "properties": {
                "selector": {
                    "type": "object",
                    "additionalProperties": False,
                    "properties": {"matchLabels": LABEL},
                },
                "endpoints": {
                    "type": "array",
                    "minItems": 1,
                    "items": {
                        "type": "object",
                        "additionalProperties": False,
                        "properties": {
                            "port": {"type": "string"},
                            "path": {"type": "string", "pattern": "^/"},
                            "interval": {"type": "string", "pattern": "^[0-9]+(ms|s|m|h)$"},
                            "honorLabels": {"type": "boolean"},
                            "relabelings": {"type": "array", "items": RELABELING},
                        },
                    },
                },
            },
        },
    },
}
RULE = {
    "type": "object",
    "additionalProperties": False,
    "required": ["alert", "expr", "labels", "annotations"],
    "properties": {
        "alert": {"type": "string"},
        "expr": {"type": "string"},
        "for": {"type": "string", "pattern": "^[0-9]+(s|m|h)$"},
        "labels": LABEL,
        "annotations": LABEL,
    },
}
PROMETHEUS_RULE = {
    "type": "object",
    "additionalProperties": False,
    "required": ["apiVersion", "kind", "metadata", "spec"],
    "properties": {
        "apiVersion": {"const": "monitoring.coreos.com/v1"},
        "kind": {"const": "PrometheusRule"},
        "metadata": METADATA,
        "spec": {
            "type": "object",
            "additionalProperties": False,
            "required": ["groups"],
            "properties": {
                "groups": {
                    "type": "array",
                    "minItems": 1,
                    "items": {
                        "type": "object",
                        "additionalProperties": False,
                        "required": ["name", "rules"],
                        "properties": {"name": {"type": "string"}, "rules": {"type": "array", "items": RULE}},
                    },
                },
            },
        },
    },
}
"""Both by hand, from the Prometheus operator's API reference: no package carries its schemas."""


def strict(schema: Any) -> Any:
    """The schema of a model, in which nothing may stand that it does not name."""
    if isinstance(schema, list):
        return [strict(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    made = {key: strict(value) for key, value in schema.items()}
    if "properties" in made and schema.get("additionalProperties", True) is True:
        made["additionalProperties"] = False
    return made


OTHERS = {
    "ScaledObject": strict(ScaledObject.model_json_schema(by_alias=True)),
    "TriggerAuthentication": strict(TriggerAuthentication.model_json_schema(by_alias=True)),
    "PrometheusRule": PROMETHEUS_RULE,
    "ServiceMonitor": SERVICE_MONITOR,
}


def validate(manifest: Manifest) -> None:
    if (schema := OTHERS.get(manifest["kind"])) is not None:
        jsonschema.validate(manifest, schema)
    else:
        kubernetes_validate.validate(manifest, KUBERNETES_VERSION, strict=True)


def objects(name: str) -> Iterator[Manifest]:
    return iter(overlay(name))


@pytest.mark.parametrize("name", ["production", "self-contained"])
def test_every_object_of_an_overlay_is_valid(name: str) -> None:
    found = overlay(name)
    for each in found:
        validate(each)
    names = [(each["kind"], each["metadata"]["name"]) for each in found]
    assert len(set(names)) == len(names)


def test_the_component_that_checks_projections_is_valid() -> None:
    found = list(yaml.safe_load_all((ROOT / "k8s/components/parity/parity.yaml").read_text()))
    assert found
    for each in found:
        validate(each)


@pytest.mark.parametrize(
    ("kind", "path", "wrong"),
    [
        ("Deployment", ("spec", "template", "spec", "containers", 0, "readynessProbe"), {}),
        ("Deployment", ("spec", "replicas"), "two"),
        ("NetworkPolicy", ("spec", "ingres"), []),
        ("ScaledObject", ("spec", "maxReplicas"), 8),
        ("ScaledObject", ("spec", "cooldownPeriod"), "five minutes"),
        ("TriggerAuthentication", ("spec", "secretTargetRefs"), []),
        ("ServiceMonitor", ("spec", "endpoints", 0, "intervall"), "15s"),
        ("PrometheusRule", ("spec", "groups", 0, "rules", 0, "labels"), "critical"),
    ],
)
def test_a_planted_mistake_is_found(kind: str, path: tuple[Any, ...], wrong: Any) -> None:
    manifest = next(each for each in objects("production") if each["kind"] == kind)
    place: Any = manifest
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = wrong
    with pytest.raises((jsonschema.ValidationError, kubernetes_validate.ValidationError)):
        validate(manifest)


def compose_schema() -> Any:
    found = find_spec("check_jsonschema")  # found and not imported: only its data is wanted
    assert found is not None
    (folder,) = found.submodule_search_locations or []
    return json.loads(Path(folder, "builtin_schemas/vendor/compose-spec.json").read_text())


def test_compose_is_valid() -> None:
    jsonschema.validate(compose(), compose_schema())


@pytest.mark.parametrize(
    ("service", "key", "wrong"),
    [("hours-api", "helthcheck", {}), ("gateway", "ports", "8080:8000"), ("topics", "build", 1)],
)
def test_a_planted_mistake_in_compose_is_found(service: str, key: str, wrong: Any) -> None:
    content = compose()
    content["services"][service][key] = wrong
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(content, compose_schema())
