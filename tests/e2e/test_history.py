"""make run, on two small units: starts on a bare machine, loads their last month, agrees with the oracle, ends."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.history.loader import Loaded
from deploy.history.verify import AGREED
from deploy.local.servers import BOOTSTRAP_VARIABLE

ROOT = Path(__file__).resolve().parents[2]
RUN_TIMEOUT_S = 540


def run(data_dir: Path, *options: str) -> str:
    """What ``make run`` prints, and asserts that it ends well."""
    command = [sys.executable, "-m", "deploy.local", "run", "--scale", "sample", "--data-dir", str(data_dir)]
    done = subprocess.run(
        [*command, "--gateway-port", "0", "--exit", *options],
        cwd=ROOT,
        env={**os.environ, "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
        timeout=RUN_TIMEOUT_S,
    )
    assert done.returncode == 0, done.stdout[-4_000:] + done.stderr[-4_000:]
    return done.stdout


@pytest.mark.skipif(BOOTSTRAP_VARIABLE in os.environ, reason="needs servers of its own: others' data would be counted")
@pytest.mark.timeout(2 * RUN_TIMEOUT_S)
def test_a_sample_of_the_city_agrees_with_the_oracle_and_again_after_a_restart(tmp_path: Path) -> None:
    printed = run(tmp_path)
    assert printed.rstrip().endswith(AGREED)
    assert "岳西县" in printed
    loaded = Loaded.read(tmp_path / "loaded.json")
    counts = json.loads((tmp_path / "history" / "manifest.json").read_text(encoding="utf-8"))["counts"]
    assert loaded.accepted["volunteers"] == counts["volunteers"]
    assert loaded.parked == 0
    # The same history again, on the data of the first run: nothing is counted twice.
    assert run(tmp_path, "--keep").rstrip().endswith(AGREED)
