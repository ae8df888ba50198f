"""Runs asyncio code deterministically: virtual time, and nodes that stand for processes."""

import asyncio
import contextvars
import gc
import heapq
import random
import sys
import threading
import warnings
import zlib
from asyncio import events
from collections import deque
from collections.abc import Callable, Coroutine, Generator, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar, TypeVarTuple

from services.eventing.ports import Ports

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

TASKS_KEPT_MIN = 64
"""Finished tasks of a node are let go from this many on."""
SERIALS = 1 << 20

NODE: "contextvars.ContextVar[Node]" = contextvars.ContextVar("node")


class NotDeterministicError(RuntimeError):
    """Something asked for a thread, an executor or a real socket, which no seed can repeat."""


class Node:
    """One process: first in, first out inside, as asyncio promises; in any order against the others.

    A killed node's callbacks never run again, so neither ``except`` nor ``finally`` sees it, as with ``kill -9``. Its
    tasks are kept until the loop closes: collecting a coroutine would run its ``finally``.
    """

    def __init__(self, loop: "SimulatedLoop", name: str) -> None:
        self.loop = loop
        self.name = name
        self.tag = name.encode()
        self.ready: deque[asyncio.Handle] = deque()
        self.alive = True
        self.paused = False
        self.skew_s = 0.0
        self.steps = 0
        self.fuse: int | None = None
        """The node dies instead of taking this step."""
        self.tasks: list[asyncio.Task[Any]] = []
        self.ports: Ports | None = None
        """What its process was given, for whatever finds its process through the node."""
        self.context = contextvars.copy_context()
        self.context.run(NODE.set, self)

    def spawn(self, work: Coroutine[Any, Any, T]) -> "asyncio.Task[T]":
        """Starts a task that belongs to this node."""
        return self.context.copy().run(self.loop.create_task, work)

    def call_later(self, delay_s: float, callback: Callable[[*Ts], object], *args: *Ts) -> asyncio.TimerHandle:
        """Calls back in this node after ``delay_s`` of virtual time; never if it is dead by then."""
        return self.loop.call_at(self.loop.now + delay_s, callback, *args, context=self.context)

    def kill(self) -> None:
        """Ends the process between two of its steps."""
        self.alive = False
        self.paused = False
        self.ready.clear()
        self.loop.forget(self)

    def pause(self) -> None:
        """Stops the process as SIGSTOP does; its timers fall due meanwhile."""
        self.paused = True
        self.loop.forget(self)

    def resume(self) -> None:
        """Lets a paused process go on with whatever has become due."""
        was, self.paused = self.paused, False
        if was and self.alive and self.ready:
            self.loop.runnable.append(self)


class SimulatedTask(asyncio.Task[T]):
    """A task whose place in a set depends on when it was made, not on its address in memory."""

    serial = 0

    def __hash__(self) -> int:
        return self.serial


