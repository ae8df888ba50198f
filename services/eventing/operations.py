"""Carries out what operators ask of parked records, inside the position's transaction of the queue's owner."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, NamedTuple

import msgspec

from services.contracts.codec import MalformedEventError, UndeclaredTypeError, decode
from services.contracts.event import Envelope
from services.contracts.ids import EventId
from services.contracts.operations import (
    Operations,
    ParkedFlaw,
    ParkedRecord,
    ParkingExecuted,
    ParkingOutcome,
    ParkingRefusal,
    ParkingRequested,
)
from services.eventing import parking
from services.eventing.batch import Saved
from services.eventing.facts import Fact, derived_id
from services.eventing.inbox import INBOX
from services.eventing.incoming import Flaw, Incoming, IncomingReader, Reason
from services.eventing.parking import PARKING, Waiting
from services.eventing.ports import Document, Index, TopicPartition, Transaction
from services.eventing.times import from_text, to_text

RECEIVED = "operations_received"
"""One document a parked key: the inbox of the operations topic. Not in the key's own document, which may be a person's
in any collection and must be free to be parked."""
REQUESTS = "parking_requests"
"""What operators asked for and what became of it; for people to follow, never decided on by the owner."""
COLLECTIONS = (RECEIVED, REQUESTS)
INDEXES = (Index(REQUESTS, "by_state", (("state", 1), ("_id", 1))),)
REDRIVE_RECORDS_MAX = 1_000
"""Records of one transaction, as in a batch; the rest of a longer queue waits for the next redrive."""
EXECUTED_RULE = "parking-executed"

RequestState = Literal["proposed", "withdrawn", "requested", "done", "still_failing", "refused"]

Handle = Callable[
    [Transaction, TopicPartition, Sequence[Incoming], Mapping[str, Document], list[Waiting]], Awaitable[Saved]
]
"""Loads, decides and saves records of one partition; what cannot be decided joins the list."""
MinutesOf = Callable[[Envelope[Any]], int]


class StoredRecord(NamedTuple):
    """A parked record as the log would deliver it again; keeps the port ``Record``."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...]
    timestamp: int


class CorrectionError(Exception):
    """An event may not stand in for a parked record; the message holds a field's path, never a value."""


@dataclass(slots=True)
class Outcome:
    """What one request came to. ``document``: the key's own document, if there is one to be written."""

    outcome: ParkingOutcome
    refusal: ParkingRefusal | None = None
    applied: int = 0
    remaining: int = 0
    failing: ParkedRecord | None = None
    flaw: ParkedFlaw | None = None
    collection: str = ""
    document: Document | None = None
    facts: list[Fact] = field(default_factory=list)


