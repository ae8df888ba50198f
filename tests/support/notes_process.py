"""The processes of the small test service: ``python -m tests.support.notes_process api | processor | relay``."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from services.contracts.event import Envelope, Event
from services.contracts.registry import UnitRegistered
from services.eventing.batch import Origin, Saved
from services.eventing.ports import Document, Transaction
from services.runtime.process import main
from services.runtime.service import Service
from services.runtime.settings import ServiceSettings
from tests.support.notes import NOTES, notes_app

TOPIC = "notes.process-test"
UNITS = "units"


class NotesSettings(ServiceSettings):
    """The environment of the notes processes."""

    SERVICE: ClassVar[str] = "NOTES"


class UnitsHandler:
    """Counts the versions of each unit; keeps eventing's port ``BatchHandler``."""

    processor = "notes-units"
    topics: tuple[str, ...] = (TOPIC,)
    uses: frozenset[type[Event]] = frozenset({UnitRegistered})
    counters_in_key: frozenset[str] = frozenset()

    def key_collection(self, topic: str) -> str:
        return UNITS

    async def load(
        self,
        tx: Transaction,
        origin: Origin,
        envelopes: Sequence[Envelope[Any]],
        documents: Mapping[str, Document],
    ) -> dict[str, int]:
        return {e.data.unit: documents.get(e.data.unit, {}).get("versions", 0) for e in envelopes}

    def decide(self, state: dict[str, int], envelope: Envelope[Any], origin: Origin) -> str:
        return str(envelope.data.unit)

    def apply(self, state: dict[str, int], change: str) -> None:
        state[change] += 1

    async def save(self, tx: Transaction, state: dict[str, int]) -> Saved:
        return Saved({unit: {"versions": versions} for unit, versions in state.items()})

    def minutes_at_stake(self, envelope: Envelope[Any]) -> int:
        return 0


SERVICE = Service(
    name="notes",
    settings=NotesSettings,
    build_api=notes_app,
    build_handler=UnitsHandler,
    collections=(NOTES, UNITS),
)

if __name__ == "__main__":
    main(SERVICE)
