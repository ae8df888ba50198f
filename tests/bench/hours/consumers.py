"""Consumes the attendance topic in a process of its own and says what that cost: ``... MODE SETTINGS_JSON``.

``processor``: the hours processor as it runs in production (Faust, door, engine, ledger, database). ``decode``:
aiokafka and the codec, nothing else. CPU is this process's own (``process_time``), from the first event to the last.
"""

import asyncio
import json
import logging
import random
import sys
import time
from typing import Any

import uvloop
from aiokafka import AIOKafkaConsumer

from services.contracts.activities import ATTENDANCE
from services.contracts.codec import decode
from services.eventing.door.faust_door import FaustDoorSettings, run_faust_processor
from services.eventing.ports import Ports, TopicPartition
from services.hours.wiring import SERVICE, build_handler
from services.runtime.clock import SystemClock
from services.runtime.ids import SystemIds
from services.runtime.mongo import MongoStore
from tests.support.witness import Witness


class Meter(Witness):
    """Counts applied events and takes the time from the first batch after the warm-up to the last."""

    def __init__(self, warm_up: int, events: int, done: asyncio.Event) -> None:
        super().__init__()
        self._warm_up, self._events, self._done = warm_up, events, done
        self.seen = self.batches = 0
        self.began: tuple[float, float, int, int] | None = None
        self.ended: tuple[float, float] = (0.0, 0.0)

    def batch_committed(self, partition: TopicPartition, *, records: int, applied: int, seconds: float) -> None:
        self.seen += applied
        self.batches += 1
        if self.began is None and self.seen >= self._warm_up:
            self.began = (time.process_time(), time.perf_counter(), self.seen, self.batches)
        if self.seen >= self._events:
            self.ended = (time.process_time(), time.perf_counter())
            self._done.set()

    def report(self) -> dict[str, float]:
        """Microseconds of CPU and of wall time an event, and events a batch."""
        assert self.began is not None
        cpu, wall, seen, batches = self.began
        counted = self.seen - seen
        return {
            "cpu_us": (self.ended[0] - cpu) / counted * 1e6,
            "wall_us": (self.ended[1] - wall) / counted * 1e6,
            "events": counted,
            "events_a_batch": counted / max(1, self.batches - batches),
        }


async def processor(settings: dict[str, Any]) -> dict[str, float]:
    """The hours processor until all events are applied."""
    rng, clock, done = random.Random(1), SystemClock(), asyncio.Event()
    store = MongoStore.open(settings["mongodb_uri"], settings["database"], rng)
    await store.prepare(SERVICE.all_collections(), SERVICE.all_indexes())
    meter = Meter(settings["warm_up"], settings["events"], done)
    handler: Any = build_handler()
    handler.processor = settings["group"]
    door = FaustDoorSettings(settings["bootstrap"], batch_records_max=settings["batch"])
    await run_faust_processor(handler, Ports(store, clock, clock, SystemIds(), rng), meter, door, stop=done)
    await store.close()
    return meter.report()


async def decode_only(settings: dict[str, Any]) -> dict[str, float]:
    """A consumer that decodes every event and does nothing with it."""
    done = asyncio.Event()
    meter = Meter(settings["warm_up"], settings["events"], done)
    consumer = AIOKafkaConsumer(
        ATTENDANCE, bootstrap_servers=settings["bootstrap"], group_id=settings["group"], auto_offset_reset="earliest"
    )
    await consumer.start()
    while not done.is_set():
        for partition, records in (await consumer.getmany(timeout_ms=500, max_records=settings["batch"])).items():
            for record in records:
                decode(dict(record.headers)["ce_type"].decode(), record.value or b"")
            meter.batch_committed(TopicPartition(*partition), records=len(records), applied=len(records), seconds=0.0)
    await consumer.stop()
    return meter.report()


if __name__ == "__main__":
    logging.basicConfig(level=logging.ERROR)
    mode = {"processor": processor, "decode": decode_only}[sys.argv[1]]
    sys.stdout.write(json.dumps(uvloop.run(mode(json.loads(sys.argv[2])))) + "\n")
