"""Says what a service adds to the general way back: how its own events become documents again."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from services.contracts.event import Envelope
from services.eventing.ports import Transaction
from services.recovery.projection import Projection

TakeBack = Callable[[Transaction, Envelope[Any]], Awaitable[None]]
"""Writes one event of the service's own topics as if its command had just been accepted. May see an event again."""


@dataclass(frozen=True, slots=True)
class Recovery:
    """One service's part. ``take_back`` is for what commands and due work announce; what the processor announces comes
    back by deciding its inputs again, in the record's order.

    ``not_in_topics``: what a restore has from the backup alone, for an operator, by what is lost after it.
    """

    take_back: TakeBack
    not_in_topics: Mapping[str, str]
    projection: Projection | None = None
