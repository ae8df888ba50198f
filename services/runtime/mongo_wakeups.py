"""Hears of writes to a MongoDB collection through a change stream, which is reopened whenever it breaks."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from pymongo.asynchronous.collection import AsyncCollection
from pymongo.errors import OperationFailure, PyMongoError

from services.eventing.ports import Document, StoreUnavailableError, Wakeups
from services.runtime.mongo_commands import in_the_stores_words

CHANGES_PER_ANSWER_MAX = 1_000
ANSWER_WITHIN_MS = 1_000
"""How long the server holds a request while there is no change."""
PAUSE_AFTER_CHANGE_S = 0.005
"""Many writes in a row are one wake-up and few requests."""
REOPEN_PAUSE_S = 0.25
CANCEL_AGAIN_S = 0.1
LOST_HISTORY_CODES = frozenset({136, 260, 280, 286})
"""CappedPositionLost, InvalidResumeToken, ChangeStreamFatalError, ChangeStreamHistoryLost."""
ONLY_THE_TOKEN: list[Mapping[str, Any]] = [{"$project": {"_id": 1}}]


class MongoWakeups:
    """What one change stream has heard since it was last asked."""

    def __init__(self, collection: AsyncCollection[Document]) -> None:
        self._collection = collection
        self._heard = asyncio.Event()
        self._listening = asyncio.create_task(self._listen())

    async def wait(self, timeout_s: float) -> bool:
        if self._listening.done():
            self._listening.result()  # it ends only by an error that is nobody's to handle
        try:
            async with asyncio.timeout(timeout_s):
                await self._heard.wait()
        except TimeoutError:
            return False
        self._heard.clear()
        return True

    async def stop(self) -> None:
        """End the listening."""
        # Before Python 3.12 asyncio.wait_for, which the driver uses, loses a cancellation that comes with its answer.
        while not self._listening.done():
            self._listening.cancel()
            await asyncio.wait({self._listening}, timeout=CANCEL_AGAIN_S)
        if not self._listening.cancelled():
            self._listening.result()

    async def _listen(self) -> None:
        while True:
            try:
                await self._hear()
            except PyMongoError as error:
                lost = isinstance(error, OperationFailure) and error.code in LOST_HISTORY_CODES
                if not lost and not isinstance(in_the_stores_words(error), StoreUnavailableError):
                    raise
            await asyncio.sleep(REOPEN_PAUSE_S)
            self._heard.set()  # nobody knows what was written meanwhile

    async def _hear(self) -> None:
        async with await self._collection.watch(
            ONLY_THE_TOKEN, batch_size=CHANGES_PER_ANSWER_MAX, max_await_time_ms=ANSWER_WITHIN_MS
        ) as stream:
            while stream.alive:
                if await stream.try_next() is not None:
                    self._heard.set()
                    await asyncio.sleep(PAUSE_AFTER_CHANGE_S)


@asynccontextmanager
async def listening(collection: AsyncCollection[Document]) -> AsyncIterator[Wakeups]:
    """Listen to a collection for as long as the context lasts."""
    wakeups = MongoWakeups(collection)
    try:
        yield wakeups
    finally:
        await wakeups.stop()
