"""An API answers inside the simulation: on its loop, without a server, a thread or a lifespan."""

import asyncio

from services.runtime import logs
from tests.support.asgi import Answer, call
from tests.support.memory_store import MemoryStore
from tests.support.notes import NOTES, notes_app
from tests.support.ports import make_ports
from tests.support.simulation.loop import Node, SimulatedLoop
from tests.support.tokens import command_headers, http_settings

CLIENTS = 6


def run(seed: int) -> tuple[int, list[Answer], MemoryStore]:
    """Several clients send the same command at once."""
    logs.silence()
    loop, store = SimulatedLoop(seed), MemoryStore()
    asyncio.set_event_loop(None)
    app = notes_app(make_ports(store), http_settings())
    answers: list[Answer] = []

    async def client() -> None:
        headers = command_headers(["notes.write"], "one-key")
        answers.append(await call(app, "POST", "/v1/notes", headers=headers, body={"unit": "340802", "text": "hi"}))

    server = Node(loop, "api")
    for _ in range(CLIENTS):
        server.spawn(client())
    loop.run()
    assert not loop.failures
    return loop.trace, answers, store


def test_equal_commands_at_once_are_carried_out_once_and_all_get_its_answer() -> None:
    for seed in range(10):
        _, answers, store = run(seed)
        assert len(answers) == CLIENTS
        assert {answer.status for answer in answers} == {201}
        assert len({answer.body for answer in answers}) == 1
        assert sum("idempotency-replayed" in answer.headers for answer in answers) == CLIENTS - 1
        assert len(store.documents(NOTES)) == 1
        assert len(store.documents("outbox")) == 1


def test_one_seed_gives_one_trace() -> None:
    assert run(3)[0] == run(3)[0]
