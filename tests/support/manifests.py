"""Reads the committed manifests as a deployment would: Compose with its variables, Kustomize with its patches."""

import copy
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
COMPOSE = ROOT / "deploy/compose.yaml"
OVERLAYS = ROOT / "k8s/overlays"
_VARIABLE = re.compile(r"\$\{(\w+)(?::([-?])([^}]*))?\}")

Manifest = dict[str, Any]


def compose() -> Manifest:
    (loaded,) = _documents(COMPOSE)
    return loaded


def _documents(path: Path) -> list[Manifest]:
    """Read once; whoever asks may change what is returned."""
    return copy.deepcopy(_read(path))


@cache
def _read(path: Path) -> list[Manifest]:
    return list(yaml.load_all(path.read_text(), Loader=yaml.CSafeLoader))


def with_variables(value: Any, environment: Mapping[str, str]) -> Any:
    """Puts variables in as Compose does: ``${X:-default}``, ``${X:?message}``. Raises ``KeyError`` for the latter."""
    if isinstance(value, dict):
        return {key: with_variables(each, environment) for key, each in value.items()}
    if isinstance(value, list):
        return [with_variables(each, environment) for each in value]
    return _VARIABLE.sub(lambda found: _value(found, environment), value) if isinstance(value, str) else value


def _value(found: re.Match[str], environment: Mapping[str, str]) -> str:
    name, kind, rest = found.groups()
    if value := environment.get(name):
        return value
    if kind == "-":
        return str(rest)
    raise KeyError(rest or name)


def overlay(name: str) -> list[Manifest]:
    """All objects of an overlay: resources followed, patches merged, as ``kubectl kustomize`` gives them."""
    return list(_built(OVERLAYS / name))


def _built(folder: Path) -> Iterator[Manifest]:
    (kustomization,) = _documents(folder / "kustomization.yaml")
    known = {"apiVersion", "kind", "namespace", "resources", "images", "patches"}
    assert set(kustomization) <= known, "this loader does not know what else Kustomize does"
    patches = [yaml.safe_load(each["patch"]) for each in kustomization.get("patches", ())]
    for resource in kustomization["resources"]:
        path = folder / resource
        objects = _built(path) if path.is_dir() else _documents(path)
        for each in objects:
            for patch in patches:
                if (patch["kind"], patch["metadata"]["name"]) == (each["kind"], each["metadata"]["name"]):
                    merge(each, patch)
            yield each


def merge(into: Manifest, patch: Mapping[str, Any]) -> None:
    """A strategic merge of maps, which is all that our patches do."""
    for key, value in patch.items():
        if isinstance(value, dict):
            merge(into.setdefault(key, {}), value)
        else:
            assert not isinstance(value, list), "a list would be merged by rules that this loader does not know"
            into[key] = value


@dataclass(frozen=True)
class Told:
    """What one process is told, wherever that stands."""

    command: tuple[str, ...]
    environment: dict[str, str]
    secrets: frozenset[str]


def told_by_compose(environment: Mapping[str, str]) -> dict[str, Told]:
    """By process: all services that run our image."""
    services = with_variables(compose()["services"], environment)
    return {
        name: Told(tuple(each["command"]), each["environment"], frozenset(each.get("secrets", ())))
        for name, each in services.items()
        if each["image"].startswith("silver-service:")
    }


def told_by_kubernetes(name: str) -> dict[str, Told]:
    """By process: all Deployments of an overlay."""
    objects = overlay(name)
    maps = {each["metadata"]["name"]: each["data"] for each in objects if each["kind"] == "ConfigMap"}
    return {each["metadata"]["name"]: _told(each, maps) for each in objects if each["kind"] == "Deployment"}


def _told(deployment: Manifest, maps: Mapping[str, Mapping[str, str]]) -> Told:
    pod = deployment["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    shared = {k: v for source in container["envFrom"] for k, v in maps[source["configMapRef"]["name"]].items()}
    own = {each["name"]: each["value"] for each in container["env"]}
    files = {
        item["path"]
        for volume in pod["volumes"]
        for source in volume.get("projected", {}).get("sources", ())
        for item in source["secret"]["items"]
    }
    return Told(tuple(container["command"]), {**shared, **own}, frozenset(files))
