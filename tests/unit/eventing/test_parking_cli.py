"""Operators see from the command line what waits and why; values only when they ask for one key."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import typer
from typer.testing import CliRunner

from services.eventing.parking import PARKING
from services.eventing.parking_cli import EXIT_NOT_FOUND, parked_app
from services.eventing.ports import Document
from tests.support.memory_store import MemoryStore

SECRET = "what only show may show"


def queue(key: str, *, records: int = 1) -> Document:
    record = {
        "topic": "activities.attendance",
        "partition": 3,
        "offset": 17,
        "sequence": 5,
        "id": "event-1",
        "type": "activities.attendance.checked_in.v1",
        "reason": "malformed",
        "path": "$.data.at",
        "minutes": 60,
        "appended_at": "2026-07-01T04:00:00.000000Z",
        "value": f'{{"x": "{SECRET}"'.encode() + b"\xff}",
    }
    return {
        "_id": f"hours|{key}",
        "processor": "hours",
        "collection": "accounts",
        "key": key,
        "records": [record] * records,
        "count": records,
        "minutes": 60 * records,
        "since": "2026-07-01T04:00:00.000000Z",
        "first": {name: told for name, told in record.items() if name != "value"},
    }


def app_over(*queues: Document) -> typer.Typer:
    store = MemoryStore()
    store.put(PARKING, *queues)

    @asynccontextmanager
    async def open_store() -> AsyncIterator[MemoryStore]:
        yield store

    return parked_app(open_store)


def test_the_list_says_how_much_waits_since_when_and_why() -> None:
    result = CliRunner().invoke(app_over(queue("a", records=2), queue("b")), ["list", "--json"])
    assert result.exit_code == 0, result.output
    first, second = map(json.loads, result.stdout.splitlines())
    assert first == {
        "id": "hours|a",
        "since": "2026-07-01T04:00:00.000000Z",
        "records": 2,
        "minutes": 120,
        "reason": "malformed",
        "path": "$.data.at",
        "type": "activities.attendance.checked_in.v1",
        "at": "activities.attendance|3|17",
    }
    assert second["id"] == "hours|b"


@pytest.mark.parametrize("arguments", [["list"], ["list", "--json"]])
def test_the_list_shows_no_values(arguments: list[str]) -> None:
    result = CliRunner().invoke(app_over(queue("a")), arguments)
    assert result.exit_code == 0, result.output
    assert "hours|a" in result.stdout
    assert SECRET not in result.stdout


def test_the_list_goes_on_after_the_last_id() -> None:
    app = app_over(queue("a"), queue("b"), queue("c"))
    page = CliRunner().invoke(app, ["list", "--json", "--limit", "1", "--after", "hours|a"])
    assert [json.loads(line)["id"] for line in page.stdout.splitlines()] == ["hours|b"]


def test_show_gives_the_records_in_order_with_their_values() -> None:
    result = CliRunner().invoke(app_over(queue("a", records=2)), ["show", "hours|a"])
    assert result.exit_code == 0, result.output
    first, _ = map(json.loads, result.stdout.splitlines())
    assert first["value"] == f'{{"x": "{SECRET}"\\xff}}'
    assert first["offset"] == 17


def test_show_of_what_is_not_parked_says_so() -> None:
    result = CliRunner().invoke(app_over(), ["show", "hours|a"])
    assert result.exit_code == EXIT_NOT_FOUND
    assert "nothing is parked under hours|a" in result.output
