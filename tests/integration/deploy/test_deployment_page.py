"""Every command on the deployment page runs, or, where it needs an engine or a cluster, names what is there."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from deploy.trial_secrets import secret_names
from tests.support.manifests import ROOT, compose

PAGE = (ROOT / "docs/deployment.md").read_text()
COMMANDS = [line for block in re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL) for line in block.splitlines()]
PYTHON = [each for each in COMMANDS if each.startswith("python ")]
COMPOSE = [each for each in COMMANDS if each.startswith("docker compose ")]
KUBECTL = [each for each in COMMANDS if each.startswith("kubectl ")]


def test_every_command_is_of_a_kind_that_is_tried() -> None:
    assert sorted(COMMANDS) == sorted([*PYTHON, *COMPOSE, *KUBECTL])
    assert min(map(len, (PYTHON, COMPOSE, KUBECTL))) > 0


@pytest.mark.parametrize("command", PYTHON)
def test_a_command_of_ours_runs(command: str, tmp_path: Path) -> None:
    words = shlex.split(command)
    done = subprocess.run(
        [sys.executable, *words[1:]],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    if "trial_secrets" in command:
        folder = tmp_path / (words[words.index("--into") + 1] if "--into" in words else "deploy/secrets")
        assert {path.name for path in folder.iterdir()} == set(secret_names())


@pytest.mark.parametrize("command", COMPOSE)
def test_a_command_of_compose_names_what_is_there(command: str) -> None:
    words = shlex.split(command)
    assert (ROOT / words[words.index("--file") + 1]).exists()
    known = {"build", "up", "ps", "down", "--detach", "--profile", "--file", "docker", "compose"}
    profiles = {profile for service in compose()["services"].values() for profile in service.get("profiles", ())}
    assert set(words) - known <= {"deploy/compose.yaml", *compose()["services"], *profiles}


@pytest.mark.parametrize("command", KUBECTL)
def test_a_command_of_kubectl_names_what_is_there(command: str) -> None:
    for word in shlex.split(command):
        path = word.rpartition("value=")[2]
        if path.startswith("k8s/"):
            assert (ROOT / path).exists()
        if path.startswith("deploy/secrets/"):
            assert Path(path).name in secret_names()
    if "--kustomize" in command:
        folder = ROOT / shlex.split(command)[-1]
        assert yaml.safe_load((folder / "kustomization.yaml").read_text())["kind"] == "Kustomization"


def test_links_lead_somewhere() -> None:
    for target in re.findall(r"\]\(([^)#:]+)\)", PAGE):
        assert (ROOT / "docs" / target).exists(), target


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not installed; the tests' own loader is")
@pytest.mark.parametrize("name", ["production", "self-contained"])
def test_kustomize_builds_what_the_tests_loader_builds(name: str) -> None:
    from tests.support.manifests import overlay  # noqa: PLC0415

    command = ["kubectl", "kustomize", str(ROOT / "k8s/overlays" / name)]
    built = list(yaml.safe_load_all(subprocess.run(command, capture_output=True, text=True, check=True).stdout))
    for each in built:
        each["metadata"].pop("namespace", None)
    ours = overlay(name)

    def key(manifest: dict[str, object]) -> str:
        return f"{manifest['kind']} {manifest['metadata']['name']}"  # type: ignore[index]

    assert {key(each): each for each in built} == {key(each): each for each in ours}
