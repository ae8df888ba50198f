"""Each promise that the auditor watches is broken once, and it says so."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from services.eventing.ports import Document, Message, TopicPartition
from tests.support.simulation.auditor import Auditor
from tests.support.simulation.documents import stored
from tests.support.simulation.log import Broker
from tests.support.simulation.loop import SimulatedLoop
from tests.support.simulation.network import Network
from tests.support.simulation.tiny import AddingHandler

pytestmark = pytest.mark.simulation

TOPIC = "registry.volunteers"
PLACE = TopicPartition(TOPIC, 0)


def event(key: str, sequence: int, event_id: str | None = None, value: bytes = b"v") -> Document:
    return {
        "topic": TOPIC,
        "key": key,
        "id": event_id or f"{key}{sequence}",
        "type": "registry.volunteer.updated.v1",
        "sequence": sequence,
        "value": value,
    }


def row(each: str, *events: Document, state: str = "unmarked", **more: Any) -> Document:
    return {"_id": each, "events": list(events), "state": state, **more}


def marked(document: Document, first: int, epoch: int = 1) -> Document:
    last = first + len(document["events"]) - 1
    return {**document, "state": "marked", "change_from": first, "change_to": last, "epoch": epoch}


def lease(epoch: int, holder: str = "a") -> Document:
    return {"_id": "relay", "epoch": epoch, "holder": holder}


class World:
    """An auditor, and what it sees."""

    def __init__(self) -> None:
        self.failures: list[str] = []
        self.broker = Broker(Network(SimulatedLoop()), "broker", partitions=1)
        append_only = frozenset({("service", "entries")})
        self.auditor = Auditor(self.broker, lambda code, _: self.failures.append(code), append_only=append_only)
        self.broker.on_append = self.auditor.on_append

    def commit(self, documents: Mapping[str, Document | tuple[Document, ...]], *deleted: tuple[str, str]) -> None:
        """One transaction: documents by collection."""
        writes = {
            (collection, document["_id"]): stored(document)
            for collection, some in documents.items()
            for document in (some if isinstance(some, tuple) else (some,))
        }
        self.auditor.on_majority("service", {**writes, **dict.fromkeys(deleted)})

    def append(self, of: Document, value: bytes | None = None) -> None:
        headers = (
            ("ce_id", of["id"].encode()),
            ("ce_type", of["type"].encode()),
            ("ce_sequence", f"{of['sequence']:012d}".encode()),
        )
        message = Message(TOPIC, of["key"].encode(), of["value"] if value is None else value, headers)
        self.broker.produce("producer", PLACE, len(self.broker.log(PLACE)), [message])

    def publish(self, *events: Document) -> None:
        """Commits and appends events, each in a row of its own."""
        for each in events:
            self.commit({"outbox": row(f"row {each['id']}", each)})
            self.append(each)


Break = Callable[[World], None]
K1, K2, K3 = event("k", 1), event("k", 2), event("k", 3)
POSITION = "adding|registry.volunteers|0"


def key_document(last: int, *, parked: bool = False, sent: int = 0, **fields: Any) -> Document:
    inbox = {"last": {TOPIC: [last, f"k{last}"]}, "sent": {TOPIC: sent} if sent else {}, "parked": parked}
    return {"_id": "k", "inbox": inbox, **fields}


def queue(*offsets: int) -> Document:
    return {
        "_id": "adding|k",
        "key": "k",
        "records": [{"topic": TOPIC, "offset": each, "id": f"k{each + 1}"} for each in offsets],
    }


def position(next_: int) -> Document:
    return {"_id": POSITION, "next": next_, "last_offset": next_ - 1, "last_id": f"k{next_}"}


def uncommitted_is_published(world: World) -> None:
    world.append(K1)


def published_otherwise(world: World) -> None:
    world.commit({"outbox": row("r", K1)})
    world.append(K1, b"other")


def published_before_its_predecessor(world: World) -> None:
    world.commit({"outbox": row("r", K1, K2)})
    world.append(K2)


def sequence_skips(world: World) -> None:
    world.commit({"outbox": row("r", K2)})


def one_event_in_two_rows(world: World) -> None:
    world.commit({"outbox": row("r", K1)})
    world.commit({"outbox": row("s", event("k", 2, "k1"))})


def counter_differs(world: World) -> None:
    world.commit({"outbox": row("r", K1), "streams": {"_id": f"{TOPIC}|k", "n": 2}})


def row_is_born_marked(world: World) -> None:
    world.commit({"outbox": row("r", K1, state="marked", change_from=1, change_to=1, epoch=0)})


def row_changes(world: World) -> None:
    world.commit({"outbox": row("r", K1)})
    world.commit({"outbox": row("r", event("k", 1, value=b"other"))})


def row_is_deleted(world: World) -> None:
    world.commit({"outbox": row("r", K1)})
    world.commit({}, ("outbox", "r"))


def marked_before_published(world: World) -> None:
    world.commit({"lease": lease(1), "outbox": row("r", K1)})
    world.commit({"outbox": marked(row("r", K1), 1)})


def marked_again(world: World) -> None:
    world.commit({"lease": lease(1)})
    world.publish(K1)
    world.commit({"outbox": marked(row("row k1", K1), 1)})
    world.commit({"outbox": marked(row("row k1", K1), 2)})


def change_number_skips(world: World) -> None:
    world.commit({"lease": lease(1)})
    world.publish(K1)
    world.commit({"outbox": marked(row("row k1", K1), 2)})


def stale_leader_marks(world: World) -> None:
    world.publish(K1)
    world.commit({"lease": lease(2)})
    world.commit({"outbox": marked(row("row k1", K1), 1, epoch=1)})


def epoch_goes_back(world: World) -> None:
    world.commit({"lease": lease(2)})
    world.commit({"lease": lease(1)})


def two_hold_one_epoch(world: World) -> None:
    world.commit({"lease": lease(1, "a")})
    world.commit({"lease": lease(1, "b")})


def position_goes_back(world: World) -> None:
    world.publish(K1, K2)
    world.commit({"positions": position(2)})
    world.commit({"positions": position(1)})


def position_beyond_the_log(world: World) -> None:
    world.publish(K1)
    world.commit({"positions": position(2)})


def position_with_another_id(world: World) -> None:
    world.publish(K1)
    world.commit({"positions": {**position(1), "last_id": "other"}})


def entry_is_rewritten(world: World) -> None:
    for minutes in (1, 2):
        world.commit({"entries": {"_id": "e", "minutes": minutes}})


def inbox_names_another_event(world: World) -> None:
    world.publish(K1, K2)
    world.commit({"people": {"_id": "k", "inbox": {"last": {TOPIC: [2, "k1"]}, "sent": {}, "parked": False}}})


def inbox_goes_back(world: World) -> None:
    world.publish(K1, K2)
    world.commit({"people": key_document(2)})
    world.commit({"people": key_document(1)})


def counter_in_the_key_differs(world: World) -> None:
    world.publish(K1)
    world.commit({"people": key_document(1, sent=2)})


def parked_without_a_queue(world: World) -> None:
    world.publish(K1)
    world.commit({"people": key_document(1, parked=True)})


def parked_is_overtaken(world: World) -> None:
    world.publish(K1, K2, K3)
    world.commit({"people": key_document(2, parked=True, balance=1), "parking": queue(1), "positions": position(2)})
    world.commit({"people": key_document(3, parked=True, balance=2), "positions": position(3)})


def parked_is_forgotten(world: World) -> None:
    world.publish(K1)
    world.commit({"people": key_document(1, parked=True), "parking": queue(0)})
    world.commit({"people": key_document(1)})


def queue_loses_a_record(world: World) -> None:
    world.commit({"parking": queue(0, 1)})
    world.commit({"parking": queue(1)})


def queue_is_out_of_order(world: World) -> None:
    world.commit({"parking": queue(1, 0)})


def event_is_lost(world: World) -> None:
    world.commit({"outbox": row("r", K1)})
    world.auditor.check_end()


def event_is_not_received(world: World) -> None:
    world.publish(K1)
    world.auditor.check_consumer("service", AddingHandler())


def queue_has_a_hole(world: World) -> None:
    world.publish(K1, K2, K3)
    document = key_document(3, parked=True)
    world.commit({"accounts": document, "parking": queue(0, 2)})
    world.auditor.check_consumer("service", AddingHandler())


@pytest.mark.parametrize(
    ("code", "broken"),
    [
        ("published_not_committed", uncommitted_is_published),
        ("published_altered", published_otherwise),
        ("log_order", published_before_its_predecessor),
        ("sequence_gap", sequence_skips),
        ("event_twice", one_event_in_two_rows),
        ("stream_counter", counter_differs),
        ("outbox_born_marked", row_is_born_marked),
        ("outbox_altered", row_changes),
        ("outbox_deleted", row_is_deleted),
        ("marked_not_published", marked_before_published),
        ("marked_twice", marked_again),
        ("change_numbers", change_number_skips),
        ("marked_by_stale_leader", stale_leader_marks),
        ("lease_epoch_back", epoch_goes_back),
        ("lease_shared", two_hold_one_epoch),
        ("position_back", position_goes_back),
        ("position_wrong", position_beyond_the_log),
        ("position_id", position_with_another_id),
        ("append_only", entry_is_rewritten),
        ("inbox_identity", inbox_names_another_event),
        ("inbox_back", inbox_goes_back),
        ("sent_counter", counter_in_the_key_differs),
        ("parked_without_queue", parked_without_a_queue),
        ("parked_overtaken", parked_is_overtaken),
        ("unparked", parked_is_forgotten),
        ("parking_altered", queue_loses_a_record),
        ("parking_order", queue_is_out_of_order),
        ("lost", event_is_lost),
        ("not_received", event_is_not_received),
        ("parking_gap", queue_has_a_hole),
    ],
)
def test_a_broken_promise_is_named(code: str, broken: Break) -> None:
    world = World()
    broken(world)
    assert code in world.failures


def test_what_keeps_its_promises_passes() -> None:
    world = World()
    world.commit({"lease": lease(1)})
    world.publish(K1, K2)
    world.append(K1)
    world.commit({"outbox": (marked(row("row k1", K1), 1), marked(row("row k2", K2), 2))})
    world.commit({"accounts": key_document(2), "positions": position(2)})
    world.auditor.check_end()
    world.auditor.check_consumer("service", AddingHandler())
    assert world.failures == []
