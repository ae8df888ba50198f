"""Serves HTTP from a process of ours, and ends the process as its supervisor expects."""

import asyncio
import contextlib
import os
import signal
import socket
import sys
from collections.abc import Coroutine, Iterator
from typing import Any, Final, NoReturn

import uvicorn
import uvloop
from starlette.types import ASGIApp

from services.runtime.logs import logger
from services.runtime.startup import cannot_listen, for_an_operator

EXIT_UNEXPECTED: Final = 75
"""EX_TEMPFAIL: something nobody expected; the supervisor starts the process again."""
STOP_TIMEOUT_S: Final = 4.8
"""After this long a process that was asked to stop ends as it is: what it did not commit comes again."""
REQUESTS_FINISH_S: Final = 3
CONNECTIONS_WAITING_MAX: Final = 1_024
CONNECTIONS_MAX: Final = 4_096
"""Open connections and requests under way; beyond it the answer is 503."""
KEEP_ALIVE_S: Final = 30

_log = logger(__name__)


def run_to_end(work: Coroutine[Any, Any, None]) -> int:
    """Runs the whole work of a process; returns its exit code, and says why in one line if that is not 0."""
    try:
        uvloop.run(work)
    except Exception as error:  # noqa: BLE001 - the one place that ends the process for what nobody expected
        first = _first(error)
        if (known := for_an_operator(first)) is not None:
            _log.error("process cannot run", advice=known.advice, exit_code=known.exit_code)
            return known.exit_code
        _log.error("process ends unexpectedly", exit_code=EXIT_UNEXPECTED, exc_info=first)
        return EXIT_UNEXPECTED
    _log.info("process stopped", exit_code=0)
    return 0


def end(exit_code: int) -> NoReturn:
    """Ends the process now: a library's thread that still waits for something must not keep it."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(exit_code)


def _first(error: Exception) -> BaseException:
    """The first of several that tasks running side by side raised."""
    found: BaseException = error
    while isinstance(found, BaseExceptionGroup):
        found = found.exceptions[0]
    return found


def stop_on_signals() -> asyncio.Event:
    """An event that SIGTERM and SIGINT set; a process that has not ended soon after then ends as it is."""
    stop, loop = asyncio.Event(), asyncio.get_running_loop()

    def give_up() -> None:
        _log.warning("process did not stop in time", exit_code=EXIT_UNEXPECTED)
        os._exit(EXIT_UNEXPECTED)

    def ask() -> None:
        if not stop.is_set():
            stop.set()
            loop.call_later(STOP_TIMEOUT_S, give_up)

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ask)
    return stop


async def serve(app: ASGIApp, host: str, port: int, stop: asyncio.Event) -> None:
    """Serves until ``stop``; requests under way then get a few seconds.

    Raises ``CannotStartError`` if the port is taken.
    """
    with _listening(host, port) as listener:
        _log.info("listening", host=host, port=listener.getsockname()[1])
        server = _Server(
            uvicorn.Config(
                app,
                log_config=None,
                access_log=False,
                lifespan="off",
                http="httptools",
                loop="asyncio",
                ws="none",
                server_header=False,
                backlog=CONNECTIONS_WAITING_MAX,
                limit_concurrency=CONNECTIONS_MAX,
                proxy_headers=False,
                timeout_keep_alive=KEEP_ALIVE_S,
                timeout_graceful_shutdown=REQUESTS_FINISH_S,
            )
        )
        async with asyncio.TaskGroup() as group:
            serving = group.create_task(server.serve(sockets=[listener]))
            stopping = group.create_task(_ask_to_stop(server, stop))
            await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if serving.done():
                stopping.cancel()


async def _ask_to_stop(server: uvicorn.Server, stop: asyncio.Event) -> None:
    await stop.wait()
    server.should_exit = True


@contextlib.contextmanager
def _listening(host: str, port: int) -> Iterator[socket.socket]:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # The protocol must be named: without it asyncio does not see that accepted sockets are TCP and leaves Nagle's
    # algorithm on, so that every answer of two writes waits 40 ms for the client's delayed acknowledgement.
    with socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, port))
            listener.listen(CONNECTIONS_WAITING_MAX)
        except OSError as error:
            raise cannot_listen(host, port, error) from error
        yield listener


class _Server(uvicorn.Server):
    """A server in a process that handles signals itself."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield
