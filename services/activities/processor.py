"""Keeps copies of volunteers, units and organisations: takes batches of registry's events in, nothing else."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, assert_never

from services.activities.people import rules as people_rules
from services.activities.people import store as people
from services.activities.places import rules as places_rules
from services.activities.places import store as places
from services.contracts import registry
from services.contracts.event import Envelope, Event
from services.eventing.batch import Origin, Saved
from services.eventing.ports import Document, Transaction

_COLLECTIONS: Final = {registry.VOLUNTEERS: people.VOLUNTEERS, registry.ORGANISATIONS: places.PLACES}

Copy = people_rules.Volunteer | places_rules.Place


@dataclass(slots=True)
class CopiesState:
    """The key documents that a batch changes: a copy is written whole, whatever it was before."""

    changed: dict[str, Document] = field(default_factory=dict)


class CopiesHandler:
    """Keeps the port ``BatchHandler``. A volunteer's or organisation's key document holds the copy itself."""

    processor: str = "activities"
    topics: tuple[str, ...] = (registry.VOLUNTEERS, registry.ORGANISATIONS)
    uses: frozenset[type[Event]] = frozenset(
        {
            registry.VolunteerRegistered,
            registry.VolunteerUpdated,
            registry.UnitRegistered,
            registry.OrganisationRegistered,
        }
    )
    counters_in_key: frozenset[str] = frozenset()

    def key_collection(self, topic: str) -> str:
        return _COLLECTIONS[topic]

    async def load(  # the port's parameters; a copy needs nothing besides the event
        self,
        tx: Transaction,  # noqa: ARG002
        origin: Origin,  # noqa: ARG002
        envelopes: Sequence[Envelope[Any]],  # noqa: ARG002
        documents: Mapping[str, Document],  # noqa: ARG002
    ) -> CopiesState:
        return CopiesState()

    def decide(self, state: CopiesState, envelope: Envelope[Any], origin: Origin) -> Copy:  # noqa: ARG002
        match envelope.data:
            case registry.VolunteerRegistered() | registry.VolunteerUpdated():
                return people_rules.copy_of(envelope.data)
            case registry.UnitRegistered() | registry.OrganisationRegistered():
                return places_rules.copy_of(envelope.data)
            case _:
                raise AssertionError("the processor gives only what is used")

    def apply(self, state: CopiesState, change: Copy) -> None:
        match change:
            case people_rules.Volunteer():
                state.changed[change.volunteer_id] = people.to_document(change)
            case places_rules.Place():
                state.changed[change.place_id] = places.to_document(change)
            case _:
                assert_never(change)

    async def save(self, tx: Transaction, state: CopiesState) -> Saved:  # noqa: ARG002
        return Saved(documents=state.changed)

    def minutes_at_stake(self, envelope: Envelope[Any]) -> int:  # noqa: ARG002
        return 0
