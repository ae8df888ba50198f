"""Laws of parking: whatever operators do in between, a mended history ends as if it had come right."""

import asyncio
from dataclasses import dataclass
from typing import Any, Literal

from hypothesis import given, settings
from hypothesis import strategies as st

from services.contracts.activities import ATTENDANCE
from services.contracts.ids import ActorId, EventId
from services.contracts.operations import OPERATIONS, ParkedRecord
from services.eventing.parking import PARKING
from services.eventing.ports import TopicPartition
from tests.support.counting import PEOPLE, POISON
from tests.support.engines import Bench, bench
from tests.support.records import P0, Publisher, check_in

HOURS = OPERATIONS["hours"]
OPS = TopicPartition(HOURS.topic, 0)
KEYS = ("a", "b")
Action = Literal["repair", "redrive", "discard"]


@dataclass(frozen=True)
class Arrives:
    """A check-in arrives, which can be decided or not."""

    key: str
    poison: bool


@dataclass(frozen=True)
class Asks:
    """An operator asks something of a key's queue: of the record at that place from its front, if there is one."""

    key: str
    action: Action
    place: int


arrivals = st.builds(Arrives, st.sampled_from(KEYS), st.booleans())
asked: st.SearchStrategy[Action] = st.sampled_from(("repair", "redrive", "discard"))
requests = st.builds(Asks, st.sampled_from(KEYS), asked, st.integers(0, 2))
histories = st.lists(st.one_of(arrivals, arrivals, requests), max_size=14)


class Desk:
    """One engine, one log, and operators."""

    def __init__(self) -> None:
        self.bench: Bench = bench(partitions=(P0, OPS), operators=HOURS)
        self.publisher, self.asking = Publisher(), Publisher("ask")
        self.arrived = self.requested = 0

    async def arrive(self, step: Arrives) -> None:
        """Applies one check-in."""
        event = check_in(step.key, batch_id=POISON if step.poison else None)
        await self.bench.apply(self.publisher.records([event], first=self.arrived))
        self.arrived += 1

    async def ask(self, step: Asks) -> None:
        """Requests something, whether it makes sense or not."""
        queue = self.bench.store.documents(PARKING).get(f"counting|{step.key}", {"records": []})["records"]
        found: Any = queue[step.place] if step.place < len(queue) else None
        record = corrected = None
        if found is not None:
            place = {name: found[name] for name in ("topic", "partition", "offset")}
            record = ParkedRecord(**place, event_id=EventId(found["id"]))
            corrected = found["value"].decode().replace(f'"{POISON}"', "null")
        event = HOURS.requested(
            request_id=f"request-{self.requested}",
            parked_id=f"counting|{step.key}",
            parked_key=step.key,
            action=step.action,
            record=record,
            corrected=corrected,
            reason_code="trial_record",
            requested_by=ActorId("one"),
            confirmed_by=ActorId("two"),
        )
        await self.bench.apply(self.asking.records([event], partition=OPS, first=self.requested), OPS)
        self.requested += 1

    def queue(self, key: str) -> list[str]:
        """The ids that wait of a key, in order."""
        queue = self.bench.store.documents(PARKING).get(f"counting|{key}", {"records": []})
        return [record["id"] for record in queue["records"]]

    def flags(self) -> dict[str, bool]:
        """Which keys are parked, as their own documents say."""
        return {key: document["inbox"]["parked"] for key, document in self.bench.store.documents(PEOPLE).items()}

    async def mend_all(self) -> None:
        """Repairs and redrives until nothing waits."""
        while waiting := [key for key in KEYS if self.queue(key)]:
            for key in waiting:
                await self.ask(Asks(key, "repair", 0))
                await self.ask(Asks(key, "redrive", 0))


def invariants(desk: Desk) -> None:
    """What holds after every step: the flag is the queue, queues are in order, nothing is applied and parked."""
    for key in KEYS:
        waiting = desk.queue(key)
        assert desk.flags().get(key, False) == bool(waiting)
        assert waiting == sorted(waiting, key=lambda each: int(each.rpartition("-")[2]))
        assert not desk.bench.applied() & set(waiting)
    numbers: dict[str, list[tuple[int, int]]] = {}
    for each in desk.bench.store.documents("applied").values():
        numbers.setdefault(each["key"], []).append((int(each["_id"].rpartition("-")[2]), each["number"]))
    for pairs in numbers.values():
        assert [number for _, number in sorted(pairs)] == list(range(1, len(pairs) + 1)), "applied out of order"


@settings(max_examples=150, deadline=None)
@given(histories)
def test_a_mended_history_ends_as_if_it_had_come_right(history: list[Arrives | Asks]) -> None:
    """Without discards, whatever else is asked whenever: the state is that of the right records alone."""

    async def run() -> None:
        desk, straight = Desk(), Desk()
        for step in history:
            match step:
                case Arrives():
                    await desk.arrive(step)
                    await straight.arrive(Arrives(step.key, poison=False))
                case Asks(action="discard"):
                    continue
                case Asks():
                    await desk.ask(step)
            invariants(desk)
        await desk.mend_all()
        invariants(desk)
        for name in (PEOPLE, "applied"):
            assert desk.bench.store.documents(name) == straight.bench.store.documents(name)
        assert desk.bench.store.documents(PARKING) == {}

    asyncio.run(run())


@settings(max_examples=150, deadline=None)
@given(histories)
def test_nothing_is_lost_or_doubled_whatever_is_asked(history: list[Arrives | Asks]) -> None:
    """Discards as well: every record that arrived is applied, waits, or was discarded, and is one of these only."""

    async def run() -> None:
        desk, discarded = Desk(), set[str]()
        for step in history:
            match step:
                case Arrives():
                    await desk.arrive(step)
                case Asks():
                    before = {key: desk.queue(key) for key in KEYS}
                    await desk.ask(step)
                    if step.action == "discard":
                        discarded |= set(before[step.key]) - set(desk.queue(step.key))
            invariants(desk)
            waiting = {each for key in KEYS for each in desk.queue(key)}
            arrived = {f"event-{number + 1}" for number in range(desk.arrived)}
            assert desk.bench.applied() | waiting | discarded == arrived
            assert not desk.bench.applied() & discarded
        assert P0.topic == ATTENDANCE

    asyncio.run(run())
