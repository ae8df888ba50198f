"""Keeps records that could not be applied, and what waits behind them, in order per key."""

from collections import deque
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from services.contracts.event import Envelope
from services.contracts.topics import BY_NAME
from services.eventing.incoming import Incoming, Reason, type_of
from services.eventing.ports import Document, Index, Reads, Transaction
from services.eventing.times import from_text, to_text

PARKING = "parking"
INDEXES = (
    Index(PARKING, "processor_since", (("processor", 1), ("since", 1))),
    Index(PARKING, "processor_flawed", (("processor", 1), ("flawed_at", 1))),
)
PARKED_PER_MINUTE_MAX = 100
PARKED_RECORDS_PER_KEY_MAX = 2_000
PARKED_BYTES_PER_KEY_MAX = 12_000_000
"""One key's queue is one document, which holds at most 16 MiB."""
RECORD_OVERHEAD_BYTES = 1_024
"""What a record in a queue takes besides its value, at most: topic, ids, type and path are all short."""
MINUTE = timedelta(minutes=1)
_LISTED = ("processor", "key", "count", "minutes", "bytes", "since", "first")


class ParkingTooFast(Exception):
    """More records were parked within a minute than single flaws explain: a bug of this release. Stops the process."""


class QueueTooLong(Exception):
    """One key has more records waiting than its document can hold. Stops the process."""


class Waiting(msgspec.Struct, frozen=True, gc=False):
    """A record on its way to its key's queue; ``path`` leads to the field or the line of code, and shows no value."""

    incoming: Incoming
    reason: Reason
    path: str | None
    minutes: int
    """Minutes of people's service that wait with it."""


class Pace:
    """Counts what was parked in the last minute. Records that only wait behind another do not count."""

    def __init__(self, per_minute_max: int) -> None:
        self._per_minute_max = per_minute_max
        self._times: deque[datetime] = deque()

    def restore(self, times: Iterable[datetime]) -> None:
        """Begins with what the store knows, so that a restart does not begin a new minute.

        ``times``: one a record that was parked for a flaw of its own, of whichever key and by whichever member.
        """
        self._times = deque(sorted(times))

    def check(self, now: datetime, more: int) -> None:
        """Raises ``ParkingTooFast`` if ``more`` on top of the last minute's are too many. Counts nothing."""
        while self._times and self._times[0] <= now - MINUTE:
            self._times.popleft()
        if len(self._times) + more > self._per_minute_max:
            raise ParkingTooFast(f"{len(self._times)} records parked within a minute, and {more} more now")

    def count(self, now: datetime, more: int) -> None:
        """Takes in what was parked, once it is committed."""
        self._times.extend([now] * more)


def operations_of(processor: str) -> str:
    """The name under which a processor parks records of its own operations topic.

    Apart from people's queues: such a record is nobody's history, and what waits for nothing must block nothing.
    """
    return f"{processor}.operations"


def parked_id(processor: str, key: str) -> str:
    """The id of a key's queue."""
    return f"{processor}|{key}"


async def park(tx: Transaction, processor: str, collection: str, waiting: Sequence[Waiting], now: datetime) -> None:
    """Appends records of one partition to their keys' queues, in the order of the log.

    ``collection`` holds the key documents, whose flags the caller sets in the same transaction. Raises
    ``QueueTooLong``.
    """
    by_key: dict[str, list[Waiting]] = {}
    for each in sorted(waiting, key=_offset):
        by_key.setdefault(each.incoming.key, []).append(each)
    parked_at = to_text(now)
    queues = await tx.get(PARKING, [parked_id(processor, key) for key in by_key])
    written = []
    for key, more in by_key.items():
        each_id = parked_id(processor, key)
        queue = queues.get(each_id) or _new_queue(each_id, processor, collection, key, now)
        queue = {"subject": _subject(more[0].incoming.record.topic), **queue}
        assert queue["collection"] == collection
        records = [*queue["records"], *(_record(each, parked_at) for each in more)]
        changed = with_records(queue, records)
        if any(each.reason != "behind" for each in more):
            changed["flawed_at"] = to_text(now)
        if not fits(changed):
            raise QueueTooLong(f"{changed['count']} records of {changed['bytes']} bytes for one key of {collection}")
        written.append(changed)
    await tx.replace(PARKING, written)


def with_records(queue: Document, records: list[Document]) -> Document:
    """The queue with these records, and what is counted of them."""
    return {
        **queue,
        "records": records,
        "count": len(records),
        "minutes": sum(each["minutes"] for each in records),
        "bytes": sum(len(each["value"] or b"") + RECORD_OVERHEAD_BYTES for each in records),
        "first": {name: told for name, told in records[0].items() if name != "value"},
    }


def fits(queue: Document) -> bool:
    """Whether the queue's document may be stored."""
    return bool(queue["count"] <= PARKED_RECORDS_PER_KEY_MAX and queue["bytes"] <= PARKED_BYTES_PER_KEY_MAX)


async def list_parked(reads: Reads, *, limit: int, after: str = "") -> list[Document]:
    """Queues by id, with their records as they are stored; ``after`` is the last id of the page before."""
    return await reads.find(PARKING, {"_id": {"$gt": after}}, limit=limit)


async def list_heads(reads: Reads, *, limit: int, after: str = "") -> list[Document]:
    """As ``list_parked``, without records but for what the first of them is: a page of whole queues may be too much."""
    return await reads.find(PARKING, {"_id": {"$gt": after}}, limit=limit, fields=_LISTED)


async def show_parked(reads: Reads, each: str) -> Document | None:
    """One queue by its id."""
    return (await reads.get(PARKING, (each,))).get(each)


async def recent_times(reads: Reads, processor: str, now: datetime, limit: int) -> list[datetime]:
    """When records were parked for flaws of their own within the last minute; at most ``limit``.

    Records, not keys: one key may hold many, and a key that has waited for long may get another.
    """
    after = to_text(now - MINUTE)
    where = {"processor": {"$in": [processor, operations_of(processor)]}, "flawed_at": {"$gt": after}}
    times: list[datetime] = []
    for queue in await reads.find(PARKING, where, limit=limit, fields=("records",)):
        # A record that an earlier release parked does not say when.
        flawed = (each.get("parked_at", "") for each in queue["records"] if each["reason"] != "behind")
        times += [from_text(at) for at in flawed if at > after]
    return times[:limit]


def _offset(each: Waiting) -> int:
    return each.incoming.record.offset


def _subject(topic: str) -> str | None:
    """What a topic's keys name, as it is declared: what waits of volunteers is counted as people."""
    declared = BY_NAME.get(topic)
    return None if declared is None else declared.key


def _new_queue(each_id: str, processor: str, collection: str, key: str, now: datetime) -> Document:
    return {
        "_id": each_id,
        "processor": processor,
        "collection": collection,
        "key": key,
        "records": [],
        "count": 0,
        "minutes": 0,
        "bytes": 0,
        "since": to_text(now),
        "flawed_at": to_text(now),
    }


def _record(each: Waiting, parked_at: str) -> dict[str, Any]:
    incoming, record = each.incoming, each.incoming.record
    content = incoming.content
    return {
        "topic": record.topic,
        "partition": record.partition,
        "offset": record.offset,
        "sequence": incoming.sequence,
        "id": incoming.event_id,
        "type": content.type if isinstance(content, Envelope) else type_of(record),
        "reason": each.reason,
        "path": each.path,
        "minutes": each.minutes,
        "appended_at": to_text(datetime.fromtimestamp(record.timestamp / 1000, UTC)),
        "parked_at": parked_at,
        "value": record.value,
    }
