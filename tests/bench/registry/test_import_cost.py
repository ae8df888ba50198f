"""What a list of volunteers costs: client CPU, database CPU and wall time a row, first, again and as a dry run."""

import os
import random
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from deploy.local.database import Database
from services.eventing.ports import Ports
from services.registry import wiring
from services.runtime.clock import SystemClock
from services.runtime.ids import SystemIds
from services.runtime.mongo import MongoStore
from services.runtime.vault import MongoVault
from tests.support.asgi import call
from tests.support.figures import keep
from tests.support.registry import ORGANISATION_ROWS, UNIT_ROWS, sheet, volunteer_row
from tests.support.tokens import command_headers, http_settings

ROWS = 2_000
CLIENT_US_A_ROW_MAX = 2_000.0
"""Generous, for shared machines; alone it is a quarter of this."""


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    server = Database("registry", tmp_path)
    server.start()
    yield server
    server.stop()


def cpu_s(pid: int) -> float:
    """The CPU time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Bench:
    """Sends lists to registry's API in this process and takes the time."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._store = MongoStore.open(database.uri, "registry", random.Random(1))
        self._vault = MongoVault.connect(database.uri, "registry", os.urandom(96))
        ports = Ports(self._store, SystemClock(), SystemClock(), SystemIds(), random.Random(1))
        self._app = wiring.build_api(ports, http_settings(), vault=self._vault)
        self._sent = 0

    async def prepare(self) -> None:
        """Makes collections, units and teams."""
        await self._store.prepare(wiring.SERVICE.all_collections(), wiring.SERVICE.all_indexes())
        await self.send("units", sheet("units", UNIT_ROWS))
        await self.send("organisations", sheet("organisations", ORGANISATION_ROWS))

    async def send(self, kind: str, body: bytes, *, dry_run: bool = False) -> dict[str, Any]:
        """Imports a file; the report, with microseconds a row."""
        self._sent += 1
        headers = {**command_headers(["registry.write"], f"k{self._sent}"), "Content-Type": "text/csv"}
        path = f"/v1/imports/{kind}{'?dry_run=true' if dry_run else ''}"
        client, server, wall = time.process_time(), cpu_s(self._database.pid), time.perf_counter()
        answer = await call(self._app, "POST", path, headers=headers, body=body)
        assert answer.status == 200, answer.body
        spent = {
            "client_us": time.process_time() - client,
            "server_us": cpu_s(self._database.pid) - server,
            "wall_us": time.perf_counter() - wall,
        }
        report = answer.json
        return {**report, "cost": {name: round(each / report["rows"] * 1e6, 1) for name, each in spent.items()}}

    async def close(self) -> None:
        """Closes the connections."""
        await self._store.close()
        await self._vault.close()


async def test_what_a_row_of_a_list_of_volunteers_costs(database: Database) -> None:
    bench = Bench(database)
    await bench.prepare()
    body = sheet("volunteers", [volunteer_row(n) for n in range(1, ROWS + 1)])
    rehearsed = await bench.send("volunteers", body, dry_run=True)
    first = await bench.send("volunteers", body)
    again = await bench.send("volunteers", body)
    await bench.close()
    assert (rehearsed["accepted"], first["accepted"], again["unchanged"]) == (ROWS, ROWS, ROWS)
    figures = {
        "rows": ROWS,
        "dry_run_a_row": rehearsed["cost"],
        "first_import_a_row": first["cost"],
        "again_a_row": again["cost"],
    }
    keep("registry-import", "make bench", figures)
    assert first["cost"]["client_us"] < CLIENT_US_A_ROW_MAX
