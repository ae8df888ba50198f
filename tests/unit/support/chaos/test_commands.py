"""Commands are asked until they are decided, and only what was acknowledged is recorded."""

import json
import random
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.chaos.asking import Answer, Asking, Pace
from tests.support.chaos.commands import Commands, NeverKnownError
from tests.support.chaos.credentials import Credentials
from tests.support.chaos.record import Record
from tests.support.chaos.town import person_row

Reply = tuple[int, Any]
EARLY: Reply = (422, {"code": "volunteer_unknown"})
Make = Callable[..., Any]


@pytest.fixture
def keys() -> list[str]:
    """The idempotency keys that were sent, in order."""
    return []


@pytest.fixture
def commands(keys: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Make:
    """Makes commands against a gateway that gives these answers; ``again`` is the share that is sent once more."""
    monkeypatch.setattr("tests.support.chaos.commands.ASK_AGAIN_S", 0)

    @asynccontextmanager
    async def make(*replies: Reply, again: float = 0.0) -> AsyncIterator[Commands]:
        monkeypatch.setattr("tests.support.chaos.commands.AGAIN", again)
        todo: Iterator[Reply] = iter(replies)

        def handle(request: httpx.Request) -> httpx.Response:
            keys.append(request.headers["idempotency-key"])
            status, body = next(todo)
            return httpx.Response(status, json=body)

        tokens, transport = Credentials(tmp_path / "key.pem"), httpx.MockTransport(handle)
        async with Asking("http://gateway", tokens, random.Random(1), Pace(1000), transport) as asking:
            yield Commands(asking, Record(), random.Random(1))

    return make


async def ask(made: Commands) -> Answer | None:
    return await made.until_known("edit", lambda key: made.asking.command("/x", {}, key=key))


async def test_what_is_not_known_yet_is_asked_again_with_another_key(commands: Make, keys: list[str]) -> None:
    async with commands(EARLY, EARLY, (201, {})) as made:
        answer = await ask(made)
    assert answer is not None
    assert len(set(keys)) == 3
    assert (made.record.accepted["edit"], made.record.refused["volunteer_unknown"]) == (1, 2)
    assert made.record.wrong == []


async def test_a_refusal_that_may_be_is_no_fault(commands: Make) -> None:
    async with commands((409, {"code": "session_full"})) as made:
        assert await ask(made) is None
    assert made.record.wrong == []


@pytest.mark.parametrize("reply", [(409, {"code": "already_checked_in"}), (404, {"code": "not_found"})])
async def test_a_refusal_that_nobody_expects_is_a_fault(reply: Reply, commands: Make) -> None:
    async with commands(reply) as made:
        assert await ask(made) is None
    assert made.record.wrong == [f"answer: {reply[0]} {reply[1]['code']} to edit"]


async def test_an_answer_is_the_same_when_it_is_asked_for_again(commands: Make, keys: list[str]) -> None:
    async with commands((201, {"id": 1}), (201, {"id": 1}), again=1.0) as made:
        await ask(made)
    assert (len(keys), len(set(keys))) == (2, 1)
    assert made.record.wrong == []


async def test_a_second_answer_that_is_another_one_is_a_fault(commands: Make) -> None:
    async with commands((201, {"id": 1}), (201, {"id": 2}), again=1.0) as made:
        await ask(made)
    assert made.record.wrong == ["replay: edit was answered 201, before 201"]


async def test_what_is_never_known_ends_the_run(commands: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.support.chaos.commands.ASK_AGAIN_MAX", 2)
    async with commands(EARLY, EARLY) as made:
        with pytest.raises(NeverKnownError, match="edit"):
            await ask(made)


async def test_only_the_rows_that_were_taken_are_recorded_and_the_others_sent_again(commands: Make) -> None:
    rows = [person_row(0), person_row(1)]
    early = (200, {"errors": [{"row": 3, "code": "team_unknown"}]})
    async with commands(early, (200, {"errors": []})) as made:
        await made.take_list("registry", "volunteers", rows)
    assert list(made.record.model.inputs.volunteers) == [rows[0][0], rows[1][0]]
    assert made.record.accepted["row of volunteers"] == 2


async def test_a_list_that_is_refused_leaves_nothing_in_the_record(commands: Make) -> None:
    async with commands((200, {"errors": [{"row": 2, "code": "volunteer_duplicate"}]})) as made:
        await made.take_list("registry", "volunteers", [person_row(0)])
    assert not made.record.model.inputs.volunteers
    assert "volunteer_duplicate" in json.dumps(made.record.wrong)
