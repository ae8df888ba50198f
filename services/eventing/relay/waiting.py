"""Tells what waits in a service: rows to be published, records in parking, and for how long."""

import asyncio
from datetime import timedelta

from services.eventing.observe import Observer, Waits
from services.eventing.outbox import OUTBOX, UNMARKED
from services.eventing.parking import PARKING
from services.eventing.ports import Document, Ports, Reads
from services.eventing.times import from_text

SAMPLE_ROWS_MAX = 1_000
"""So many unmarked rows are looked at one by one; of more only the number is asked for."""
PAGE_KEYS = 500
VOLUNTEER = "volunteer id"
"""What ``contracts/topics.py`` calls a key that is a person."""

_FIELDS = ("count", "minutes", "subject", "since")


class Sampler:
    """Looks at one service's database for a relay, which need not lead.

    A processor would not do for parking: of several replicas each would tell what it knew when it last parked.
    """

    def __init__(self, ports: Ports, observer: Observer) -> None:
        self._ports = ports
        self._observer = observer
        self._first_seen: dict[str, float] = {}

    async def sample(self) -> None:
        """Tells the observer of both. Raises what the store raises."""
        await self._outbox()
        await self._parking()

    async def _outbox(self) -> None:
        """Counts unmarked rows and tells the age of the oldest.

        By ``created_at``, so that a relay that starts again and again does not make it young; and at least as long as
        this process has seen it, for a development clock may stand still.
        """
        store, where = self._ports.store, {"state": UNMARKED}
        rows = await store.find(OUTBOX, where, sort=(("created_at", 1),), limit=SAMPLE_ROWS_MAX, fields=("created_at",))
        count = len(rows) if len(rows) < SAMPLE_ROWS_MAX else max(SAMPLE_ROWS_MAX, await store.count(OUTBOX, where))
        now = asyncio.get_running_loop().time()
        self._first_seen = {row["_id"]: self._first_seen.get(row["_id"], now) for row in rows}
        seen_for = now - min(self._first_seen.values(), default=now)
        created_ago = self._ports.clock.now() - from_text(rows[0]["created_at"]) if rows else timedelta(0)
        self._observer.outbox(count, max(seen_for, created_ago.total_seconds()))

    async def _parking(self) -> None:
        queues = await read_queues(self._ports.store)
        now = self._ports.wall.now()
        self._observer.parked(
            Waits(
                records=sum(queue["count"] for queue in queues),
                keys=len(queues),
                people=sum(queue["subject"] == VOLUNTEER for queue in queues),
                minutes=sum(queue["minutes"] for queue in queues),
                longest_records=max((queue["count"] for queue in queues), default=0),
                oldest_age_s=max(((now - from_text(queue["since"])).total_seconds() for queue in queues), default=0.0),
            )
        )


async def read_queues(reads: Reads) -> list[Document]:
    """What is known of every key that waits, without its records."""
    queues: list[Document] = []
    after = ""
    while True:
        page = await reads.find(PARKING, {"_id": {"$gt": after}}, limit=PAGE_KEYS, fields=_FIELDS)
        queues += page
        if len(page) < PAGE_KEYS:
            return queues
        after = page[-1]["_id"]
