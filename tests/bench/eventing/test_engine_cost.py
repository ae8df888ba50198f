"""What the batch engine itself costs an event: headers, decoding, classification, key documents, staging."""

import gc
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any, TypeVar

from services.contracts.activities import CheckedIn
from services.contracts.codec import decode
from services.contracts.event import Envelope, Event
from services.eventing.batch import Origin, Saved
from services.eventing.ports import Document, Transaction
from services.eventing.positions import POSITIONS, position_id
from services.eventing.processor import Engine
from tests.support.counting import PEOPLE, CountingHandler, Counts
from tests.support.engines import START, HandClock
from tests.support.figures import keep
from tests.support.records import P0, LogRecord, Publisher, check_in
from tests.support.witness import Witness

T = TypeVar("T")
BATCHES = 12
PEOPLE_COUNT = 1_000
"""As many keys as one of eight partitions has in a city of 8,600 volunteers."""
ENGINE_US_MAX = 15.0
"""Generous, for shared machines; alone it is a third of this."""


class CostlessStore:
    """Keeps documents without copying or checking them, so that what is measured is not a store."""

    def __init__(self) -> None:
        self.documents: dict[str, dict[str, Document]] = {}

    async def get(self, collection: str, ids: Iterable[str]) -> dict[str, Document]:
        held = self.documents.get(collection, {})
        return {each: held[each] for each in ids if each in held}

    async def find(self, *_: object, **__: object) -> list[Document]:
        return []

    async def insert(self, collection: str, documents: Sequence[Document]) -> None:
        await self.replace(collection, documents)

    async def replace(self, collection: str, documents: Sequence[Document]) -> None:
        self.documents.setdefault(collection, {}).update({each["_id"]: each for each in documents})

    async def transact(self, work: Callable[[Any], Awaitable[T]], *, owner: str | None = None) -> T:
        return await work(self)


class BareHandler(CountingHandler):
    """Does as little as a handler can, so that what is measured is not a handler."""

    uses: frozenset[type[Event]] = frozenset({CheckedIn})

    def decide(self, state: Counts, envelope: Envelope[Any], origin: Origin) -> Envelope[Any]:
        return envelope

    def apply(self, state: Counts, change: Envelope[Any]) -> None:
        state.count[change.subject] = state.count.get(change.subject, 0) + 1

    async def save(self, tx: Transaction, state: Counts) -> Saved:
        return Saved({key: {"count": count} for key, count in state.count.items()})


class AnnouncingHandler(CountingHandler):
    """Announces one fact an event and writes nothing else."""

    async def save(self, tx: Transaction, state: Counts) -> Saved:
        return Saved({key: {"count": state.count[key]} for key in state.changed}, state.facts)


def batches(size: int) -> list[list[LogRecord]]:
    publisher, made = Publisher(), []
    for number in range(BATCHES):
        events = [
            check_in(f"volunteer-{(i * 7919) % PEOPLE_COUNT:08d}") for i in range(number * size, (number + 1) * size)
        ]
        made.append(publisher.records(events, first=number * size))
    return made


def us_per_event(spent_s: Sequence[float], size: int) -> float:
    """The best batch: what others on the machine take only adds."""
    return min(spent_s) * 1e6 / size


async def engine_us(handler: CountingHandler, lists: Sequence[Sequence[LogRecord]]) -> float:
    store = CostlessStore()
    each = position_id(handler.processor, P0)
    store.documents[POSITIONS] = {each: {"_id": each, "next": 0, "last_id": None, "last_offset": None}}
    engine: Engine[Any, Any] = Engine(handler, store, HandClock(), Witness())  # type: ignore[arg-type]
    position, spent = START, []
    for records in lists:
        gc.collect()
        began = time.process_time()
        position = await engine.apply(P0, position, records)
        spent.append(time.process_time() - began)
    assert sum(person["count"] for person in store.documents[PEOPLE].values()) == sum(map(len, lists))
    return us_per_event(spent, len(lists[0]))


def decode_us(lists: Sequence[Sequence[LogRecord]]) -> float:
    spent = []
    for records in lists:
        began = time.process_time()
        for record in records:
            assert record.value is not None
            decode(CheckedIn.TYPE, record.value)
        spent.append(time.process_time() - began)
    return us_per_event(spent, len(lists[0]))


async def test_the_engine_costs_a_few_microseconds_an_event() -> None:
    figures: dict[str, dict[str, float]] = {}
    for size in (500, 1_000, 2_000):
        lists = batches(size)
        costs = {
            "decode_only": decode_us(lists),
            "engine_with_decode": await engine_us(BareHandler(), lists),
            "engine_with_a_fact_an_event": await engine_us(AnnouncingHandler(), lists),
        }
        figures[f"batches_of_{size}"] = {name: round(us, 2) for name, us in costs.items()}
    keep("engine-cost", "make bench", {"cpu_us_per_event": figures})
    for costs in figures.values():
        assert costs["engine_with_decode"] - costs["decode_only"] < ENGINE_US_MAX
