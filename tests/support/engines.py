"""Sets up the batch engine over the store in memory, for tests of one rule each."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from services.contracts.operations import Operations
from services.eventing.ports import Document, TopicPartition
from services.eventing.positions import POSITIONS, Position, position_id
from services.eventing.processor import Engine
from tests.support.counting import APPLIED, COLLECTIONS, INDEXES, PEOPLE, CountingHandler
from tests.support.memory_store import MemoryStore
from tests.support.records import NOON, P0, LogRecord
from tests.support.witness import Witness

START = Position(0, None, None)


class HandClock:
    """A clock that a test moves; keeps the port ``Clock``."""

    def __init__(self, at: datetime = NOON) -> None:
        self.at = at

    def now(self) -> datetime:
        return self.at

    def forward(self, by: timedelta) -> None:
        """Moves on."""
        self.at += by


@dataclass
class Bench:
    """An engine with what it works on. ``position`` follows what ``apply`` returned."""

    store: MemoryStore
    engine: Engine[Any, Any]
    witness: Witness
    clock: HandClock
    position: dict[TopicPartition, Position] = field(default_factory=dict)

    async def apply(self, records: Sequence[LogRecord], partition: TopicPartition = P0) -> Position:
        """Applies records from the position on."""
        start = self.position.get(partition, START)
        self.position[partition] = await self.engine.apply(partition, start, records)
        return self.position[partition]

    def counts(self) -> dict[str, int]:
        """How often each person's check-ins were counted."""
        return {key: person["count"] for key, person in self.store.documents(PEOPLE).items() if "count" in person}

    def applied(self) -> set[str]:
        """The ids of the events that were applied."""
        return set(self.store.documents(APPLIED))

    def projection(self) -> dict[str, dict[str, Document]]:
        """All that a batch writes, but for which rows the facts stand in and how far the position is."""
        rows = self.store.documents("outbox").values()
        facts = {f"{e['key']}|{e['sequence']}": e for row in rows for e in row["events"]}
        return {name: self.store.documents(name) for name in (PEOPLE, APPLIED, "streams")} | {"facts": facts}


def bench(
    handler: CountingHandler | None = None,
    *,
    partitions: Sequence[TopicPartition] = (P0,),
    parked_per_minute_max: int = 100,
    fault: Callable[[str], None] | None = None,
    operators: Operations | None = None,
) -> Bench:
    """An engine at the beginning of its partitions."""
    store = MemoryStore(INDEXES, collections=COLLECTIONS)
    witness, clock = Witness(), HandClock()
    used = handler or CountingHandler()
    engine = Engine(used, store, clock, witness, parked_per_minute_max=parked_per_minute_max, operators=operators)
    for partition in partitions:
        each = position_id(used.processor, partition)
        store.put(POSITIONS, {"_id": each, "next": 0, "last_id": None, "last_offset": None})
    store.fault = fault
    return Bench(store, engine, witness, clock)
