"""What a row of a batch and a live check-in cost: client CPU, database CPU and wall time, against a bare parse."""

import json
import os
import random
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from deploy.local.database import Database
from services.activities import wiring
from services.activities.batches.routes import parse
from services.activities.people import store as people
from services.activities.programme import store as programme
from services.contracts.ids import ActorId
from services.eventing.ports import Ports
from services.runtime.clock import SystemClock
from services.runtime.ids import SystemIds
from services.runtime.mongo import MongoStore
from tests.support.activities import a_session, a_volunteer, at, slip
from tests.support.asgi import Answer, call
from tests.support.figures import keep
from tests.support.ports import SetClock
from tests.support.tokens import command_headers, http_settings

ROWS = 500
SESSIONS = 25
"""Twenty people a session: a batch of a busy station or of a team's month."""
BATCHES = 8
CHECK_INS = 200
CLIENT_US_A_ROW_MAX = 400.0
"""Generous, for shared machines; alone it is a quarter of this."""

Cost = dict[str, float]


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    server = Database("activities", tmp_path)
    server.start()
    yield server
    server.stop()


def cpu_s(pid: int) -> float:
    """The CPU time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Bench:
    """Sends batches and commands to activities' API in this process and takes the time."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._store = MongoStore.open(database.uri, "activities", random.Random(1))
        ports = Ports(self._store, SetClock(at(20, day=30)), SystemClock(), SystemIds(), random.Random(1))
        self._app = wiring.build_api(ports, http_settings())
        self._sent = 0

    async def prepare(self) -> None:
        """Makes volunteers, and for each batch its own sessions."""
        await self._store.prepare(wiring.SERVICE.all_collections(), wiring.SERVICE.all_indexes())
        volunteers = [a_volunteer(number) for number in range(1, ROWS + 1)]
        documents = [{"_id": each.volunteer_id, **people.to_document(each)} for each in volunteers]
        await self._store.transact(lambda tx: tx.insert(people.VOLUNTEERS, documents))
        sessions = [a_session(f"SE-{number}") for number in range(2 * BATCHES * SESSIONS + 1)]
        await self._store.transact(lambda tx: programme.save_new(tx, [], sessions, by=ActorId("clerk-1"), at=at(8)))

    async def send(self, path: str, body: Any) -> Answer:
        """One command that must be accepted."""
        self._sent += 1
        headers = command_headers(["attendance.write"], f"k{self._sent}")
        answer = await call(self._app, "POST", path, headers=headers, body=body)
        assert answer.status in {200, 201}, answer.body
        return answer

    async def cost(self, work: Callable[[], Awaitable[int]]) -> Cost:
        """Microseconds for each of the things that ``work`` says it has done."""
        client, server, wall = time.process_time(), cpu_s(self._database.pid), time.perf_counter()
        done = await work()
        spent = {
            "client_us": time.process_time() - client,
            "server_us": cpu_s(self._database.pid) - server,
            "wall_us": time.perf_counter() - wall,
        }
        return {name: round(each / done * 1e6, 1) for name, each in spent.items()}

    async def batches(self, bodies: list[bytes]) -> Cost:
        """What a row costs when all rows of these batches are accepted."""

        async def work() -> int:
            for body in bodies:
                assert (await self.send("/v1/batches", body)).json["accepted"] == ROWS
            return ROWS * len(bodies)

        return await self.cost(work)

    async def check_ins(self) -> Cost:
        """What a live check-in costs."""

        async def work() -> int:
            for number in range(1, CHECK_INS + 1):
                proof = {"method": "personal_card", "card": f"N-{number}"}
                body = {"volunteer_id": f"V-{number}", "at": at(9).isoformat(), "proof": proof}
                await self.send(f"/v1/sessions/SE-{2 * BATCHES * SESSIONS}/check-ins", body)
            return CHECK_INS

        return await self.cost(work)

    async def close(self) -> None:
        """Closes the connections."""
        await self._store.close()


def session_of(batch: int, number: int) -> str:
    return f"SE-{batch * SESSIONS + number % SESSIONS}"


def roster(batch: int) -> bytes:
    """Half of the lines with a one-time code."""
    rows = [
        {
            "row": number,
            "session_id": session_of(batch, number),
            "number": f"N-{number}",
            "action": "attended",
            "from": at(9).isoformat(),
            "to": at(11).isoformat(),
            "proof": {"method": "one_time_code", "code": slip(number, session_of(batch, number))}
            if number % 2
            else None,
        }
        for number in range(1, ROWS + 1)
    ]
    return json.dumps({"kind": "roster", "leader_id": "leader-1", "rows": rows}).encode()


def kiosk(batch: int) -> bytes:
    """Card readings."""
    rows = [
        {
            "row": number,
            "session_id": session_of(batch, number),
            "number": f"N-{number}",
            "action": "check_in",
            "at": at(9).isoformat(),
            "proof": {"method": "personal_card", "card": f"N-{number}"},
        }
        for number in range(1, ROWS + 1)
    ]
    return json.dumps({"kind": "kiosk", "device_id": "KIOSK-1", "rows": rows}).encode()


def parse_us(body: bytes) -> float:
    """What reading a row costs by itself."""
    started = time.process_time()
    for _ in range(10):
        parse(body, batch_id="b")
    return round((time.process_time() - started) / 10 / ROWS * 1e6, 1)


async def test_what_a_row_of_a_batch_costs(database: Database) -> None:
    bench = Bench(database)
    await bench.prepare()
    rosters = await bench.batches([roster(batch) for batch in range(BATCHES)])
    kiosks = await bench.batches([kiosk(batch) for batch in range(BATCHES, 2 * BATCHES)])
    live = await bench.check_ins()
    await bench.close()
    figures = {
        "rows_a_batch": ROWS,
        "roster_a_row": rosters,
        "kiosk_a_row": kiosks,
        "live_check_in": live,
        "of_a_roster_row_parsing_us": parse_us(roster(0)),
        "live_check_in_against_kiosk_row": round(live["client_us"] / kiosks["client_us"], 1),
    }
    keep("activities-batch", "make bench", figures)
    assert rosters["client_us"] < CLIENT_US_A_ROW_MAX