class Operator:
    """Executes requests for one processor. Everything it reads and writes is of the caller's transaction."""

    def __init__(
        self, processor: str, events: Operations, reader: IncomingReader, handle: Handle, minutes_of: MinutesOf
    ) -> None:
        self.events = events
        self._processor = processor
        self._reader = reader
        self._handle = handle
        self._minutes_of = minutes_of

    async def execute(self, tx: Transaction, envelope: Envelope[ParkingRequested]) -> Outcome:
        """Does what is asked to the queue as it is now, and keeps the request's end.

        The caller announces the facts and writes the key's document with what it counts there. ``facts`` ends with the
        outcome's own.
        """
        request = envelope.data
        key = request.parked_key
        # A queue that the key does not own belongs to another partition's transaction.
        own = {parking.parked_id(name, key) for name in (self._processor, parking.operations_of(self._processor))}
        queue = (await tx.get(PARKING, (request.parked_id,))).get(request.parked_id)
        if queue is None or request.parked_id not in own:
            outcome = Outcome("refused", "nothing_parked")
        else:
            outcome = await self._execute(tx, request, queue, envelope.time)
        executed = self._executed(request, outcome)
        identity = EventId(derived_id(envelope.id, EXECUTED_RULE, 0))
        outcome.facts.append(Fact(identity, executed, envelope.time, envelope.traceparent))
        ended = request_document(request, outcome.outcome, requested_at=envelope.time, executed=executed)
        await tx.replace(REQUESTS, [ended])
        return outcome

    async def _execute(self, tx: Transaction, request: ParkingRequested, queue: Document, at: datetime) -> Outcome:
        if request.action == "redrive":
            if queue["collection"] == RECEIVED:  # a request that could not be read is made anew, not tried again
                return Outcome("refused", "not_redrivable", remaining=queue["count"])
            return await self._redrive(tx, queue)
        place = place_in(queue, request.record)
        refusal = refusal_at(queue, place)
        if refusal is not None or place is None:
            return Outcome("refused", refusal, remaining=queue["count"])
        if request.action == "discard":
            return await self._keep(tx, queue, [*queue["records"][:place], *queue["records"][place + 1 :]])
        return await self._repair(tx, request, queue, place, at)

    async def _repair(
        self, tx: Transaction, request: ParkingRequested, queue: Document, place: int, at: datetime
    ) -> Outcome:
        records = list(queue["records"])
        before = records[place]
        try:
            corrected = correction(before, queue["key"], request.corrected or "")
        except CorrectionError:
            return Outcome("refused", "correction_invalid", remaining=queue["count"])
        records[place] = {
            **before,
            "type": corrected.type,
            "value": (request.corrected or "").encode(),
            "minutes": self._minutes(before, queue["key"], request.corrected or "", corrected.type),
            "repaired_at": to_text(at),
        }
        if not parking.fits(parking.with_records(queue, records)):
            return Outcome("refused", "queue_full", remaining=queue["count"])
        return await self._keep(tx, queue, records)

    def _minutes(self, before: Document, key: str, value: str, kind: str) -> int:
        """The minutes that wait with a repaired record: none if this processor has no use for it."""
        incoming = self._read({**before, "type": kind, "value": value.encode()}, key)
        return self._minutes_of(incoming.content) if isinstance(incoming.content, Envelope) else 0

    async def _redrive(self, tx: Transaction, queue: Document) -> Outcome:
        """Applies records from the first on, in their order, until one fails or enough are applied.

        Records that follow each other in one partition are one call of the handler, as in a batch.
        """
        key, collection, records = queue["key"], queue["collection"], queue["records"]
        document = (await tx.get(collection, (key,)))[key]
        facts: list[Fact] = []
        incoming = [self._read(record, key) for record in records[:REDRIVE_RECORDS_MAX]]
        done = 0
        failure: Waiting | None = None
        while done < len(incoming) and failure is None:
            content = incoming[done].content
            if content is None:  # declared since, or repaired into a type, that is of no use here
                done += 1
            elif isinstance(content, Flaw):
                failure = Waiting(incoming[done], content.reason, content.path, records[done]["minutes"])
            else:
                run = run_from(incoming, done)
                waiting: list[Waiting] = []
                partition = TopicPartition(run[0].record.topic, run[0].record.partition)
                saved = await self._handle(tx, partition, run, {key: document}, waiting)
                assert saved.documents.keys() <= {key}
                facts += saved.facts
                if key in saved.documents:
                    document = {**saved.documents[key], "_id": key, INBOX: document[INBOX]}
                    await tx.replace(collection, [document])  # for what the next run loads
                failure = waiting[0] if waiting else None
                done += len(run) - len(waiting)
        kept = list(records[done:])
        outcome = await self._keep(tx, queue, _marked(kept, failure), document)
        outcome.applied, outcome.facts = done, facts
        if failure is not None:
            outcome.outcome, outcome.failing, outcome.flaw = "still_failing", _named(kept[0]), _flaw(failure.reason)
        return outcome

    async def _keep(
        self, tx: Transaction, queue: Document, records: list[Document], document: Document | None = None
    ) -> Outcome:
        """Writes the queue, or removes an empty one; the key's flag goes with it in the same transaction."""
        if records:
            await tx.replace(PARKING, [parking.with_records(queue, records)])
        else:
            await tx.delete(PARKING, [queue["_id"]])
        outcome = Outcome("done", remaining=len(records), collection=queue["collection"])
        if queue["collection"] != RECEIVED:
            key = queue["key"]
            outcome.document = document or (await tx.get(queue["collection"], (key,)))[key]
        return outcome

    def _read(self, record: Document, key: str) -> Incoming:
        return self._reader.read([stored_record(record, key)])[0]

    def _executed(self, request: ParkingRequested, outcome: Outcome) -> ParkingExecuted:
        return self.events.executed(
            request_id=request.request_id,
            parked_id=request.parked_id,
            parked_key=request.parked_key,
            action=request.action,
            record=request.record,
            corrected=request.corrected,
            reason_code=request.reason_code,
            requested_by=request.requested_by,
            confirmed_by=request.confirmed_by,
            outcome=outcome.outcome,
            refusal=outcome.refusal,
            applied=outcome.applied,
            remaining=outcome.remaining,
            failing=outcome.failing,
            flaw=outcome.flaw,
        )


