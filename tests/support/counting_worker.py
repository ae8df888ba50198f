"""Runs the counting processor as a process of its own: ``python -m tests.support.counting_worker SETTINGS_JSON``.

It is what a service's processor is, without its HTTP server. Files tell it to misbehave: while ``hold`` exists, it
stops in the middle of a transaction (all written, nothing committed) after making ``held``.
"""

import asyncio
import json
import logging
import random
import signal
import sys
from pathlib import Path
from typing import Any

from services.eventing.batch import Saved
from services.eventing.door.faust_door import FaustDoorSettings, run_faust_processor
from services.eventing.ports import Ports, Transaction
from services.runtime.clock import SystemClock
from services.runtime.ids import SystemIds
from services.runtime.mongo import MongoStore
from tests.support.counting import COLLECTIONS, INDEXES, CountingHandler, Counts
from tests.support.witness import Witness

LOOK_AGAIN_S = 0.02


class HeldHandler(CountingHandler):
    """Stops before the commit while a file says so."""

    def __init__(self, topics: tuple[str, ...], files: Path) -> None:
        super().__init__(topics)
        self._files = files

    async def save(self, tx: Transaction, state: Counts) -> Saved:
        saved = await super().save(tx, state)
        while (self._files / "hold").exists():
            (self._files / "held").touch()
            await asyncio.sleep(LOOK_AGAIN_S)
        return saved


async def main(settings: dict[str, Any]) -> None:
    """Serves until SIGTERM; writes what was observed to ``observed.json`` at the end."""
    files = Path(settings["files"])
    rng = random.Random()
    store = MongoStore.open(settings["mongodb_uri"], settings["database"], rng)
    await store.prepare(COLLECTIONS, INDEXES)
    clock, witness = SystemClock(), Witness()
    handler = HeldHandler(tuple(settings["topics"]), files)
    handler.processor = settings["group"]
    stop, ready = asyncio.Event(), asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    door = FaustDoorSettings(settings["bootstrap"], **settings.get("door", {}))
    told = asyncio.create_task(tell_ready(ready, files / "ready"))
    await run_faust_processor(
        handler, Ports(store, clock, clock, SystemIds(), rng), witness, door, stop=stop, ready=ready
    )
    told.cancel()
    (files / "observed.json").write_text(json.dumps(witness.counts))
    await store.close()


async def tell_ready(ready: asyncio.Event, file: Path) -> None:
    """Makes a file once the processor holds its positions."""
    await ready.wait()
    file.touch()


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(name)s %(levelname)s %(message)s")
    asyncio.run(main(json.loads(sys.argv[1])))
