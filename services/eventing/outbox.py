"""Stages the facts of one transaction as one outbox document, every event with its sequence."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from services.contracts.codec import SEQUENCE_DIGITS, encode
from services.eventing.facts import Fact
from services.eventing.ports import Document, Index, Message, Transaction
from services.eventing.times import to_text

OUTBOX = "outbox"
STREAMS = "streams"
UNMARKED = "unmarked"
MARKED = "marked"

ROW_EVENTS_MAX = 10_000
ROW_BYTES_MAX = 12_000_000
"""A document holds at most 16 MiB; what stands beside the values takes up to a third of it."""
EVENT_BYTES_MAX = 262_144
"""A quarter of what a producer's request may hold, so that no event is ever too large to publish."""

CONTENT_TYPE = b"application/cloudevents+json"

COLLECTIONS: tuple[str, ...] = (OUTBOX, STREAMS)
INDEXES: tuple[Index, ...] = (
    # One flat array of strings: over two fields of an array the index would hold their cross product.
    Index(OUTBOX, "streams", (("streams", 1),), unique=True),
    Index(OUTBOX, "state", (("state", 1), ("created_at", 1))),
    Index(OUTBOX, "changes", (("change_to", 1),)),
)


def stage(facts: Sequence[Fact], heads: dict[tuple[str, str], int], *, row_id: str, at: datetime) -> Document:
    """The outbox document of facts that one transaction announces, in order; pure but for ``heads``.

    ``heads`` holds the last sequence of every (topic, key) of the facts, 0 where there is none yet, and is moved on; a
    missing one is a bug (``KeyError``), for it would begin a stream anew.
    """
    assert facts
    assert len(facts) <= ROW_EVENTS_MAX
    events: list[Document] = []
    streams: list[str] = []
    for fact in facts:
        topic, key = fact.data.TOPIC, fact.data.key
        sequence = heads[topic, key] + 1
        heads[topic, key] = sequence
        events.append(_event(fact, topic, key, sequence))
        streams.append(f"{topic}|{key}|{sequence}")
    size = sum(len(event["value"]) for event in events)
    assert size <= ROW_BYTES_MAX
    return {
        "_id": row_id,
        "events": events,
        "streams": streams,
        "state": UNMARKED,
        "created_at": to_text(at),
        "count": len(events),
        "bytes": size,
    }


def _event(fact: Fact, topic: str, key: str, sequence: int) -> Document:
    assert key
    value = encode(fact.data, event_id=fact.id, time=fact.time, sequence=sequence, traceparent=fact.traceparent)
    assert len(value) <= EVENT_BYTES_MAX
    event = {
        "topic": topic,
        "key": key,
        "id": fact.id,
        "type": fact.data.TYPE,
        "sequence": sequence,
        "value": value,
    }
    return event if fact.traceparent is None else {**event, "traceparent": fact.traceparent}


def pairs_of(facts: Iterable[Fact]) -> list[tuple[str, str]]:
    """The (topic, key) of each stream that the facts go to, once each, in order of appearance."""
    return list(dict.fromkeys((fact.data.TOPIC, fact.data.key) for fact in facts))


async def load_heads(tx: Transaction, pairs: Iterable[tuple[str, str]]) -> dict[tuple[str, str], int]:
    """The last sequence of each stream, 0 where there is none yet."""
    ids = {f"{topic}|{key}": (topic, key) for topic, key in pairs}
    documents = await tx.get(STREAMS, ids)
    return {pair: documents[each]["n"] if each in documents else 0 for each, pair in ids.items()}


def head_documents(heads: Mapping[tuple[str, str], int]) -> list[Document]:
    """What is to be written to ``streams`` so that two transactions that emit to one key exclude each other."""
    return [{"_id": f"{topic}|{key}", "n": n} for (topic, key), n in heads.items()]


async def emit(tx: Transaction, facts: Sequence[Fact], *, row_id: str, at: datetime) -> None:
    """Announces facts in the caller's transaction: counters and one outbox document. Nothing to do for no facts.

    Raises ``AlreadyExistsError`` for a ``row_id`` that was used before.
    """
    if not facts:
        return
    heads = await load_heads(tx, pairs_of(facts))
    row = stage(facts, heads, row_id=row_id, at=at)
    await tx.replace(STREAMS, head_documents(heads))
    await tx.insert(OUTBOX, [row])


def messages_of(row: Document) -> list[Message]:
    """The records of an outbox document, in the order they were announced in."""
    return [_message(event) for event in row["events"]]


def _message(event: Document) -> Message:
    # Id and sequence stand in the headers too, so that a record whose value cannot be decoded still counts as received.
    headers: tuple[tuple[str, bytes], ...] = (
        ("ce_id", event["id"].encode()),
        ("ce_type", event["type"].encode()),
        ("ce_sequence", f"{event['sequence']:0{SEQUENCE_DIGITS}d}".encode()),
        ("content-type", CONTENT_TYPE),
    )
    if "traceparent" in event:
        headers = (*headers, ("traceparent", event["traceparent"].encode()))
    return Message(topic=event["topic"], key=event["key"].encode(), value=event["value"], headers=headers)