class Mended:
    """What operators have put right, as the operations topic tells it, for a rebuild that meets the same records again.

    A rebuild reads a record as what it became, in its place: that ends as parking, repair and redrive did.
    """

    def __init__(self) -> None:
        self.events: dict[str, Envelope[Any] | None] = {}
        """By event id: what stands in for a record, or ``None`` if it was discarded."""
        self._waiting: dict[str, dict[str, Envelope[Any] | None]] = {}
        """By queue: what was mended while its records went on waiting, until a redrive applies some."""

    def learn(self, executed: ParkingExecuted) -> None:
        """Takes in one outcome; those of one key in their order."""
        waiting = self._waiting.setdefault(executed.parked_id, {})
        if executed.action != "redrive" and executed.outcome == "done" and executed.record is not None:
            waiting[executed.record.event_id] = _stand_in(executed.corrected)
        is_freed = executed.outcome == "done" and executed.remaining == 0
        if is_freed or executed.applied:
            failing = executed.failing.event_id if executed.failing is not None else None
            applied = [each for each in waiting if each != failing]
            self.events |= {each: waiting.pop(each) for each in applied}


def _stand_in(corrected: str | None) -> Envelope[Any] | None:
    if corrected is None:
        return None
    return decode(msgspec.json.decode(corrected, type=_TypeOnly).type, corrected.encode())


def request_document(
    request: ParkingRequested,
    state: RequestState,
    *,
    requested_at: datetime,
    executed: ParkingExecuted | None = None,
) -> Document:
    """A request as it is kept for operators to follow; whole, so that a lost one comes back with its end."""
    document: Document = {**msgspec.to_builtins(request), "state": state, "requested_at": to_text(requested_at)}
    document["_id"] = document.pop("request_id")
    ended = ("outcome", "refusal", "applied", "remaining", "failing", "flaw")
    told = msgspec.to_builtins(executed) if executed is not None else {}
    return document | {name: told.get(name) for name in ended}


def stored_record(record: Document, key: str) -> StoredRecord:
    """A parked record with the headers it came with."""
    headers = (
        ("ce_id", record["id"].encode()),
        ("ce_type", record["type"].encode()),
        ("ce_sequence", str(record["sequence"]).encode()),
    )
    appended_ms = int(from_text(record["appended_at"]).timestamp() * 1000)
    place = (record["topic"], record["partition"], record["offset"])
    return StoredRecord(*place, key.encode(), record["value"], headers, appended_ms)


def correction(record: Document, key: str, text: str) -> Envelope[Any]:
    """The event that is to stand in for a parked record; of any declared type, but the same event of the same key.

    Raises ``CorrectionError``.
    """
    try:
        kind = msgspec.json.decode(text, type=_TypeOnly).type
        envelope = decode(kind, text.encode())
    except UndeclaredTypeError:
        raise CorrectionError("the type is not declared - at `$.type`") from None
    except (msgspec.DecodeError, MalformedEventError, UnicodeError, RecursionError) as error:
        raise CorrectionError(str(error) if isinstance(error, MalformedEventError) else "not an event") from None
    differing = [
        path
        for path, said, must in (
            ("$.id", envelope.id, record["id"]),
            ("$.subject", envelope.subject, key),
            ("$.sequence", envelope.sequence, f"{record['sequence']:012d}"),
            ("$.data", envelope.data.key, key),
            ("$.type", envelope.data.TOPIC, record["topic"]),
        )
        if said != must
    ]
    if differing:
        raise CorrectionError(f"not the event that is parked - at `{differing[0]}`")
    return envelope


class _TypeOnly(msgspec.Struct):
    type: str


def place_in(queue: Document, record: ParkedRecord | None) -> int | None:
    """Where a record stands in its queue; none if it is not there (any more)."""
    if record is None:
        return None
    wanted = (record.topic, record.partition, record.offset, record.event_id)
    for place, each in enumerate(queue["records"]):
        if (each["topic"], each["partition"], each["offset"], each["id"]) == wanted:
            return place
    return None


def refusal_at(queue: Document, place: int | None) -> ParkingRefusal | None:
    """Why a record may be neither repaired nor discarded, if so: it is gone, or nobody has found a flaw in it yet."""
    if place is None:
        return "record_not_parked"
    return "record_waits_only" if queue["records"][place]["reason"] == "behind" else None


def run_from(incoming: Sequence[Incoming], start: int) -> list[Incoming]:
    """The events from ``start`` on that come from one partition and can be decided together."""
    first = incoming[start].record
    run = []
    for each in incoming[start:]:
        same = (each.record.topic, each.record.partition) == (first.topic, first.partition)
        if not same or not isinstance(each.content, Envelope):
            break
        run.append(each)
    return run


def _marked(records: list[Document], failure: Waiting | None) -> list[Document]:
    """The records that stay, the first of them with what it failed for now."""
    if failure is None:
        return records
    first = {**records[0], "reason": failure.reason, "path": failure.path}
    return [first, *records[1:]]


def _named(record: Document) -> ParkedRecord:
    return ParkedRecord(
        topic=record["topic"],
        partition=record["partition"],
        offset=record["offset"],
        event_id=EventId(record["id"]),
    )


def _flaw(reason: Reason) -> ParkedFlaw:
    assert reason != "behind"
    return reason
