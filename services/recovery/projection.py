"""Says what of a service can be rebuilt from topics, and how two builds of it are compared."""

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

from services.contracts.event import Envelope
from services.eventing.ports import Document, Transaction


class Row(NamedTuple):
    """What is compared of one document. ``person`` is whose it is; ``content`` is JSON's kinds of values only."""

    unit: str
    month: str
    person: str | None
    content: Any


@dataclass(frozen=True, slots=True)
class Projection:
    """What a processor builds.

    ``collections`` are replaced by a swap, with the processor's positions and parking. ``records`` are owned: rebuilt
    only to be compared, and no swap touches them. ``uncompared`` are replaced too, but depend on how records came in
    batches. ``own_topic`` is the record that keeps a key's order, ``causes_of`` what an event of it says was decided.
    ``after_swap`` makes the service's due work look at everything again. ``row_of`` gives what is compared of a
    document; documents of ``homes``, read first, say in which unit a person's other documents count. A document of
    ``records`` names its cause in the field ``cause``.
    """

    collections: tuple[str, ...]
    row_of: Callable[[str, Document, Callable[[str], str]], Row]
    records: tuple[str, ...] = ()
    uncompared: tuple[str, ...] = ()
    own_topic: str | None = None
    causes_of: Callable[[Envelope[Any]], Iterable[tuple[str, str]]] = lambda _: ()
    homes: str | None = None
    home_of: Callable[[Document], str] = lambda _: ""
    after_swap: Callable[[Transaction], Awaitable[None]] | None = None

    @property
    def compared(self) -> tuple[str, ...]:
        """All collections that are built and compared, those that tell people's homes first."""
        every = (*self.collections, *self.records)
        return every if self.homes is None else (self.homes, *(each for each in every if each != self.homes))
