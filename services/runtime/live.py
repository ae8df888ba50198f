"""Hands a service's changes to all who listen in this process: one reader of the store, a bounded queue for each."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from typing import Final, Literal

from services.eventing.changes import (
    CHANGES_PAGE_EVENTS_MAX,
    START,
    Change,
    latest_cursor,
    list_changes,
    number_of,
)
from services.eventing.outbox import OUTBOX
from services.eventing.ports import Store, StoreError
from services.eventing.waiting import write_or_stop
from services.runtime.logs import logger

LISTENERS_MAX: Final = 1_000
QUEUE_EVENTS_MAX: Final = 512
"""What waits for a listener that is slow; one more, and it is cut off. It comes back with the last id it saw."""
POLL_S: Final = 1.0
"""The backstop of the wakeups; also how soon listeners hear that the process ends."""
RETRY_S: Final = 0.5
HEARTBEAT_S: Final = 15.0
"""Less than what proxies, our gateway among them, wait for the next byte."""
LISTENING_S_MAX: Final = 900.0
"""After so long a listener must show again that it still may: its token may have ended meanwhile."""

End = Literal["too_slow", "stopping", "expired", "broken"]
"""Why a stream ends, as its last event says. ``broken``: the history it followed is lost, or nobody expected this."""

_log = logger(__name__)


class Listener:
    """What one client has yet to be told."""

    def __init__(self) -> None:
        self.waiting: deque[Change] = deque()
        self.woken = asyncio.Event()
        self.end: End | None = None
        self.level_at = 0
        """The number of the last change that it has from elsewhere."""

    def put(self, changes: Sequence[Change]) -> None:
        """Adds changes, unless those would be too many: then what waits is the last, and the end follows."""
        fresh = [change for change in changes if number_of(change.cursor) > self.level_at]
        if self.end is None and fresh:
            if len(self.waiting) + len(fresh) > QUEUE_EVENTS_MAX:
                self.finish("too_slow")
            else:
                self.waiting.extend(fresh)
                self.woken.set()

    def finish(self, end: End) -> None:
        """Nothing more comes but the end; the first reason stands."""
        self.end = self.end or end
        self.woken.set()


class LiveChanges:
    """The changes of one service as they are published, for any number of listeners; reads only while there are some.

    ``stopped`` is the process's sign to end; who runs the process puts its own in place.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._listeners: set[Listener] = set()
        self._users = 0
        self._head: str | None = None
        self._level = asyncio.Event()
        self._reading: asyncio.Task[None] | None = None
        self.stopped = asyncio.Event()

    @property
    def is_full(self) -> bool:
        """Whether no more may listen."""
        return self._users >= LISTENERS_MAX

    async def listen(
        self, after: str | None, *, is_gone: Callable[[], bool] = lambda: False
    ) -> AsyncIterator[Change | End | None]:
        """Changes behind ``after`` (from now on if none): in order, without a gap, each once; at last why it ended.

        ``None`` is a moment without news. Ends without a word when the client is gone. Raises ``CursorUnknownError``.
        """
        self._users += 1
        listener = Listener()
        try:
            ends_at = asyncio.get_running_loop().time() + LISTENING_S_MAX
            await self._begin()
            async for change in self._catch_up(after, listener, is_gone):
                yield change
            if self.stopped.is_set():
                listener.finish("stopping")
            while not is_gone():
                if not listener.waiting and listener.end is None:
                    await _woken(listener)
                    if not listener.woken.is_set():
                        yield None
                listener.woken.clear()
                while listener.waiting:
                    yield listener.waiting.popleft()
                if asyncio.get_running_loop().time() >= ends_at:
                    listener.finish("expired")
                if listener.end is not None and not listener.waiting:
                    yield listener.end
                    return
        finally:
            self._users -= 1
            self._listeners.discard(listener)

    async def _begin(self) -> None:
        if self._reading is None:
            self._head, self._level = None, asyncio.Event()
            self._reading = asyncio.create_task(self._read(self._level))
        await self._level.wait()

    async def _catch_up(
        self, after: str | None, listener: Listener, is_gone: Callable[[], bool]
    ) -> AsyncIterator[Change]:
        """What lies between a cursor and the head. At its end the listener is level, and hears of all that follows."""
        if self._head is None:
            listener.finish("broken")
            return
        place = after if after is not None else self._head
        while not is_gone() and not self.stopped.is_set():
            changes = await list_changes(self._store, place, CHANGES_PAGE_EVENTS_MAX)
            for change in changes:
                yield change
            place = changes[-1].cursor if changes else place
            if number_of(place) >= number_of(self._head or START):
                break
            if not changes:
                await asyncio.sleep(RETRY_S)  # another member of the database may not have it yet
        # Nothing is awaited from the comparison on, so that no change passes between the two.
        listener.level_at = number_of(place)
        self._listeners.add(listener)

    async def _read(self, level: asyncio.Event) -> None:
        """Follows the feed and hands it round, until nobody listens or the process ends."""
        try:
            await self._follow(level)
        except Exception as error:  # noqa: BLE001 - a task of its own: nobody else would hear of it
            _log.error("live changes broke off", exc_info=error)
            self._reading, self._head = None, None
            self._finish_all("broken")
        finally:
            level.set()

    async def _follow(self, level: asyncio.Event) -> None:
        async with self._store.wakeups(OUTBOX) as wakeups:
            while self._users and not self.stopped.is_set():
                try:
                    if self._head is None:
                        self._head = await latest_cursor(self._store)
                        level.set()
                    changes = await list_changes(self._store, self._head, CHANGES_PAGE_EVENTS_MAX)
                except StoreError:
                    await asyncio.sleep(RETRY_S)
                    continue
                if changes:
                    self._head = changes[-1].cursor
                    for listener in self._listeners:
                        listener.put(changes)
                    await asyncio.sleep(0)  # listeners take theirs before more comes
                else:
                    await write_or_stop(wakeups, self.stopped, POLL_S)
            # Nothing is awaited between the look at the users and this: whoever comes now begins a new reading.
            self._reading = None
        if self.stopped.is_set():
            self._finish_all("stopping")

    def _finish_all(self, end: End) -> None:
        for listener in self._listeners:
            listener.finish(end)


async def _woken(listener: Listener) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(HEARTBEAT_S):
            await listener.woken.wait()
