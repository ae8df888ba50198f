"""Real processes of a small service: they start, say what they are, do their work, stop in time and fail clearly."""

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from deploy.local.database import Database
from deploy.local.servers import Servers
from services.contracts.ids import EventId
from services.contracts.topics import Topic
from services.eventing.facts import Fact
from services.eventing.outbox import OUTBOX, stage
from services.eventing.ports import Document, Transaction
from services.eventing.topics_tool import create_topics
from services.runtime.ids import system_randomness
from services.runtime.mongo import MongoStore
from tests.support.notes import unit_registered
from tests.support.notes_process import SERVICE, TOPIC, UNITS
from tests.support.ports import START
from tests.support.tokens import TEST_JWKS, command_headers

STOP_WITHIN_S = 5.0
STARTED_WITHIN_S = 30.0
UNIT = "340899"


@dataclass
class Started:
    """A process, its log and where it listens."""

    process: subprocess.Popen[str]
    log: Path

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.log.read_text().splitlines()]

    @property
    def url(self) -> str:
        port = wait_for(lambda: next((x["port"] for x in self.lines() if x["event"] == "listening"), None), self)
        return f"http://127.0.0.1:{port}"

    def stop(self, number: signal.Signals = signal.SIGTERM) -> tuple[int, float]:
        """The exit code, and how long it took."""
        asked_at = time.monotonic()
        self.process.send_signal(number)
        return self.process.wait(timeout=20), time.monotonic() - asked_at


def wait_for(look: Callable[[], Any], started: Started) -> Any:
    """Waits until ``look`` returns something; fails at once if the process has ended."""
    give_up_at = time.monotonic() + STARTED_WITHIN_S
    while time.monotonic() < give_up_at:
        if (found := look()) is not None:
            return found
        assert started.process.poll() is None, started.log.read_text()
        time.sleep(0.05)
    raise AssertionError(f"nothing came of it: {started.log.read_text()}")


@contextmanager
def start(
    kind: str, environment: Mapping[str, str], log: Path, program: str | Path = "tests.support.notes_process"
) -> Iterator[Started]:
    run = ["-m", program] if isinstance(program, str) else [str(program)]
    command = [sys.executable, *run, *([kind] if kind else [])]
    with log.open("w") as out:
        process = subprocess.Popen(
            command, env={**os.environ, **environment}, stdout=out, stderr=subprocess.STDOUT, text=True
        )
    started = Started(process, log)
    try:
        yield started
    finally:
        process.kill()
        process.wait()


def environment(mongodb_uri: str, kafka: str = "127.0.0.1:1", **more: str) -> dict[str, str]:
    return {
        "ENVIRONMENT": "development",
        "MONGODB_URI": mongodb_uri,
        "MONGODB_DATABASE": "notes_processes",
        "KAFKA_BOOTSTRAP_SERVERS": kafka,
        "JWT_JWKS": TEST_JWKS,
        "HOST": "127.0.0.1",
        "API_PORT": "0",
        "PROCESSOR_PORT": "0",
        "RELAY_PORT": "0",
        **more,
    }


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    server = Database("notes", tmp_path_factory.mktemp("notes"))
    server.launch()
    try:
        server.wait_ready()
        yield server
    finally:
        server.stop()


def ready(started: Started) -> httpx.Response:
    """The answer of ``/readyz`` once it is good."""

    def look() -> httpx.Response | None:
        answer = httpx.get(f"{started.url}/readyz")
        return answer if answer.status_code == 200 else None

    found: httpx.Response = wait_for(look, started)
    return found


def count(started: Started, metric: str) -> float | None:
    """The sum of a metric over its labels, if it is there and above zero."""
    text = httpx.get(f"{started.url}/metrics").text
    values = re.findall(rf"^{metric}(?:{{.*}})? ([0-9.e+]+)$", text, re.MULTILINE)
    return sum(map(float, values)) or None


def test_an_api_serves_keeps_what_it_did_and_stops_in_time(database: Database, tmp_path: Path) -> None:
    with start("api", environment(database.uri), tmp_path / "log") as api:
        ready(api)
        headers = command_headers(["notes.write", "notes.read"], "one-key")
        body = {"unit": "340802", "text": "hello"}
        first = httpx.post(f"{api.url}/v1/notes", headers=headers, json=body)
        again = httpx.post(f"{api.url}/v1/notes", headers=headers, json=body)
        assert (first.status_code, again.status_code) == (201, 201)
        assert (again.json(), again.headers["idempotency-replayed"]) == (first.json(), "true")
        assert count(api, "commands_replayed_total") == 1
        code, seconds = api.stop()
    assert (code, api.lines()[-1]["event"]) == (0, "process stopped")
    assert seconds < STOP_WITHIN_S
    assert "server" not in first.headers


