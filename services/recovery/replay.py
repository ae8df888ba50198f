"""Runs a processor's engine over what topics hold, up to given offsets and in the record's order."""

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, Final

from services.eventing.history import History
from services.eventing.incoming import id_of
from services.eventing.ports import Record, TopicPartition
from services.eventing.positions import Position
from services.eventing.processor import Engine
from services.recovery.order import Causes

BATCH_RECORDS: Final = 500


class Stream:
    """One partition on its way from a position to an end: looks ahead, and applies what it is told to."""

    def __init__(
        self, engine: Engine[Any, Any], history: History, partition: TopicPartition, start: Position, end: int
    ) -> None:
        self.partition = partition
        self.position = start
        self._engine = engine
        self._parts: AsyncIterator[Sequence[Record]] = history.read(partition, start.next, end)
        self._ahead: list[Record] = []

    async def ahead(self) -> list[Record]:
        """The records that come next; none at the end."""
        if not self._ahead:
            async for records in self._parts:
                self._ahead = list(records)
                break
        return self._ahead

    async def apply(self, records: int) -> None:
        """Applies the next records as one batch."""
        batch, self._ahead = self._ahead[:records], self._ahead[records:]
        self.position = await self._engine.apply(self.partition, self.position, batch)


async def replay(
    engine: Engine[Any, Any],
    history: History,
    partitions: Sequence[TopicPartition],
    ends: Mapping[TopicPartition, int],
    causes: Causes,
    *,
    batch_records: int = BATCH_RECORDS,
    only_named: bool = False,
) -> int:
    """Applies partitions of one number, one a topic, from their stored positions up to ``ends``.

    The first partition leads; the others are taken up where the record wants something of them, and at the end. With
    ``only_named`` it ends as soon as every cause that the record names has come. Returns how many events had to come
    out of their turn, because the record names something before them that is nowhere: 0 unless something was lost.
    """
    await engine.take_over(partitions)
    await engine.create(dict.fromkeys(partitions, 0))
    starts = await engine.positions(partitions)
    streams = [Stream(engine, history, each, starts[each], ends.get(each, 0)) for each in partitions]
    disordered = 0
    while not (only_named and causes.left == 0):
        if await _advance(streams, causes, batch_records):
            continue
        blocked = [stream for stream in streams if await stream.ahead()]
        if not blocked:
            break
        disordered += 1
        causes.came(id_of((await blocked[0].ahead())[0]))
        await blocked[0].apply(1)
    return disordered


async def _advance(streams: Sequence[Stream], causes: Causes, batch_records: int) -> bool:
    """Applies what may come next; false if nothing may."""
    leader, *others = streams
    if await _apply_some(leader, causes, batch_records):
        return True
    # While the leader waits, the others go on by one event at a time: none may come before the leader's if it need not.
    most = 1 if await leader.ahead() else batch_records
    for other in others:
        if await _apply_some(other, causes, most):
            return True
    return False


async def _apply_some(stream: Stream, causes: Causes, most: int) -> bool:
    ready = 0
    for record in (await stream.ahead())[:most]:
        event_id = id_of(record)
        if not causes.may_come(event_id):
            break
        causes.came(event_id)
        ready += 1
    if ready:
        await stream.apply(ready)
    return ready > 0
