"""Every command in a document does what it says, on the running platform."""

import json
import os
import re
import subprocess
from pathlib import Path

import pytest

from deploy.history.gateway_client import Gateway
from deploy.local.processes import Platform

ROOT = Path(__file__).parents[2]
FIRST_STEPS = (ROOT / "docs" / "first-steps.md").read_text()
COMMAND_TIMEOUT_S = 60


def blocks(text: str) -> list[str]:
    """The shell blocks of a page."""
    return re.findall(r"```sh\n(.*?)```", text, re.DOTALL)


def execute(block: str, folder: Path, environ: dict[str, str]) -> str:
    """What a block prints; fails if a command of it does."""
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", block],
        cwd=folder,
        env=os.environ | environ,
        capture_output=True,
        text=True,
        timeout=COMMAND_TIMEOUT_S,
        check=False,
    )
    assert done.returncode == 0, (block, done.stdout, done.stderr)
    return done.stdout


@pytest.mark.usefixtures("town")
def test_first_steps(platform: Platform, gateway: Gateway, tmp_path: Path) -> None:
    setting, tried, taken, people, board, parked = blocks(FIRST_STEPS)
    assert "make -s token ROLE=clerk AREA=3408" in setting
    environ = {"GATEWAY": platform.gateway, "TOKEN": gateway.tokens.of("clerk", "3408")}
    answer = json.loads(execute(tried, tmp_path, environ))
    assert (answer["rows"], answer["errors"]) == (2, [])
    answer = json.loads(execute(taken, tmp_path, environ))
    assert answer["accepted"] + answer["unchanged"] == 2
    assert json.loads(execute(taken, tmp_path, environ)) == answer
    volunteers, accounts = execute(people, tmp_path, environ).replace("}{", "}\n{").splitlines()
    assert json.loads(volunteers)["items"]
    assert "items" in json.loads(accounts)
    assert json.loads(execute(board, tmp_path, environ))["rows"]
    assert "make -s parked SERVICE=hours" in parked
    assert execute(f"{parked.strip()} RUN={platform.data_dir}", ROOT, {})


def test_development_token_is_one_line() -> None:
    made = execute("make -s token ROLE=clerk AREA=3408", ROOT, {})
    assert len(made.split()) == 1
    assert made.count(".") == 2
