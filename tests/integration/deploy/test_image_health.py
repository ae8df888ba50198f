"""The image's health check asks the process that it stands for, and hears when there is none."""

import ast
import os
import re
import subprocess
import sys
from contextlib import closing

import httpx
import pytest

from deploy.local.server_process import free_ports, is_listening
from tests.support.manifests import ROOT

STARTED_TRIES = 300


def health_check(port: int) -> list[str]:
    """The image's own words, on another port."""
    found = re.search(
        r"^HEALTHCHECK .*?CMD (\[.*?\])$", (ROOT / "deploy/Dockerfile").read_text(), re.DOTALL | re.MULTILINE
    )
    assert found is not None
    program, *arguments = ast.literal_eval(found[1])
    assert program == "python"
    assert ":8000/" in arguments[-1]
    return [sys.executable, *(each.replace(":8000/", f":{port}/") for each in arguments)]


def test_a_process_is_well_while_it_answers() -> None:
    (port,) = free_ports(1)
    told = {f"{name}_URL": "http://127.0.0.1:1" for name in ("REGISTRY", "ACTIVITIES", "HOURS", "ASSESSMENT")}
    told |= {"GATEWAY_HOST": "127.0.0.1", "GATEWAY_PORT": str(port)}
    assert subprocess.run(health_check(port), capture_output=True, check=False).returncode == 1
    command = [sys.executable, "-m", "services.runtime.gateway"]
    process = subprocess.Popen(command, env={**os.environ, **told}, stdout=subprocess.DEVNULL)
    try:
        with closing(httpx.Client(transport=httpx.HTTPTransport(retries=3))) as client:
            for _ in range(STARTED_TRIES):
                if is_listening(port) or process.poll() is not None:
                    break
                with pytest.raises(subprocess.TimeoutExpired):
                    process.wait(timeout=0.1)
            assert client.get(f"http://127.0.0.1:{port}/healthz").status_code == 200
        assert subprocess.run(health_check(port), capture_output=True, check=False).returncode == 0
    finally:
        process.kill()
        process.wait()
