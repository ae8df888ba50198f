"""Makes ports for tests of one app or handler: time that stands still until moved, ids that count."""

import random
from datetime import UTC, datetime, timedelta

from services.eventing.ports import Ports, Store
from services.eventing.traces import Span, Spans

START = datetime(2026, 7, 1, tzinfo=UTC)


class SetClock:
    """Tells the time that a test set; keeps the port ``Clock``."""

    def __init__(self, at: datetime = START) -> None:
        self.at = at

    def now(self) -> datetime:
        return self.at

    def move(self, by: timedelta) -> None:
        """Lets time pass."""
        self.at += by


class CountedIds:
    """``id-000001``, ``id-000002``, and so on; keeps the port ``Ids``."""

    def __init__(self) -> None:
        self.made = 0

    def new(self) -> str:
        self.made += 1
        return f"id-{self.made:06}"


class KeptSpans:
    """Keeps the port ``Spans``, and what it was given."""

    def __init__(self) -> None:
        self.kept: list[Span] = []

    def record(self, span: Span) -> None:
        self.kept.append(span)

    @property
    def names(self) -> list[str]:
        """What the steps are called, in order of their end."""
        return [span.name for span in self.kept]


def make_ports(
    store: Store, *, clock: SetClock | None = None, wall: SetClock | None = None, spans: Spans | None = None
) -> Ports:
    """Ports around a store; business time and real time are one clock unless two are given."""
    clock = clock or SetClock()
    return Ports(store=store, clock=clock, wall=wall or clock, ids=CountedIds(), rng=random.Random(1), spans=spans)