def test_equal_commands_at_once_are_carried_out_once_on_the_real_database(database: Database, tmp_path: Path) -> None:
    async def all_at_once(url: str) -> list[httpx.Response]:
        headers = command_headers(["notes.write"], "raced-key")
        async with httpx.AsyncClient() as client:
            posts = (
                client.post(f"{url}/v1/notes", headers=headers, json={"unit": "340802", "text": "x"}) for _ in range(12)
            )
            return await asyncio.gather(*posts)

    with start("api", environment(database.uri), tmp_path / "log") as api:
        ready(api)
        answers = asyncio.run(all_at_once(api.url))
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.content for answer in answers}) == 1
    assert sum("idempotency-replayed" not in answer.headers for answer in answers) == 1


def test_a_stopping_api_finishes_the_request_under_way(database: Database, tmp_path: Path) -> None:
    async def slow_post(url: str, stop: Callable[[], None]) -> httpx.Response:
        async def body() -> Any:
            yield b'{"unit": "340802", '
            await asyncio.sleep(0.3)
            stop()
            await asyncio.sleep(0.5)
            yield b'"text": "slow"}'

        headers = {**command_headers(["notes.write"], "slow-key"), "content-type": "application/json"}
        async with httpx.AsyncClient() as client:
            return await client.post(f"{url}/v1/notes", headers=headers, content=body())

    with start("api", environment(database.uri), tmp_path / "log") as api:
        ready(api)
        answer = asyncio.run(slow_post(api.url, api.process.terminate))
        assert answer.status_code == 201
        assert api.process.wait(timeout=10) == 0


def test_answers_over_a_kept_connection_do_not_wait_for_acknowledgements(database: Database, tmp_path: Path) -> None:
    with start("api", environment(database.uri), tmp_path / "log") as api:
        ready(api)
        with httpx.Client(base_url=api.url) as client:
            took = sorted(client.get("/healthz").elapsed.total_seconds() for _ in range(41))
    assert took[20] < 0.03, "40 ms would be Nagle's algorithm and a delayed acknowledgement"


def test_ctrl_c_is_a_stop_too(database: Database, tmp_path: Path) -> None:
    with start("api", environment(database.uri), tmp_path / "log") as api:
        ready(api)
        assert api.stop(signal.SIGINT)[0] == 0


@pytest.mark.parametrize(
    ("changed", "line"),
    [
        ({"API_PORT": "eighty"}, "notes api: wrong setting: API_PORT: Input should be a valid integer"),
        ({"MONGODB_URI": "postgres://user:secret@x"}, "MONGODB_URI: must begin with mongodb://"),
        ({"ENVIRONMENT": "production"}, "JWT_ISSUER must name the issuer in production"),
        ({"ENVIRONMENT": "staging"}, "ENVIRONMENT: Input should be 'development' or 'production'"),
        ({"JWT_JWKS_FILE": "/x"}, "set one of JWT_JWKS, JWT_JWKS_FILE"),
        ({"NOTES_LOG_LEVEL": "loud"}, "LOG_LEVEL"),
    ],
)
def test_a_wrong_setting_is_one_clear_line_without_its_value(
    changed: dict[str, str], line: str, tmp_path: Path
) -> None:
    with start("api", environment("mongodb://127.0.0.1:1/", **changed), tmp_path / "log") as api:
        assert api.process.wait(timeout=20) == 78
    (written,) = api.log.read_text().splitlines()
    assert line in written
    assert "secret" not in written
    assert "eighty" not in written


def test_a_taken_port_ends_the_process_with_a_line_that_says_so(database: Database, tmp_path: Path) -> None:
    with start("api", environment(database.uri), tmp_path / "log") as first:
        ready(first)
        taken = first.url.rpartition(":")[2]
        with start("api", environment(database.uri, API_PORT=taken), tmp_path / "second") as second:
            assert second.process.wait(timeout=20) == 69
        (line,) = second.lines()
    assert (line["event"], line["exit_code"]) == ("process cannot run", 69)
    assert line["advice"].startswith(f"port {taken} of 127.0.0.1 is in use: set API_PORT to a free one")


