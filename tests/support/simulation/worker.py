"""Drives a processor's door from the simulated broker, as the Faust adapter does from the real one."""

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any, Final

from services.eventing.door import logic
from services.eventing.door.logic import Door
from services.eventing.observe import Observer
from services.eventing.ports import LogError, Ports, TopicPartition
from services.eventing.processor import Engine
from tests.support.simulation.log import Broker, FencedError, LogRecord
from tests.support.simulation.network import UnansweredError

HEARTBEAT_S: Final = 1.0
COMMIT_EVERY_S: Final = 2.0
IDLE_S: Final = 0.2
PAUSE_AFTER_ERROR_S: Final = 0.5
FETCH_RECORDS_MAX: Final = 6
"""Small, so that one seed has many batches."""
NOTHING: Final = frozenset[TopicPartition]()


class SimulatedReader:
    """Keeps the port ``LogReader``: one member's positions in what it believes to own."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._positions: dict[TopicPartition, int] = {}
        self._assignment = NOTHING
        self.flowing = False
        """Whether no rebalance is going on, as far as this member knows."""

    def assignment(self) -> frozenset[TopicPartition]:
        return self._assignment if self.flowing else NOTHING

    async def bounds(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, tuple[int, int]]:
        try:
            bounds: dict[TopicPartition, tuple[int, int]] = await self._broker.ask(
                self._broker.bounds, tuple(partitions)
            )
        except UnansweredError as error:
            raise LogError(str(error)) from error
        return bounds

    async def seek(self, positions: Mapping[TopicPartition, int]) -> None:
        if not self._assignment.issuperset(positions):  # as the client: it knows nothing of the flow
            raise LogError("not assigned any more")
        self._positions.update(positions)

    def assign(self, partitions: frozenset[TopicPartition]) -> None:
        """Begins a generation: nothing is fetched before it is sought."""
        self._assignment = partitions
        self._positions.clear()

    async def fetch(self) -> dict[TopicPartition, list[LogRecord]]:
        """The next records of every partition that has a position. What a seek overtook is delivered all the same."""
        asked = dict(self._positions)
        found: dict[TopicPartition, list[LogRecord]] = await self._broker.ask(
            self._broker.fetch, asked, FETCH_RECORDS_MAX
        )
        for partition, records in found.items():
            if self._positions.get(partition) == asked[partition]:
                self._positions[partition] = records[-1].offset + 1
        return {each: records for each, records in found.items() if each in self._positions}


class SimulatedWorker:
    """One member of a processor's group: heartbeats, fetches, commits, and the order of the door's calls."""

    def __init__(
        self,
        engine: Engine[Any, Any],
        broker: Broker,
        ports: Ports,
        observer: Observer,
        *,
        member: str,
        stopping: asyncio.Event,
    ) -> None:
        self._engine = engine
        self._broker = broker
        self._member = member
        self._reader = SimulatedReader(broker)
        self._door = Door(
            engine,
            self._reader,
            ports.wall,
            ports.rng,
            observer,
            lanes=ports.rng.choice((1, 1, 2)),
            batch_records_max=logic.BATCH_RECORDS_MAX,
        )
        self._generation = 0
        self._positions_due = False
        self._stopping = stopping

    async def run(self) -> None:
        """Works until it is stopped. Whatever the door raises ends the process."""
        async with asyncio.TaskGroup() as group:
            loops = [group.create_task(each) for each in (self._membership(), self._rounds(), self._committing())]
            await self._stopping.wait()
            self._reader.flowing = False
            await self._door.finish()
            for each in loops:
                each.cancel()
        await self._quietly(self._broker.leave, self._engine.processor, self._member)

    async def _membership(self) -> None:
        """Hears of a new generation late, and begins it whatever the loop is doing."""
        topics = frozenset(self._engine.topics)
        while True:
            heard = await self._quietly(self._broker.heartbeat, self._engine.processor, self._member, topics)
            if heard is not None and heard[0] != self._generation and not self._stopping.is_set():
                self._reader.flowing = False
                await self._door.finish()
                self._generation, partitions = heard
                self._reader.assign(partitions)
                self._positions_due = True
                self._reader.flowing = not self._stopping.is_set()
            await asyncio.sleep(HEARTBEAT_S)

    async def _rounds(self) -> None:
        """The loop that alone talks to the door, but for its end."""
        while True:
            if not self._reader.flowing:
                await asyncio.sleep(IDLE_S)
            elif self._positions_due:
                self._positions_due = False
                await self._door.assigned(self._reader.assignment())
            elif not self._door.owned:
                await asyncio.sleep(IDLE_S)
            else:
                await self._round()

    async def _round(self) -> None:
        try:
            batches = await self._reader.fetch()
        except UnansweredError:
            await asyncio.sleep(PAUSE_AFTER_ERROR_S)
            return
        if batches and not self._positions_due:
            await self._door.receive(batches)

    async def _committing(self) -> None:
        while True:
            await asyncio.sleep(COMMIT_EVERY_S)
            if offsets := self._door.uncommitted():
                try:
                    await self._broker.ask(self._broker.commit, self._engine.processor, self._generation, offsets)
                except (UnansweredError, FencedError):
                    self._door.not_committed(offsets)

    async def _quietly(self, function: Any, *arguments: Any) -> Any:
        """What the client library asks by itself and repeats until it is answered."""
        try:
            return await self._broker.ask(function, *arguments)
        except UnansweredError:
            return None
