"""Runs a second process of a kind, beside the one that supervisord keeps."""

import asyncio
import os
import subprocess
import sys
from typing import Final

import httpx

from deploy.local.processes import Platform
from deploy.local.server_process import free_ports
from services.runtime.metrics import RELAY_LEADING
from tests.support.chaos.tally import counters

ENDS_WITHIN_S: Final = 5.0
"""What every process promises after SIGTERM."""
SPARE_NAME: Final = "spare"


class Spare:
    """A processor or relay that stands in for one that does not answer; started again whenever it ends."""

    def __init__(self, platform: Platform, name: str) -> None:
        service, _, self._kind = name.partition("-")
        (port,) = free_ports(1)
        self._url = f"http://127.0.0.1:{port}"
        self._command = [sys.executable, "-m", f"services.{service}", self._kind]
        self._environment = {**os.environ, **platform.environ, f"{service}_{self._kind}_PORT".upper(): str(port)}
        self._log = platform.data_dir / "logs" / f"{name}-{SPARE_NAME}.log"
        self._ended: list[int] = []
        self._process = self._launch()

    def _launch(self) -> subprocess.Popen[bytes]:
        with self._log.open("ab") as log:
            return subprocess.Popen(self._command, env=self._environment, stdout=log, stderr=subprocess.STDOUT)

    async def has_taken_over(self) -> int:
        """Whether it holds its share of the partitions, or leads."""
        if (code := self._process.poll()) is not None:
            self._ended.append(code)
            self._process = self._launch()
        try:
            async with httpx.AsyncClient(trust_env=False) as client:
                if self._kind == "relay":
                    text = (await client.get(f"{self._url}/metrics")).text
                    return int(counters(text, [RELAY_LEADING.name])[RELAY_LEADING.name])
                return int((await client.get(f"{self._url}/readyz")).status_code == httpx.codes.OK)
        except httpx.TransportError:
            return 0

    async def end(self) -> list[int]:
        """Tells it to end; all exit codes. It is killed if it does not keep its promise."""
        self._process.terminate()
        try:
            code = await asyncio.to_thread(self._process.wait, 2 * ENDS_WITHIN_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            code = await asyncio.to_thread(self._process.wait)
        return [*self._ended, code]