STUBBORN = """
import asyncio
from services.runtime import logs
from services.runtime.serving import run_to_end, stop_on_signals

async def work():
    stop_on_signals()
    logs.logger("stubborn").info("listening", port=1)
    await asyncio.Event().wait()

logs.configure("stubborn", "api")
run_to_end(work())
"""


def test_a_process_that_cannot_stop_is_ended_in_time(tmp_path: Path) -> None:
    script = tmp_path / "stubborn.py"
    script.write_text(STUBBORN)
    with start("", {"PYTHONPATH": str(Path.cwd())}, tmp_path / "log", script) as stubborn:
        assert stubborn.url
        code, seconds = stubborn.stop()
    assert (code, stubborn.lines()[-1]["event"]) == (75, "process did not stop in time")
    assert seconds < STOP_WITHIN_S + 0.5


def test_a_relay_publishes_and_a_processor_applies_what_it_published(servers: Servers, tmp_path: Path) -> None:
    create_topics(servers.bootstrap, topics=[Topic(TOPIC, "registry", "unit code", ())])
    settings = environment(servers.mongodb_uris["registry"], servers.bootstrap)
    store = MongoStore.open(settings["MONGODB_URI"], settings["MONGODB_DATABASE"], system_randomness())

    async def announce() -> None:
        await store.prepare(SERVICE.all_collections(), SERVICE.all_indexes())
        await store.transact(insert)

    async def insert(tx: Transaction) -> None:
        fact = Fact(EventId("E-1"), unit_registered(UNIT), START)
        row = stage([fact], {(fact.data.TOPIC, fact.data.key): 0}, row_id="R-1", at=START)
        row["events"][0]["topic"], row["streams"] = TOPIC, [f"{TOPIC}|{UNIT}|1"]
        await tx.insert(OUTBOX, [row])

    async def versions() -> Document | None:
        return (await store.get(UNITS, [UNIT])).get(UNIT)

    with asyncio.Runner() as runner:
        runner.run(announce())
        with (
            start("relay", settings, tmp_path / "relay") as relay,
            start("processor", settings, tmp_path / "processor") as processor,
        ):
            ready(relay)
            ready(processor)
            wait_for(lambda: count(relay, "events_published_total"), relay)
            wait_for(lambda: count(processor, "events_applied_total"), processor)
            assert count(relay, "relay_leading") == 1
            stopped = {"relay": relay.stop(), "processor": processor.stop()}
        found = runner.run(versions())
        runner.run(store.close())
    assert found is not None
    assert found["versions"] == 1
    for kind, (code, seconds) in stopped.items():
        assert code == 0, kind
        assert seconds < STOP_WITHIN_S, kind


def test_the_gateway_passes_on_and_stops_in_time(database: Database, tmp_path: Path) -> None:
    with start("api", environment(database.uri), tmp_path / "log") as api:
        ready(api)
        urls = {f"{name}_URL": api.url for name in ("REGISTRY", "ACTIVITIES", "HOURS")}
        urls |= {"ASSESSMENT_URL": "http://127.0.0.1:1", "GATEWAY_HOST": "127.0.0.1", "GATEWAY_PORT": "0"}
        with start("", urls, tmp_path / "gateway", "services.runtime.gateway") as gateway:
            ready(gateway)
            headers = command_headers(["notes.write", "notes.read"], "through-the-gateway")
            url = f"{gateway.url}/registry/v1/notes"
            written = httpx.post(url, headers=headers, json={"unit": "340802", "text": "hello"})
            assert written.status_code == 201
            read = httpx.get(f"{gateway.url}{written.headers['location']}", headers=headers)
            assert read.json()["text"] == "hello"
            large = httpx.post(url, headers=headers, content=b"x" * 2_000_000)
            assert (large.status_code, large.json()["code"]) == (413, "body_too_large")
            away = httpx.get(f"{gateway.url}/assessment/v1/scoreboard", headers=headers)
            assert (away.status_code, away.json()["code"]) == (502, "bad_gateway")
            assert "registry/docs" in httpx.get(gateway.url).text
            code, seconds = gateway.stop()
        assert code == 0
        assert seconds < STOP_WITHIN_S
