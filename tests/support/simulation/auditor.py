"""Sees what no part of the platform can see at once, and says at once which layer's promise does not hold."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from services.contracts.catalogue import BY_TYPE
from services.eventing.batch import BatchHandler
from services.eventing.ports import Document, TopicPartition
from tests.support.simulation.documents import Body, Place
from tests.support.simulation.log import Broker, LogRecord

OUTBOX: Final = "outbox"
POSITIONS: Final = "positions"
PARKING: Final = "parking"
STREAMS: Final = "streams"
LEASE: Final = "lease"
CHANGES: Final = "changes"
MARKS: Final = frozenset({"state", "change_from", "change_to", "epoch"})
"""What marking may change of an outbox document."""

Stream = tuple[str, str]
"""Topic and key."""
Fail = Callable[[str, str], None]
"""Takes the code of a promise and what was seen."""


@dataclass(frozen=True, slots=True)
class Committed:
    """One event that a majority holds in its owner's outbox."""

    service: str
    id: str
    type: str
    topic: str
    key: str
    sequence: int
    value: bytes


@dataclass(slots=True)
class Service:
    """What the auditor knows of one service's database, commit by commit."""

    documents: dict[Place, Document] = field(default_factory=dict)
    epoch: int = 0
    change: int = 0


class Auditor:
    """Follows every majority commit and every append of one world.

    ``append_only``: collections whose documents are inserted once and never change, as ``(service, collection)``.
    """

    def __init__(self, broker: Broker, fail: Fail, *, append_only: frozenset[tuple[str, str]] = frozenset()) -> None:
        self.committed: dict[str, Committed] = {}
        self.streams: dict[Stream, list[Committed]] = {}
        """All events of each stream, in order: the one of sequence n stands at n - 1."""
        self.logged: dict[str, int] = {}
        """How often each event is in the log."""
        self.services: dict[str, Service] = {}
        self._published: dict[Stream, int] = {}
        self._broker = broker
        self._fail = fail
        self._append_only = append_only

    def head(self, stream: Stream) -> int:
        """The last committed sequence of a stream."""
        return len(self.streams.get(stream, ()))

    # what happens

    def on_majority(self, name: str, writes: Mapping[Place, Body | None]) -> None:
        """One transaction has become durable."""
        service = self.services.setdefault(name, Service())
        after = {place: None if body is None else body.view for place, body in writes.items()}
        self._check_lease(service, after)
        self._check_outbox(name, service, after)
        by_processor = any(collection == POSITIONS for collection, _ in after)
        operated = any(collection == POSITIONS and ".operations|" in each for collection, each in after)
        for place, document in after.items():
            before = service.documents.get(place)
            self._check_document(name, place, before, document, operated=operated)
            if document is not None and "inbox" in document:
                applying = by_processor and not operated
                self._check_inbox(service, after, place, before, document, by_processor=applying)
        for place, document in after.items():
            if document is None:
                service.documents.pop(place, None)
            else:
                service.documents[place] = document

    def on_append(self, record: LogRecord) -> None:
        """One record is in the log."""
        headers = dict(record.headers)
        event_id = headers["ce_id"].decode()
        event = self.committed.get(event_id)
        if event is None:
            return self._fail("published_not_committed", f"{event_id} on {record.topic}")
        seen = (record.topic, (record.key or b"").decode(), int(headers["ce_sequence"]), record.value)
        if seen != (event.topic, event.key, event.sequence, event.value):
            return self._fail("published_altered", f"{event_id} on {record.topic}")
        stream, sequence = (event.topic, event.key), event.sequence
        before = self._published.get(stream, 0)
        if sequence > before + 1:
            return self._fail("log_order", f"{stream}: {sequence} was published after {before}")
        self._published[stream] = max(before, sequence)
        self.logged[event_id] = self.logged.get(event_id, 0) + 1
        return None

    # single layers

    def _check_lease(self, service: Service, after: Mapping[Place, Document | None]) -> None:
        lease = after.get((LEASE, "relay"))
        if lease is None:
            return
        if lease["epoch"] < service.epoch:
            self._fail("lease_epoch_back", f"{lease['epoch']} after {service.epoch}")
        holder = service.documents.get((LEASE, "relay"), {}).get("holder", lease["holder"])
        if holder != lease["holder"] and lease["epoch"] == service.epoch:
            self._fail("lease_shared", f"{holder} and {lease['holder']} in epoch {service.epoch}")
        service.epoch = lease["epoch"]

    def _check_outbox(self, name: str, service: Service, after: Mapping[Place, Document | None]) -> None:
        rows = [(place, row) for place, row in after.items() if place[0] == OUTBOX]
        marked: list[Document] = []
        for place, row in rows:
            before = service.documents.get(place)
            if row is None:
                self._fail("outbox_deleted", place[1])
            elif before is None:
                self._take_row(name, row)
            elif {k: v for k, v in before.items() if k not in MARKS} != {
                k: v for k, v in row.items() if k not in MARKS
            }:
                self._fail("outbox_altered", place[1])
            elif before["state"] == "marked":
                self._fail("marked_twice", place[1])
            else:
                marked.append(row)
        for row in sorted(marked, key=lambda each: int(each["change_from"])):
            self._check_mark(service, row)

    def _take_row(self, name: str, row: Document) -> None:
        if row["state"] != "unmarked":
            self._fail("outbox_born_marked", row["_id"])
        for event in row["events"]:
            stream = (event["topic"], event["key"])
            if event["sequence"] != self.head(stream) + 1:
                self._fail("sequence_gap", f"{stream}: {event['sequence']} after {self.head(stream)}")
            if event["id"] in self.committed:
                self._fail("event_twice", f"{event['id']} on {stream}")
            taken = Committed(name, event["id"], event["type"], *stream, event["sequence"], event["value"])
            self.committed[event["id"]] = taken
            self.streams.setdefault(stream, []).append(taken)

    def _check_mark(self, service: Service, row: Document) -> None:
        for event in row["events"]:
            if event["id"] not in self.logged:
                self._fail("marked_not_published", f"{event['id']} of {row['_id']}")
        if row["change_from"] != service.change + 1:
            self._fail("change_numbers", f"{row['change_from']} after {service.change}")
        if row["change_to"] - row["change_from"] + 1 != len(row["events"]):
            self._fail("change_numbers", f"{row['change_from']} to {row['change_to']} for {len(row['events'])} events")
        if row["epoch"] != service.epoch:
            self._fail("marked_by_stale_leader", f"epoch {row['epoch']} in {service.epoch}")
        service.change = row["change_to"]

    def _check_document(
        self, name: str, place: Place, before: Document | None, after: Document | None, *, operated: bool
    ) -> None:
        collection = place[0]
        if before is not None and (name, collection) in self._append_only:
            self._fail("append_only", f"{name}.{collection} {place[1]} was rewritten")
        if collection == POSITIONS:
            self._check_position(place[1], before, after)
        elif collection == PARKING and operated:
            self._check_operation(place[1], before, after)
        elif collection == PARKING:
            self._check_queue(place[1], before, after)
        elif collection == STREAMS and after is not None:
            topic, _, key = place[1].partition("|")
            if after["n"] != self.head((topic, key)):
                self._fail("stream_counter", f"{place[1]} is {after['n']}, sent {self.head((topic, key))}")

    def _check_position(self, each: str, before: Document | None, after: Document | None) -> None:
        if after is None:
            return self._fail("position_deleted", each)
        if before is not None and after["next"] < before["next"]:
            return self._fail("position_back", f"{each}: {before['next']} to {after['next']}")
        if after["last_offset"] is None:
            return None
        _, topic, partition = each.split("|")
        log = self._broker.log(TopicPartition(topic, int(partition)))
        if after["last_offset"] != after["next"] - 1 or after["next"] > len(log):
            return self._fail("position_wrong", f"{each}: {after} of {len(log)}")
        if dict(log[after["last_offset"]].headers)["ce_id"].decode() != after["last_id"]:
            return self._fail("position_id", f"{each}: {after}")
        return None

    def _check_queue(self, each: str, before: Document | None, after: Document | None) -> None:
        if after is None:
            return self._fail("parking_lost", each)
        old, new = (before or {"records": []})["records"], after["records"]
        if new[: len(old)] != old:
            return self._fail("parking_altered", each)
        last: dict[str, int] = {}
        for record in new:
            if record["offset"] <= last.get(record["topic"], -1):
                return self._fail("parking_order", f"{each}: {record['topic']} at {record['offset']}")
            last[record["topic"]] = record["offset"]
        return None

    def _check_operation(self, each: str, before: Document | None, after: Document | None) -> None:
        """What operators ask for takes records from the front, or one record, or changes one; none moves or comes."""
        if before is None:
            return self._fail("operation_on_nothing", each)
        old = [record["offset"] for record in before["records"]]
        new = [record["offset"] for record in after["records"]] if after is not None else []
        if after is not None and not new:
            return self._fail("queue_empty", each)
        without_one = any(new == old[:place] + old[place + 1 :] for place in range(len(old)))
        if new != old[len(old) - len(new) :] and not without_one:
            return self._fail("operation_order", f"{each}: {old} became {new}")
        return None

    def _check_inbox(
        self,
        service: Service,
        after: Mapping[Place, Document | None],
        place: Place,
        before: Document | None,
        document: Document,
        *,
        by_processor: bool,
    ) -> None:
        inbox, key = document["inbox"], place[1]
        old: dict[str, Any] = (before or {}).get("inbox", {"last": {}, "sent": {}, "parked": False})
        for topic, (sequence, event_id) in inbox["last"].items():
            event = self.committed.get(event_id)
            if event is None or (event.topic, event.key, event.sequence) != (topic, key, sequence):
                self._fail("inbox_identity", f"{place}: {topic} {sequence} is {event}")
            if sequence < old["last"].get(topic, (0, ""))[0]:
                self._fail("inbox_back", f"{place}: {topic} to {sequence}")
        for topic, sequence in inbox["sent"].items():
            if sequence != self.head((topic, key)):
                self._fail("sent_counter", f"{place}: {topic} {sequence}, sent {self.head((topic, key))}")
        if old["parked"] and not inbox["parked"] and any(self._queued(service, after, key)):
            self._fail("unparked", str(place))
        if inbox["parked"] and not any(self._queued(service, after, key)):
            self._fail("parked_without_queue", str(place))
        if by_processor and old["parked"] and _content(before) != _content(document):
            self._fail("parked_overtaken", f"{place} changed while its records wait")

    def _queued(self, service: Service, after: Mapping[Place, Document | None], key: str) -> list[bool]:
        parked = {each for collection, each in (*after, *service.documents) if collection == PARKING}
        queues = [
            after.get((PARKING, each), service.documents.get((PARKING, each))) for each in parked
        ]  # deletions win
        return [True for queue in queues if queue is not None and queue["key"] == key]

    # the end

    def check_end(self) -> None:
        """What must hold once everything is drained: all that was committed is in the log, and marked."""
        for event_id, event in self.committed.items():
            if event_id not in self.logged:
                self._fail("lost", f"{event_id} of {event.service} on {event.topic} {event.sequence}")

    def check_consumer(self, service: str, handler: BatchHandler[Any, Any]) -> None:
        """A drained processor has received all its topics hold; what it could not apply waits, with all behind it."""
        documents = self.services[service].documents if service in self.services else {}
        for (topic, key), events in self.streams.items():
            if topic not in handler.topics:
                continue
            document = documents.get((handler.key_collection(topic), key), {})
            last = document.get("inbox", {"last": {}})["last"].get(topic)
            if last != [len(events), events[-1].id]:
                self._fail("not_received", f"{handler.processor}: {topic} {key} {last}, sent {len(events)}")
            queue = documents.get((PARKING, f"{handler.processor}|{key}"), {"records": []})["records"]
            waiting = [each["id"] for each in queue if each["topic"] == topic]
            of_use = {event.TYPE for event in handler.uses}
            used = [event.id for event in events if event.type in of_use or event.type not in BY_TYPE]
            if waiting != used[len(used) - len(waiting) :]:
                self._fail("parking_gap", f"{handler.processor}: {topic} {key} {waiting} of {used}")


def _content(document: Document | None) -> Document:
    return {name: value for name, value in (document or {}).items() if name != "inbox"}
