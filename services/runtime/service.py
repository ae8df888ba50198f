"""Says what a service is made of, for whoever starts one of its processes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Generic, Literal, TypeVar

from fastapi import FastAPI

from services.contracts.operations import OPERATIONS, Operations
from services.eventing import outbox, processor
from services.eventing.batch import BatchHandler
from services.eventing.ports import Index, Ports
from services.eventing.relay import lease
from services.eventing.relay.due import DueWork
from services.runtime import commands, tickets
from services.runtime.settings import ServiceSettings

S = TypeVar("S", bound=ServiceSettings)

Kind = Literal["api", "processor", "relay"]
KINDS: Final[tuple[Kind, ...]] = ("api", "processor", "relay")

_COMMON_COLLECTIONS: Final = (
    *commands.COLLECTIONS,
    *outbox.COLLECTIONS,
    *processor.COLLECTIONS,
    *lease.COLLECTIONS,
    *tickets.COLLECTIONS,
)
_COMMON_INDEXES: Final = (*commands.INDEXES, *outbox.INDEXES, *processor.INDEXES, *tickets.INDEXES)


def _no_due_work(_: Ports) -> Sequence[DueWork]:
    return ()


@dataclass(frozen=True, slots=True)
class Service(Generic[S]):
    """One service as its ``wiring.py`` puts it together; building it starts nothing.

    ``collections`` and ``indexes`` are the service's own; what commands, outbox, positions, parking and lease need is
    added.
    """

    name: str
    settings: type[S]
    build_api: Callable[[Ports, S], FastAPI]
    build_handler: Callable[[], BatchHandler[Any, Any]]
    due_work: Callable[[Ports], Sequence[DueWork]] = _no_due_work
    collections: Sequence[str] = ()
    indexes: Sequence[Index] = ()

    @property
    def operators(self) -> Operations | None:
        """The events by which operators mend what is parked; none for what is no service of ours, as in tests."""
        return next((events for name, events in OPERATIONS.items() if name == self.name), None)

    def all_collections(self) -> tuple[str, ...]:
        """Everything that must exist before a transaction runs: none may create a collection."""
        return tuple(dict.fromkeys((*_COMMON_COLLECTIONS, *self.collections)))

    def all_indexes(self) -> tuple[Index, ...]:
        """Every index of the service's database."""
        return (*_COMMON_INDEXES, *self.indexes)
