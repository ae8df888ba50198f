"""Facts are staged with gap-free sequences per key, and written with the transaction that makes them."""

import asyncio

import pytest

from services.contracts.codec import decode
from services.contracts.ids import EventId
from services.eventing import outbox
from services.eventing.facts import Fact
from services.eventing.outbox import emit, load_heads, messages_of, stage
from services.eventing.ports import AlreadyExistsError, Transaction
from tests.support.outbox import announce, fact, facts, outbox_store, row, rows
from tests.support.records import NOON, check_in

TOPIC = "activities.attendance"


def test_sequences_go_on_from_the_heads_per_topic_and_key() -> None:
    heads = {(TOPIC, "a"): 4, (TOPIC, "b"): 0}
    staged = stage(facts("a", "b", "a"), heads, row_id="r", at=NOON)
    assert staged["streams"] == [f"{TOPIC}|a|5", f"{TOPIC}|b|1", f"{TOPIC}|a|6"]
    assert [event["sequence"] for event in staged["events"]] == [5, 1, 6]
    assert heads == {(TOPIC, "a"): 6, (TOPIC, "b"): 1}


def test_a_row_says_when_it_was_made_and_how_large_it_is() -> None:
    staged = row({}, "a", "b", row_id="r")
    assert staged["_id"] == "r"
    assert staged["state"] == "unmarked"
    assert staged["created_at"] == "2026-07-01T04:00:00.000000Z"
    assert staged["count"] == 2
    assert staged["bytes"] == sum(len(event["value"]) for event in staged["events"])


def test_a_stream_whose_head_was_not_loaded_is_a_bug() -> None:
    with pytest.raises(KeyError):
        stage(facts("a"), {}, row_id="r", at=NOON)


def test_an_event_too_large_to_publish_never_enters_the_outbox(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "EVENT_BYTES_MAX", 100)
    with pytest.raises(AssertionError):
        row({}, "a", row_id="r")


def test_a_message_is_the_event_with_its_identity_in_the_headers() -> None:
    (message,) = messages_of(stage([fact("王", "id-1")], {(TOPIC, "王"): 6}, row_id="r", at=NOON))
    assert message.topic == TOPIC
    assert message.key == "王".encode()
    assert message.headers == (
        ("ce_id", b"id-1"),
        ("ce_type", b"activities.attendance.checked_in.v1"),
        ("ce_sequence", b"000000000007"),
        ("content-type", b"application/cloudevents+json"),
    )
    envelope = decode("activities.attendance.checked_in.v1", message.value)
    assert (envelope.id, envelope.sequence, envelope.time) == ("id-1", "000000000007", NOON)
    assert envelope.data == check_in("王")


def test_a_trace_goes_into_the_event_and_the_headers() -> None:
    parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    traced = Fact(EventId("id-1"), check_in("a"), NOON, traceparent=parent)
    (message,) = messages_of(stage([traced], {(TOPIC, "a"): 0}, row_id="r", at=NOON))
    assert message.headers[-1] == ("traceparent", parent.encode())
    assert decode("activities.attendance.checked_in.v1", message.value).traceparent == parent


async def test_one_transaction_writes_one_row_and_its_counters() -> None:
    store = outbox_store()
    await announce(store, "a", "b", "a", row_id="r1")
    await announce(store, "a", row_id="r2")
    assert {i: d["streams"] for i, d in store.documents("outbox").items()} == {
        "r1": [f"{TOPIC}|a|1", f"{TOPIC}|b|1", f"{TOPIC}|a|2"],
        "r2": [f"{TOPIC}|a|3"],
    }
    assert {i: d["n"] for i, d in store.documents("streams").items()} == {f"{TOPIC}|a": 3, f"{TOPIC}|b": 1}


async def test_no_facts_write_nothing() -> None:
    store = outbox_store()
    await store.transact(lambda tx: emit(tx, [], row_id="r", at=NOON))
    assert store.commits == 0


async def test_transactions_that_emit_to_one_key_exclude_each_other() -> None:
    store = outbox_store()
    await asyncio.gather(*(announce(store, "a", row_id=f"r{n}") for n in range(6)))
    streams = sorted(each for document in store.documents("outbox").values() for each in document["streams"])
    assert streams == [f"{TOPIC}|a|{n}" for n in range(1, 7)]
    assert store.conflicts > 0


async def test_an_aborted_transaction_leaves_no_gap() -> None:
    store = outbox_store()

    async def work(tx: Transaction) -> None:
        await emit(tx, facts("a"), row_id="r1", at=NOON)
        raise KeyError("refused")

    with pytest.raises(KeyError):
        await store.transact(work)
    await announce(store, "a", row_id="r2")
    assert store.documents("outbox")["r2"]["streams"] == [f"{TOPIC}|a|1"]


async def test_a_row_id_is_used_once() -> None:
    store = outbox_store()
    await announce(store, "a", row_id="r")
    with pytest.raises(AlreadyExistsError):
        await announce(store, "b", row_id="r")


async def test_a_sequence_never_stands_in_two_rows() -> None:
    """The unique index is the last guard if a counter were wrong."""
    store = outbox_store()
    first, _ = rows(["a"], ["a"])
    store.put("outbox", first)
    with pytest.raises(AlreadyExistsError):
        await store.transact(lambda tx: tx.insert("outbox", [{**first, "_id": "another"}]))


async def test_heads_are_zero_where_nothing_was_emitted() -> None:
    store = outbox_store()
    await announce(store, "a", row_id="r")
    assert await store.transact(lambda tx: load_heads(tx, [(TOPIC, "a"), (TOPIC, "b")])) == {
        (TOPIC, "a"): 1,
        (TOPIC, "b"): 0,
    }
