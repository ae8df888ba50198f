"""Runs a Prometheus with the deployed rules on a platform of this machine, in a hurry, and asks it."""

import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import yaml

from deploy.local.processes import Platform
from deploy.local.prometheus import programs
from deploy.local.server_process import ServerProcess, free_ports
from tests.support.observability import CONFIG, PROMETHEUS

TIMEOUT_S = 10.0
LOOK_EVERY_S = 0.2
HURRY = (
    (r"for: \d+[mh]\b", "for: 0s"),
    (r"\[(?:1|5|15)m\]", "[15s]"),
)
"""A test does not wait for minutes: conditions hold at once, and windows are short. promtool tests the real ones."""


@dataclass(frozen=True)
class Prometheus:
    """A running server."""

    url: str

    def query(self, expr: str) -> list[dict[str, Any]]:
        """The samples that an expression gives now. Fails if the server refuses it."""
        return list(self._get("query", query=expr)["result"])

    def number(self, expr: str) -> float:
        """The one number that an expression gives now."""
        (sample,) = self.query(expr)
        return float(sample["value"][1])

    def metadata(self) -> Mapping[str, Any]:
        """What the scraped processes declare, by the metric's name, whether it has a sample or not."""
        return dict(self._get("metadata"))

    def firing(self, alert: str, **labels: str) -> list[dict[str, Any]]:
        """The alerts of a name that fire now, with these labels among theirs."""
        return [
            each
            for each in self._get("alerts")["alerts"]
            if each["state"] == "firing"
            and each["labels"]["alertname"] == alert
            and labels.items() <= each["labels"].items()
        ]

    def _get(self, path: str, **params: str) -> Any:
        answer = httpx.get(f"{self.url}/api/v1/{path}", params=params, timeout=TIMEOUT_S, trust_env=False)
        assert answer.status_code == httpx.codes.OK, (params, answer.text)
        return answer.json()["data"]


def until(holds: Callable[[], object], what: str, within_s: float = 60.0) -> None:
    """Waits on progress; fails with ``what`` if it does not come."""
    end = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < end, f"not within {within_s} s: {what}"
        time.sleep(LOOK_EVERY_S)


@contextmanager
def running_prometheus(platform: Platform, folder: Path) -> Iterator[Prometheus]:
    """Scrapes the platform's processes every second with the deployed configuration; ends with the context."""
    _configure(platform, folder)
    (port,) = free_ports(1)
    url = f"http://127.0.0.1:{port}"
    command = [
        programs()["prometheus"],
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    server = ServerProcess("prometheus", command, folder / "prometheus.log", lambda: _is_ready(url))
    server.start()
    try:
        yield Prometheus(url)
    finally:
        server.stop()


def _is_ready(url: str) -> bool:
    try:
        return httpx.get(f"{url}/-/ready", timeout=TIMEOUT_S, trust_env=False).status_code == httpx.codes.OK
    except httpx.HTTPError:
        return False


def _configure(platform: Platform, folder: Path) -> None:
    config = yaml.safe_load(CONFIG.read_text())
    config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    (job,) = [job for job in config["scrape_configs"] if job["job_name"] == "platform"]
    for entry in job["static_configs"]:
        (target,) = entry["targets"]
        address = platform.addresses[target.partition(":")[0]]
        entry["targets"] = [f"127.0.0.1:{address.port}"]
    config["scrape_configs"] = [job]
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
    shutil.copytree(PROMETHEUS / "rules", folder / "rules")
    for path in (folder / "rules").glob("*.yml"):
        text = path.read_text()
        for pattern, hurried in HURRY:
            text = re.sub(pattern, hurried, text)
        path.write_text(text)


def execute(block: str, folder: Path, environ: Mapping[str, str]) -> str:
    """What a document's shell block prints; fails if a command of it does."""
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", block],
        cwd=folder,
        env=dict(environ),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, (block, done.stdout, done.stderr)
    return done.stdout
