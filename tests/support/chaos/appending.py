"""Appends to topics what no relay would: records once more, and one that nobody can decode."""

import random
from collections.abc import Iterable
from importlib import import_module
from typing import Any, Final

from kafka import KafkaConsumer, KafkaProducer, TopicPartition

from deploy.local.servers import SERVICES
from tests.support.chaos.evidence import POISON

REPEATED_MAX: Final = 5
POLL_MS: Final = 1_000
POLLS_MAX: Final = 60
ACKNOWLEDGED_S: Final = 30.0
POISONED_TOPIC: Final = "activities.attendance"
POISONED_TYPE: Final = "activities.attendance.checked_in.v1"


def append_again(bootstrap: str, topic: str, rng: random.Random) -> int:
    """Appends the last few records of one partition once more, as they are; how many. Blocks.

    None where nothing stands in the topic yet.
    """
    consumer = KafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False, group_id=None)
    try:
        partitions = [TopicPartition(topic, number) for number in sorted(consumer.partitions_for_topic(topic))]
        ends = consumer.end_offsets(partitions)
        filled = [each for each in partitions if ends[each]]
        if not filled:
            return 0
        place = rng.choice(filled)
        first = max(0, ends[place] - rng.randint(1, REPEATED_MAX))
        consumer.assign([place])
        consumer.seek(place, first)
        found: list[Any] = []
        for _ in range(POLLS_MAX):
            if consumer.position(place) >= ends[place]:
                break
            found += consumer.poll(timeout_ms=POLL_MS).get(place, [])
    finally:
        consumer.close()
    assert found, f"{place} ends at {ends[place]}, and nothing was read of it"
    _append(bootstrap, ((topic, place.partition, each.key, each.value, each.headers) for each in found))
    return len(found)


def poison(bootstrap: str, number: int) -> int:
    """Appends a record that cannot be decoded, of a key made for it; how many processors will park it. Blocks."""
    key = f"{POISON}{number}"
    headers = [("ce_id", key.encode()), ("ce_type", POISONED_TYPE.encode()), ("ce_sequence", b"1")]
    _append(bootstrap, [(POISONED_TOPIC, None, key.encode(), b"\x00 no event", headers)])
    return sum(_decodes(service) for service in SERVICES)


def _decodes(service: str) -> bool:
    """Whether a service's processor reads and decodes what the poison says it is."""
    handler = import_module(f"services.{service}.wiring").SERVICE.build_handler()
    return POISONED_TOPIC in handler.topics and POISONED_TYPE in {event.TYPE for event in handler.uses}


def _append(bootstrap: str, records: Iterable[tuple[str, int | None, bytes, bytes, Any]]) -> None:
    producer = KafkaProducer(bootstrap_servers=bootstrap, acks="all")
    try:
        for topic, partition, key, value, headers in records:
            sent = producer.send(topic, key=key, value=value, headers=list(headers), partition=partition)
            sent.get(timeout=ACKNOWLEDGED_S)  # one by one: their order is theirs
    finally:
        producer.close()
