"""Reads what a service's own topics hold beyond a backup, and checks that it continues it without a gap."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

import msgspec

from services.contracts.codec import MalformedEventError, UndeclaredTypeError, decode
from services.contracts.event import Envelope
from services.eventing.history import History
from services.eventing.inbox import INBOX
from services.eventing.incoming import id_of, type_of
from services.eventing.outbox import MARKED, OUTBOX, STREAMS, UNMARKED
from services.eventing.ports import Document, Reads, Record, TopicPartition
from services.eventing.times import from_text, to_text

MARGIN: Final = timedelta(hours=1)
"""By how much the clocks of a relay, of whoever takes backups and of the brokers may differ."""
PAGE_ROWS: Final = 500
KEYS_A_READ: Final = 1_000


class TailBrokenError(Exception):
    """What the topics hold does not continue this backup. Says where, never for whom."""


class TailEvent(msgspec.Struct, frozen=True):
    """One event that an own topic holds."""

    partition: TopicPartition
    offset: int
    key: str
    event_id: str
    event_type: str
    sequence: int
    value: bytes
    traceparent: str | None

    @property
    def stream(self) -> str:
        """Its name in outbox rows."""
        return f"{self.partition.topic}|{self.key}|{self.sequence}"

    def envelope(self) -> Envelope[Any]:
        """The event itself."""
        return decode(self.event_type, self.value)

    def readable(self) -> Envelope[Any] | None:
        """The event, or nothing for what the service has never written: no owner announces what cannot be read."""
        try:
            return self.envelope()
        except (MalformedEventError, UndeclaredTypeError):
            return None

    def row(self, at: datetime) -> Document:
        """The outbox row that this event would have had, published already."""
        event = {
            "topic": self.partition.topic,
            "key": self.key,
            "id": self.event_id,
            "type": self.event_type,
            "sequence": self.sequence,
            "value": self.value,
        }
        return {
            "_id": f"restored|{self.partition.topic}|{self.partition.partition}|{self.offset}",
            "events": [event if self.traceparent is None else {**event, "traceparent": self.traceparent}],
            "streams": [self.stream],
            "state": MARKED,
            "created_at": to_text(at),
            "count": 1,
            "bytes": len(self.value),
        }


class Tail:
    """What own topics hold since some time before the backup."""

    def __init__(self) -> None:
        self.ids: dict[str, str] = {}
        """Event ids by stream name, of everything read: what the backup has too, and what it lacks."""
        self.fresh: list[TailEvent] = []
        """What the backup lacks, a topic's partition after the other, in the log's order."""


async def read_tail(
    history: History, reads: Reads, topics: Sequence[str], sent_in: str | None, since: datetime
) -> Tail:
    """Reads own topics from ``since`` on. ``sent_in``: the key documents that count some of the topics' sequences.

    Raises ``TailBrokenError`` if a key's events do not continue the sequences in the backup.
    """
    tail = Tail()
    ends = await history.ends(topics)
    starts = await history.since(ends, since)
    for partition in sorted(starts):
        events: list[TailEvent] = []
        async for records in history.read(partition, starts[partition], ends[partition]):
            events += [_event(partition, record) for record in records]
        tail.ids.update((event.stream, event.event_id) for event in events)
        heads = await _heads(reads, partition.topic, {event.key for event in events}, sent_in)
        for event in events:
            head = heads[event.key]
            if event.sequence > head + 1:
                raise TailBrokenError(
                    f"{partition.topic}|{partition.partition} at offset {event.offset} has sequence {event.sequence} "
                    f"of a key that ends at {head} before it: the topic was truncated, or the backup is another's"
                )
            if event.sequence == head + 1:
                heads[event.key] = event.sequence
                tail.fresh.append(event)
    return tail


def _event(partition: TopicPartition, record: Record) -> TailEvent:
    headers = dict(record.headers)
    parent = headers.get("traceparent")
    return TailEvent(
        partition,
        record.offset,
        (record.key or b"").decode(),
        id_of(record),
        type_of(record),
        int(headers["ce_sequence"]),
        record.value or b"",
        parent.decode() if parent is not None else None,
    )


async def _heads(reads: Reads, topic: str, keys: Iterable[str], sent_in: str | None) -> dict[str, int]:
    """The last sequence that the restored database has given to each key of a topic."""
    heads: dict[str, int] = {}
    every = sorted(keys)
    for start in range(0, len(every), KEYS_A_READ):
        some = every[start : start + KEYS_A_READ]
        if sent_in is None:
            known = await reads.get(STREAMS, [f"{topic}|{key}" for key in some])
            heads |= {key: known[name]["n"] if (name := f"{topic}|{key}") in known else 0 for key in some}
        else:
            documents = await reads.get(sent_in, some)
            heads |= {key: documents.get(key, {}).get(INBOX, {}).get("sent", {}).get(topic, 0) for key in some}
    return heads


async def begins_at(reads: Reads, taken_at: datetime) -> datetime:
    """From when on the topics may hold what the backup lacks, or has and does not know to be published."""
    oldest = await reads.find(OUTBOX, {"state": UNMARKED}, sort=(("created_at", 1),), limit=1, fields=("created_at",))
    created = [from_text(row["created_at"]) for row in oldest]
    return min([taken_at, *created]) - MARGIN
