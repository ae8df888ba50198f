"""Counts a batch of events into facts and rollups: load, decide, save."""

from collections.abc import Mapping, Sequence
from typing import Any, assert_never

from services.assessment.facts import store
from services.assessment.facts.rules import Counted, EntryFact, Member, Place, decide
from services.contracts.event import Envelope, Event
from services.contracts.hours import ENTRIES, EntryPosted
from services.contracts.registry import (
    ORGANISATIONS,
    VOLUNTEERS,
    OrganisationRegistered,
    RollRecorded,
    UnitRegistered,
    VolunteerRegistered,
    VolunteerUpdated,
)
from services.eventing.batch import Origin, Saved
from services.eventing.ports import Document, Transaction
from services.eventing.traces import sampled, step_name, step_of


class FactsState:
    """What one batch works on."""

    def __init__(self, origin: Origin, documents: Mapping[str, Document]) -> None:
        self.part = f"{origin.topic}|{origin.partition}"
        self.documents = documents
        self.places: dict[str, Place | None] = {}
        self.known: dict[str, Member | Place] = {}
        self.entries: list[EntryFact] = []
        self.traces: dict[str, str] = {}
        """The steps of the events whose trace is sampled, by event id: a score goes on in the last of them."""


Change = tuple[str, Counted]
"""The key and what its event counts for."""


class FactsHandler:
    """The assessment service's use of the events it consumes (protocol: ``BatchHandler``)."""

    processor = "assessment"
    topics: tuple[str, ...] = (VOLUNTEERS, ORGANISATIONS, ENTRIES)
    uses: frozenset[type[Event]] = frozenset(
        {EntryPosted, VolunteerRegistered, VolunteerUpdated, UnitRegistered, RollRecorded, OrganisationRegistered}
    )
    counters_in_key: frozenset[str] = frozenset()

    def key_collection(self, topic: str) -> str:
        """Volunteers and entries share a key, the volunteer; organisations and units have their own."""
        assert topic in self.topics
        return store.PLACES if topic == ORGANISATIONS else store.MEMBERS

    async def load(
        self,
        tx: Transaction,
        origin: Origin,
        envelopes: Sequence[Envelope[Any]],
        documents: Mapping[str, Document],
    ) -> FactsState:
        """The key documents are all that a decision looks at; rollups are read when they are added to."""
        del tx
        state = FactsState(origin, documents)
        for envelope in envelopes:
            if (step := step_of(envelope.traceparent, step_name(self.processor, envelope.id))) and sampled(step):
                state.traces[envelope.id] = step
        if origin.topic == ORGANISATIONS:
            state.places = {key: store.place_of(document) for key, document in documents.items()}
        return state

    def decide(self, state: FactsState, envelope: Envelope[Any], origin: Origin) -> Change:
        """What one event counts for; pure."""
        del origin
        key = envelope.subject
        return key, decide(state.places.get(key), envelope)

    def apply(self, state: FactsState, change: Change) -> None:
        """Takes one event's meaning into the batch."""
        key, counted = change
        match counted:
            case EntryFact():
                state.entries.append(counted)
            case Place():
                state.places[key] = state.known[key] = counted
            case Member():
                state.known[key] = counted
            case _:
                assert_never(counted)

    async def save(self, tx: Transaction, state: FactsState) -> Saved:
        """Appends the facts, adds to the rollups, returns the key documents that changed."""
        if state.entries:
            await store.save_entries(tx, state.entries, state.part, state.traces)
        if state.known:
            units = [known.home_unit if isinstance(known, Member) else known.unit for known in state.known.values()]
            await store.touch_units(tx, units, state.part)
        return Saved({key: store.fields_of(known) for key, known in state.known.items()})

    def minutes_at_stake(self, envelope: Envelope[Any]) -> int:
        """The minutes of an entry that waits."""
        match envelope.data:
            case EntryPosted() as event:
                return abs(event.minutes)
            case _:
                return 0
