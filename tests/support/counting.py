"""A tiny processor for tests: counts check-ins per person, remembers each event, announces one fact for each."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from services.contracts.activities import ATTENDANCE, CheckedIn
from services.contracts.event import Envelope, Event
from services.contracts.hours import TIMEOUTS, AttendanceTimedOut
from services.contracts.ids import EventId
from services.eventing import outbox, processor
from services.eventing.batch import Origin, Saved
from services.eventing.facts import Fact, derived_id
from services.eventing.ports import Document, Transaction

PEOPLE = "people"
APPLIED = "applied"
COLLECTIONS = (PEOPLE, APPLIED, *outbox.COLLECTIONS, *processor.COLLECTIONS)
INDEXES = (*outbox.INDEXES, *processor.INDEXES)
POISON = "poison"
"""A check-in of this batch id cannot be decided."""


@dataclass(slots=True)
class Counts:
    """The state of one batch: how often each person checked in, and what to write for it."""

    count: dict[str, int]
    applied: list[Document] = field(default_factory=list)
    facts: list[Fact] = field(default_factory=list)
    changed: set[str] = field(default_factory=set)


class CountingHandler:
    """Keeps the port ``BatchHandler``. ``applied`` has a document an event: one applied twice could not be inserted."""

    processor = "counting"
    uses: frozenset[type[Event]] = frozenset({CheckedIn})
    counters_in_key = frozenset({TIMEOUTS})

    def __init__(self, topics: tuple[str, ...] = (ATTENDANCE,), *, counters_in_key: bool = True) -> None:
        self.topics = topics
        if not counters_in_key:
            self.counters_in_key = frozenset()

    def key_collection(self, topic: str) -> str:
        return PEOPLE

    async def load(
        self, tx: Transaction, origin: Origin, envelopes: Sequence[Envelope[Any]], documents: Mapping[str, Document]
    ) -> Counts:
        return Counts({key: document.get("count", 0) for key, document in documents.items()})

    def decide(self, state: Counts, envelope: Envelope[Any], origin: Origin) -> Envelope[Any]:
        if envelope.data.batch_id == POISON:
            raise ValueError(f"cannot decide {envelope.data.volunteer_id}")
        return envelope

    def apply(self, state: Counts, change: Envelope[Any]) -> None:
        key = change.subject
        state.count[key] = state.count.get(key, 0) + 1
        state.changed.add(key)
        state.applied.append({"_id": change.id, "key": key, "number": state.count[key]})
        data = AttendanceTimedOut(
            volunteer_id=change.data.volunteer_id, attendance_id=change.data.attendance_id, due_at=change.time
        )
        state.facts.append(Fact(EventId(derived_id(change.id, "counted", 0)), data, change.time))

    async def save(self, tx: Transaction, state: Counts) -> Saved:
        if state.applied:
            await tx.insert(APPLIED, state.applied)
        return Saved({key: {"count": state.count[key]} for key in state.changed}, state.facts)

    def minutes_at_stake(self, envelope: Envelope[Any]) -> int:
        session = envelope.data.session
        return int((session.ends_at - session.starts_at).total_seconds() // 60)
