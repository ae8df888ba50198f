"""Takes a batch of events of hours into volunteers' records and notices: load, decide, save."""

from collections.abc import Mapping, Sequence
from typing import Any, assert_never

from services.contracts.event import Envelope, Event
from services.contracts.hours import ENTRIES, NOTICES, EntryPosted, NoticeRaised
from services.eventing.batch import Origin, Saved
from services.eventing.ports import Document, Transaction
from services.registry.deliveries import store
from services.registry.deliveries.rules import Notice, Served, decide

Change = tuple[str, Served | Notice]
"""The key and what its event leaves."""


class DeliveriesState:
    """What one batch works on."""

    def __init__(self, documents: Mapping[str, Document]) -> None:
        self.served = {key: store.served_of(document) for key, document in documents.items()}
        self.credited: dict[str, None] = {}
        self.notices: list[Notice] = []


class DeliveriesHandler:
    """The registry service's use of the events it consumes (protocol: ``BatchHandler``)."""

    processor = "registry"
    topics: tuple[str, ...] = (ENTRIES, NOTICES)
    uses: frozenset[type[Event]] = frozenset({EntryPosted, NoticeRaised})
    counters_in_key: frozenset[str] = frozenset()

    def key_collection(self, topic: str) -> str:
        """Both topics are keyed by volunteer: one document holds all of a person's order.

        It is not the volunteer's own document, for people edit that while entries pour in here.
        """
        assert topic in self.topics
        return store.RECORDS

    async def load(
        self,
        tx: Transaction,
        origin: Origin,
        envelopes: Sequence[Envelope[Any]],
        documents: Mapping[str, Document],
    ) -> DeliveriesState:
        """The key documents are all that a decision looks at."""
        del tx, origin, envelopes
        return DeliveriesState(documents)

    def decide(self, state: DeliveriesState, envelope: Envelope[Any], origin: Origin) -> Change:
        """What one event leaves; pure."""
        del origin
        key = envelope.subject
        return key, decide(state.served.get(key, Served()), envelope)

    def apply(self, state: DeliveriesState, change: Change) -> None:
        """Takes one event's meaning into the batch."""
        key, left = change
        match left:
            case Served():
                state.served[key] = left
                state.credited[key] = None
            case Notice():
                state.notices.append(left)
            case _:
                assert_never(left)

    async def save(self, tx: Transaction, state: DeliveriesState) -> Saved:
        """Adds the notices, returns the key documents that changed."""
        if state.notices:
            await store.keep_notices(tx, state.notices)
        return Saved({key: store.served_fields(state.served[key]) for key in state.credited})

    def minutes_at_stake(self, envelope: Envelope[Any]) -> int:
        """The minutes of an entry that waits."""
        match envelope.data:
            case EntryPosted() as event:
                return abs(event.minutes)
            case _:
                return 0