class SimulatedLoop(asyncio.BaseEventLoop):
    """One seed gives one order of steps. Time moves only when no node can run.

    ``trace`` is a checksum over who ran when and whatever ``note`` was told: equal for two runs of one plan.
    """

    def __init__(self, seed: object = 0) -> None:
        super().__init__()
        self.rng = random.Random(f"loop {seed}")
        self.now = 0.0
        self.steps = 0
        self.trace = 0
        self.runnable: list[Node] = []
        self.failures: list[dict[str, Any]] = []
        """What reached asyncio's exception handler: an exception that nobody awaited."""
        self.on_death: Callable[[Node], None] | None = None
        """Called when a node's fuse has burnt down, after it was killed."""
        self._timers: list[tuple[float, int, asyncio.TimerHandle]] = []
        self._serial = 0
        self._halted = False
        self._over = False
        self.root = Node(self, "root")

    # what asyncio and libraries ask of a loop

    def time(self) -> float:
        return self.now

    def is_running(self) -> bool:
        return events._get_running_loop() is self

    def is_closed(self) -> bool:
        return self._over

    def get_debug(self) -> bool:
        return False

    def create_task(
        self,
        coro: "Generator[Any, None, T] | Coroutine[Any, Any, T]",
        *,
        name: object = None,
        context: contextvars.Context | None = None,
    ) -> "asyncio.Task[T]":
        task: SimulatedTask[T] = SimulatedTask.__new__(SimulatedTask)
        self._serial += 1
        task.serial = self._serial % SERIALS  # before __init__, which puts the task into asyncio's own sets
        task.__init__(coro, loop=self, name=None if name is None else str(name), context=context)  # type: ignore[misc]
        task._log_destroy_pending = False  # type: ignore[attr-defined]
        own = self._node_of(context or contextvars.copy_context()).tasks
        own.append(task)
        if len(own) > TASKS_KEPT_MIN:
            own[:] = [each for each in own if not each.done()]
        return task

    def call_exception_handler(self, context: Any) -> None:
        self.failures.append(dict(context))

    def run_in_executor(self, executor: Any, func: Callable[[*Ts], T], *args: *Ts) -> asyncio.Future[T]:
        raise NotDeterministicError("run_in_executor")

    def call_soon_threadsafe(
        self, callback: Callable[[*Ts], object], *args: *Ts, context: contextvars.Context | None = None
    ) -> asyncio.Handle:
        raise NotDeterministicError("call_soon_threadsafe")

    def call_soon(
        self,
        callback: Callable[[*Ts], object],
        *args: *Ts,
        context: contextvars.Context | None = None,
    ) -> asyncio.Handle:
        handle = asyncio.Handle(callback, args, self, context)
        self._push(handle)
        return handle

    def call_later(
        self,
        delay: float,
        callback: Callable[[*Ts], object],
        *args: *Ts,
        context: contextvars.Context | None = None,
    ) -> asyncio.TimerHandle:
        return self.call_at(self.now + delay, callback, *args, context=context)

    def call_at(
        self,
        when: float,
        callback: Callable[[*Ts], object],
        *args: *Ts,
        context: contextvars.Context | None = None,
    ) -> asyncio.TimerHandle:
        handle = asyncio.TimerHandle(when, callback, args, self, context)
        self._serial += 1
        heapq.heappush(self._timers, (when, self._serial, handle))
        return handle

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """A cancelled timer stays in the heap until its time and is then dropped."""

    # running

    def note(self, what: bytes) -> None:
        """Takes something that happened into the trace."""
        self.trace = zlib.crc32(what, self.trace)

    def halt(self) -> None:
        """Ends ``run`` before the next step."""
        self._halted = True

    def forget(self, node: Node) -> None:
        """Takes a node that was killed or paused off the list of those that can run."""
        if node in self.runnable:
            self.runnable.remove(node)

    def run(self, until_s: float = float("inf")) -> bool:
        """Runs until ``halt`` (true), or until nothing is left to do before ``until_s`` (false)."""
        start = threading.Thread.start
        threading.Thread.start = _no_thread  # type: ignore[method-assign]
        previous = events._get_running_loop()
        events._set_running_loop(self)
        self._halted = False
        try:
            while not self._halted:
                if self.runnable:
                    self._step()
                elif not self._advance(until_s):
                    return False
            return True
        finally:
            events._set_running_loop(previous)
            threading.Thread.start = start  # type: ignore[method-assign]

    def run_until_complete(self, future: Any) -> Any:
        """Runs one awaitable to its end, as tests without a world do. Raises what it raises; a deadlock is an error."""
        done = asyncio.ensure_future(future, loop=self)
        done.add_done_callback(lambda _: self.halt())
        self.run()
        if not done.done():
            raise RuntimeError("nothing is left to do and the awaitable is not done")
        return done.result()

    async def shutdown_asyncgens(self) -> None:
        """Nothing: a generator of a dead node must not be finalised."""

    async def shutdown_default_executor(self, timeout: float | None = None) -> None:  # noqa: ASYNC109 - asyncio's own
        """Nothing: there is no executor."""

    def close(self) -> None:
        """Nothing runs any more, not even what the collector's finalisers ask for."""
        self._over = True
        self.runnable.clear()
        self._timers.clear()

    def __del__(self) -> None:
        """Nothing: there is no socket to close, and a world that failed is not closed either."""

    def _node_of(self, context: contextvars.Context) -> Node:
        return context.get(NODE, self.root)

    def _push(self, handle: asyncio.Handle) -> None:
        node = handle._context.get(NODE, self.root)  # type: ignore[attr-defined]
        if not node.alive or self._over:
            return
        ready = node.ready
        ready.append(handle)
        if len(ready) == 1 and not node.paused:
            self.runnable.append(node)

    def _step(self) -> None:
        runnable = self.runnable
        index = int(self.rng.random() * len(runnable)) if len(runnable) > 1 else 0
        node = runnable[index]
        if node.fuse is not None and node.steps >= node.fuse:
            node.kill()
            if self.on_death is not None:
                self.on_death(node)
            return
        handle = node.ready.popleft()
        if not node.ready:
            runnable[index] = runnable[-1]
            runnable.pop()
        if handle._cancelled:
            return
        node.steps += 1
        self.steps += 1
        self.trace = zlib.crc32(node.tag, self.trace)
        handle._run()

    def _advance(self, until_s: float) -> bool:
        """Moves time to the next timer that is due by ``until_s``; false if there is none."""
        timers = self._timers
        while timers and timers[0][2]._cancelled:
            heapq.heappop(timers)
        if not timers or timers[0][0] > until_s:
            return False
        self.now = max(self.now, timers[0][0])
        while timers and timers[0][0] <= self.now:
            handle = heapq.heappop(timers)[2]
            if not handle._cancelled:
                self._push(handle)
        return True


def current_node() -> Node:
    """The process that the running code belongs to."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, SimulatedLoop)
    return NODE.get(loop.root)


@contextmanager
def burial() -> Iterator[None]:
    """Collects at its end, and only then, what dead nodes leave behind.

    A finaliser that runs at some allocation is not deterministic; and coroutines that never got to an end complain.
    """
    hook, sys.unraisablehook = sys.unraisablehook, lambda _: None
    gc.disable()
    gc.freeze()  # what is there already is not looked through: a collection is then a matter of milliseconds
    try:
        yield
    finally:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # "was never awaited"
            gc.collect()
        gc.unfreeze()
        gc.enable()
        sys.unraisablehook = hook


def _no_thread(self: threading.Thread) -> None:
    raise NotDeterministicError(f"a thread: {self.name}")
