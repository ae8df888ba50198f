"""Waits until the platform has caught up, by what its processes say on ``/metrics``."""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple, Self

import httpx
from prometheus_client.parser import text_string_to_metric_families

from deploy.history.gateway_client import LoadFailed
from services.runtime.metrics import (
    DUE_WORK_DONE,
    EVENTS_APPLIED,
    EVENTS_DUPLICATE,
    EVENTS_IGNORED,
    EVENTS_PUBLISHED,
    LAG_RECORDS,
    LAG_SECONDS,
    OUTBOX_UNMARKED,
    PARKED_RECORDS,
    RECORDS_PARKED,
    RELAY_LEADING,
)

SERVICES: Final = ("registry", "activities", "hours", "assessment")
POLL_S: Final = 0.3
QUIET_S: Final = 1.0
"""At a barrier: nothing moved for so long. What is still on its way then is applied in time all the same."""
QUIET_AT_END_S: Final = 6.5
"""At the end: longer than any gauge is old (the relay counts its outbox every 5 s, the door its lag every 2 s)."""
PATIENCE_S: Final = 600.0
METRICS_TIMEOUT_S: Final = 5.0

_MOVING: Final = (EVENTS_PUBLISHED, EVENTS_APPLIED, EVENTS_DUPLICATE, EVENTS_IGNORED, RECORDS_PARKED, DUE_WORK_DONE)
_GAUGES: Final = (OUTBOX_UNMARKED, RELAY_LEADING, LAG_RECORDS, LAG_SECONDS, PARKED_RECORDS)
_USED: Final = tuple(metric.name for metric in (*_MOVING, *_GAUGES))
_TAKEN: Final = (EVENTS_APPLIED, EVENTS_DUPLICATE, EVENTS_IGNORED)


class Value(NamedTuple):
    """One sample: its labels as a set of pairs, and the number."""

    labels: frozenset[tuple[str, str]]
    number: float


Values = Mapping[str, list[Value]]
"""The samples of one process by metric name."""


@dataclass(slots=True)
class Snapshot:
    """What all processes said at one time; a process that did not answer is missing."""

    processes: dict[str, Values] = field(default_factory=dict)

    def total(self, process: str, names: Iterable[str], **labels: str) -> float:
        """The sum over some metrics of a process, of the samples that have these labels."""
        wanted = set(labels.items())
        values = self.processes.get(process, {})
        return sum(value.number for name in names for value in values.get(name, ()) if wanted <= value.labels)

    def moving(self) -> dict[tuple[str, str], float]:
        """Everything that only grows while work is done."""
        return {
            (process, metric.name): self.total(process, [metric.name])
            for process in self.processes
            for metric in _MOVING
        }

    def waiting(self) -> dict[str, float]:
        """What is known to wait, by process: rows or records; 1 for a process that is away, a relay that stands by."""
        found = {}
        for service in SERVICES:
            relay, processor = f"{service}-relay", f"{service}-processor"
            found[relay] = self.total(relay, [OUTBOX_UNMARKED.name])
            if self.total(relay, [RELAY_LEADING.name]) < 1:
                found[relay] += 1
            found[processor] = self.total(processor, [LAG_RECORDS.name])
            if processor not in self.processes:
                found[processor] += 1
        return {process: number for process, number in found.items() if number > 0}

    @property
    def parked(self) -> int:
        """Records that wait in parking."""
        return int(sum(self.total(f"{service}-relay", [PARKED_RECORDS.name]) for service in SERVICES))


def parse(text: str) -> Values:
    """The samples of the metrics that are used here, by the name they are declared under.

    All others are dropped first: histograms are most of the text, and parsing them most of the cost of a look.
    """
    used = "".join(f"{line}\n" for line in text.splitlines() if line.startswith(_USED))
    values: dict[str, list[Value]] = {}
    for family in text_string_to_metric_families(used):
        for sample in family.samples:
            values.setdefault(sample.name, []).append(Value(frozenset(sample.labels.items()), sample.value))
    return values


class CatchUp:
    """Watches the relays and processors; an async context manager."""

    def __init__(self, addresses: Mapping[str, str], transport: httpx.AsyncBaseTransport | None = None) -> None:
        """``addresses``: where each process answers, by names like ``hours-relay``."""
        self._addresses = {name: url for name, url in addresses.items() if name.endswith(("-relay", "-processor"))}
        self._client = httpx.AsyncClient(transport=transport, timeout=METRICS_TIMEOUT_S, trust_env=False)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.aclose()

    async def look(self) -> Snapshot:
        """What all processes say now."""
        names = list(self._addresses)
        answers = await asyncio.gather(*(self._read(self._addresses[name]) for name in names))
        return Snapshot({name: values for name, values in zip(names, answers, strict=True) if values is not None})

    async def _read(self, url: str) -> Values | None:
        try:
            response = await self._client.get(f"{url}/metrics")
        except httpx.TransportError:
            return None
        return parse(response.text) if response.status_code == httpx.codes.OK else None

    async def taken(self, service: str, topics: Iterable[str], events: int) -> Snapshot:
        """Waits until a service's processor has taken so many events of these topics, or all has long been quiet.

        The second is for counters that a restart has set back.
        """
        processor, topics = f"{service}-processor", tuple(topics)

        def enough(snapshot: Snapshot) -> bool:
            names = [metric.name for metric in _TAKEN]
            return sum(snapshot.total(processor, names, topic=topic) for topic in topics) >= events

        return await self._until_quiet(QUIET_AT_END_S, gauges=True, enough=enough)

    async def barrier(self) -> Snapshot:
        """Waits until nothing moves for a moment."""
        return await self._until_quiet(QUIET_S, gauges=False)

    async def settled(self) -> Snapshot:
        """Waits until nothing moves and nothing waits anywhere, for longer than any gauge is old."""
        return await self._until_quiet(QUIET_AT_END_S, gauges=True)

    async def _until_quiet(
        self, quiet_s: float, *, gauges: bool, enough: Callable[[Snapshot], bool] | None = None
    ) -> Snapshot:
        clock = asyncio.get_running_loop().time
        began = quiet_since = clock()
        before: dict[tuple[str, str], float] = {}
        while True:
            snapshot = await self.look()
            if enough is not None and enough(snapshot):
                return snapshot
            moving, waiting = snapshot.moving(), snapshot.waiting()
            if moving != before or (gauges and waiting):
                before, quiet_since = moving, clock()
            elif clock() - quiet_since >= quiet_s:
                return snapshot
            if clock() - began > PATIENCE_S:
                raise LoadFailed(f"not caught up after {PATIENCE_S:.0f} s: {waiting}")
            await asyncio.sleep(POLL_S)
