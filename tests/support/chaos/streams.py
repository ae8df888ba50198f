"""Judges how facts travelled: topics hold each stream whole and in order, feeds and positions agree with them."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import msgspec

from tests.support.chaos.evidence import Appended, Evidence

Stream = tuple[str, str]
"""A topic and a key."""


def first_ones(records: Iterable[Appended]) -> list[Appended]:
    """The records of a topic without repeats: each event where it first stands."""
    found: dict[str, Appended] = {}
    for each in records:
        found.setdefault(each.id, each)
    return list(found.values())


def repeats(topics: dict[str, list[Appended]]) -> int:
    """How many records only repeat others."""
    return sum(len(records) - len(first_ones(records)) for records in topics.values())


def faults_of_topic(topic: str, records: Sequence[Appended]) -> Iterator[str]:
    """What is wrong with a topic: offsets or sequences with gaps, an event that changed, a key in two partitions."""
    next_offset: dict[int, int] = defaultdict(int)
    reached: dict[str, int] = defaultdict(int)
    partitions: dict[str, int] = {}
    known: dict[tuple[str, int], Appended] = {}
    for each in records:
        if each.offset != next_offset[each.partition]:
            yield f"topic_offsets: {topic}/{each.partition} has {each.offset} after {next_offset[each.partition] - 1}"
        next_offset[each.partition] = each.offset + 1
        if partitions.setdefault(each.key, each.partition) != each.partition:
            yield f"topic_partitions: {topic} has {each.key} in {each.partition} and {partitions[each.key]}"
        first = known.setdefault((each.key, each.sequence), each)
        if (first.id, first.value) != (each.id, each.value):
            yield f"topic_conflict: {topic} {each.key} has two events with sequence {each.sequence}"
        elif first is each and each.sequence != reached[each.key] + 1:
            yield f"topic_gap: {topic} {each.key} has {each.sequence} after {reached[each.key]}"
        reached[each.key] = max(reached[each.key], each.sequence)


def faults_of_feed(service: str, feed: Sequence[Any], topics: dict[str, list[Appended]]) -> Iterator[str]:
    """What is wrong with a service's feed: it must hold what its topics hold, once each, every stream in order."""
    published: dict[str, tuple[str, Appended]] = {}
    for topic, records in topics.items():
        if topic.startswith(f"{service}."):
            published |= {each.id: (topic, each) for each in first_ones(records) if not each.is_poison}
    counts = Counter(event["id"] for event in feed)
    yield from (f"feed_double: {service} has {each} {n} times" for each, n in counts.items() if n > 1)
    yield from (f"feed_unpublished: {service} has {each}, no topic has" for each in counts.keys() - published.keys())
    yield from (f"feed_missing: {service} has not {each}" for each in published.keys() - counts.keys())
    reached: dict[Stream, int] = defaultdict(int)
    for event in feed:
        if event["id"] not in published:
            continue
        topic, record = published[event["id"]]
        stream = (topic, event["subject"])
        if int(event["sequence"]) != reached[stream] + 1:
            yield f"feed_gap: {service} {stream} has {int(event['sequence'])} after {reached[stream]}"
        reached[stream] = int(event["sequence"])
        if event != msgspec.json.decode(record.value):
            yield f"feed_differs: {service} {event['id']} is another event in {topic}"


def faults_of_positions(evidence: Evidence) -> Iterator[str]:
    """What is wrong with how far processors have come: all at the ends of all partitions of what they read."""
    partitions = defaultdict(set)
    for topic, number in evidence.ends:
        partitions[topic].add(number)
    read = {(processor, topic) for processor, (topic, _) in evidence.positions}
    if not read:
        yield "position: there is none"
    for processor, topic in sorted(read):
        for number in sorted(partitions[topic]):
            place = (topic, number)
            end, position = evidence.ends[place], evidence.positions.get((processor, place))
            if position != end:
                yield f"position: {processor} is at {position} of {end} in {topic}/{number}"
            if evidence.committed.get((processor, place), 0) != end:
                committed = evidence.committed.get((processor, place))
                yield f"committed: {processor} shows {committed} of {end} in {topic}/{number}"
