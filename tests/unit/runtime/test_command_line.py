"""What operators see of parked keys on the command line."""

import asyncio
import json
from typing import Any

import pytest
from typer.testing import CliRunner

from services.runtime.command_line import command_line
from services.runtime.mongo import MongoStore
from tests.support.memory_store import MemoryStore
from tests.support.notes_process import SERVICE
from tests.support.tokens import TEST_JWKS

ENVIRONMENT = {
    "ENVIRONMENT": "development",
    "MONGODB_URI": "mongodb://db/",
    "KAFKA_BOOTSTRAP_SERVERS": "one:9092",
    "JWT_JWKS": TEST_JWKS,
}
RECORD = {
    "topic": "registry.organisations",
    "partition": 1,
    "offset": 7,
    "sequence": 3,
    "id": "E-1",
    "type": "registry.unit.registered.v1",
    "reason": "undecidable",
    "path": "$.data",
    "minutes": 90,
    "appended_at": "2026-07-01T00:00:00.000000Z",
    "value": b'{"id": "E-1"}',
}
QUEUE = {
    "_id": "notes-units|340802",
    "processor": "notes-units",
    "collection": "units",
    "key": "340802",
    "records": [RECORD, {**RECORD, "offset": 9, "value": None}],
    "count": 2,
    "minutes": 180,
    "since": "2026-07-01T00:00:00.000000Z",
    "first": RECORD,
}


class ClosingStore(MemoryStore):
    """A store in memory that a tool may close."""

    async def close(self) -> None:
        await asyncio.sleep(0)


def invoke(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> Any:
    store = ClosingStore()
    store.put("parking", QUEUE)
    monkeypatch.setattr(MongoStore, "open", lambda *_, **__: store)
    started: list[str] = []

    def run(_: object, kind: str) -> Any:
        started.append(kind)

    result = CliRunner().invoke(command_line(SERVICE, run), arguments, env=ENVIRONMENT)
    return result, started


def test_parked_keys_are_read_from_the_services_own_database(monkeypatch: pytest.MonkeyPatch) -> None:
    result, _ = invoke(monkeypatch, "parked", "list", "--json")
    assert result.exit_code == 0, result.output
    (line,) = result.stdout.splitlines()
    assert json.loads(line)["id"] == "notes-units|340802"
    shown = invoke(monkeypatch, "parked", "show", "notes-units|340802")[0]
    assert len(shown.stdout.splitlines()) == 2


def test_show_of_nothing_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    result, _ = invoke(monkeypatch, "parked", "show", "nobody")
    assert result.exit_code == 1
    assert "nothing is parked" in result.stderr


@pytest.mark.parametrize("kind", ["api", "processor", "relay"])
def test_a_kind_starts_that_process(monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    result, started = invoke(monkeypatch, kind)
    assert (result.exit_code, started) == (0, [kind])


def test_an_unknown_kind_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    result, started = invoke(monkeypatch, "scheduler")
    assert (result.exit_code, started) == (2, [])
