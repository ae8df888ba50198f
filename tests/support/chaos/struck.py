"""Runs a process of a service as its own main does, with traps at the named points and a clock that can be wrong.

``python -m tests.support.chaos.struck FOLDER hours relay``: the folder is where traps are set (``points.py``).
"""

import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping, Sequence
from contextlib import asynccontextmanager
from contextvars import ContextVar
from dataclasses import replace
from datetime import datetime, timedelta
from importlib import import_module
from pathlib import Path
from typing import Any, Final

from pymongo.asynchronous.pool import AsyncConnection

from services.eventing import processor
from services.eventing.door import faust_door
from services.eventing.ports import Clock, Message, Ports, Transaction
from services.eventing.relay import kafka_writer, marking
from services.eventing.relay.lease import LeaseGuard
from services.runtime import mongo_transactions, process
from services.runtime.commands import Command
from services.runtime.mongo_transactions import Transactions
from services.runtime.service import Service
from tests.support.chaos.points import Trap, clock_file, trap_file

Passed = Callable[[str], None]
Scope = MutableMapping[str, Any]
WRITES: Final = frozenset({"insert", "update", "delete"})
CHANGES: Final = frozenset({"POST", "PUT", "PATCH", "DELETE"})
_committing: ContextVar[bool] = ContextVar("committing", default=False)


class WrongClock:
    """A clock that is wrong by the seconds in a file, and right where there is none."""

    def __init__(self, clock: Clock, path: Path) -> None:
        self._clock = clock
        self._path = path

    def now(self) -> datetime:
        try:
            return self._clock.now() + timedelta(seconds=float(self._path.read_text()))
        except FileNotFoundError:
            return self._clock.now()


class _AtDecision:
    """A handler that tells when all is decided and nothing is written yet."""

    def __init__(self, handler: Any, passed: Passed) -> None:
        self._handler = handler
        self._passed = passed

    def __getattr__(self, name: str) -> Any:
        return getattr(self._handler, name)

    async def save(self, tx: Transaction, state: Any) -> Any:
        self._passed("decided")
        return await self._handler.save(tx, state)


class _AtRequest:
    """An ASGI layer that tells when a request to change something has come."""

    def __init__(self, app: Any, passed: Passed) -> None:
        self._app = app
        self._passed = passed

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        if scope["type"] == "http" and scope["method"] in CHANGES:
            self._passed("received")
        await self._app(scope, receive, send)


def set_transaction_traps(passed: Passed) -> None:
    """At the first answer within a transaction, at each of its writes, between a commit and its answer, and after."""

    class Transaction(mongo_transactions.MongoTransaction):
        _asked = _written = 0

        async def _ask(self, command: Callable[..., Awaitable[Any]], *arguments: object) -> Any:
            answer = await super()._ask(command, *arguments)
            self._asked += 1
            if self._asked == 1:
                passed("transaction_open")
            if command.__name__ in WRITES:
                self._written += 1
                passed(f"written_{self._written}")
            return answer

    commit, receive = Transactions._commit, AsyncConnection.receive_message

    async def told_commit(transactions: Transactions, *arguments: Any) -> None:
        token = _committing.set(True)
        try:
            await commit(transactions, *arguments)
        finally:
            _committing.reset(token)
        passed("commit_acknowledged")

    async def told_receive(connection: AsyncConnection, request: int | None) -> Any:
        if _committing.get():  # the command has gone out, its answer is still to come
            passed("commit_sent")
        return await receive(connection, request)

    setattr(mongo_transactions, "MongoTransaction", Transaction)  # noqa: B010  # to mypy a name is not assigned to
    setattr(Transactions, "_commit", told_commit)  # noqa: B010
    setattr(AsyncConnection, "receive_message", told_receive)  # noqa: B010


def set_processor_traps(passed: Passed) -> None:
    """At a batch that has come, one that is decoded, and one that is decided."""

    class Engine(processor.Engine[Any, Any]):
        def __init__(self, handler: Any, *arguments: Any, **named: Any) -> None:
            super().__init__(_AtDecision(handler, passed), *arguments, **named)

        async def apply(self, *arguments: Any) -> Any:
            passed("received")
            return await super().apply(*arguments)

        def _batch(self, *arguments: Any) -> Any:
            batch = super()._batch(*arguments)
            passed("decoded")
            return batch

    setattr(faust_door, "Engine", Engine)  # noqa: B010


def set_relay_traps(passed: Passed) -> None:
    """At what the log has acknowledged, at what is marked, and at a lease that is renewed."""

    class Writer(kafka_writer.KafkaLogWriter):
        async def append(self, messages: Sequence[Message]) -> None:
            await super().append(messages)
            passed("published")

    mark, renew = marking.mark, LeaseGuard._renew

    async def told_mark(*arguments: Any) -> int:
        events = await mark(*arguments)
        passed("marked")
        return events

    async def told_renew(guard: LeaseGuard) -> None:
        await renew(guard)
        passed("lease_renewed")

    setattr(kafka_writer, "KafkaLogWriter", Writer)  # noqa: B010
    setattr(marking, "mark", told_mark)  # noqa: B010
    setattr(LeaseGuard, "_renew", told_renew)  # noqa: B010


def set_command_traps(passed: Passed) -> None:
    """At a command that is decoded, and one that is decided."""
    run = Command.run

    async def told_run(command: Command, work: Callable[[Transaction], Awaitable[Any]]) -> Any:
        passed("decoded")

        async def told_work(tx: Transaction) -> Any:
            outcome = await work(tx)
            passed("decided")
            return outcome

        return await run(command, told_work)

    setattr(Command, "run", told_run)  # noqa: B010


def at_requests(service: Service[Any], passed: Passed) -> Service[Any]:
    """The service, with a trap where requests come in."""

    def build(ports: Ports, settings: Any) -> Any:
        app = service.build_api(ports, settings)
        app.add_middleware(_AtRequest, passed=passed)
        return app

    return replace(service, build_api=build)


def with_wrong_clock(path: Path) -> None:
    """Makes the clocks of this process follow a file."""
    real = process.open_ports

    @asynccontextmanager
    async def opened(*arguments: Any) -> AsyncIterator[Any]:
        async with real(*arguments) as (ports, store):
            clock, wall = WrongClock(ports.clock, path), WrongClock(ports.wall, path)
            yield replace(ports, clock=clock, wall=wall), store

    setattr(process, "open_ports", opened)  # noqa: B010


def main(arguments: Sequence[str]) -> None:
    """Runs the process that the arguments name."""
    folder, name, kind = arguments
    place = f"{name}-{kind}"
    passed = Trap(trap_file(Path(folder), place)).passed
    set_transaction_traps(passed)
    set_processor_traps(passed)
    set_relay_traps(passed)
    set_command_traps(passed)
    with_wrong_clock(clock_file(Path(folder), place))
    service: Service[Any] = import_module(f"services.{name}.wiring").SERVICE
    sys.argv = [f"services.{name}", kind]  # what the service's own command line reads
    os.environ.setdefault("PYTHONUNBUFFERED", "1")
    process.main(at_requests(service, passed))


if __name__ == "__main__":
    main(sys.argv[1:])
