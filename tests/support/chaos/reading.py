"""Reads what the platform shows: over HTTP what the public sees, from Kafka and the databases how facts travelled."""

import asyncio
import re
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any, Final, TypeVar

from kafka import KafkaConsumer, TopicPartition
from kafka.admin import KafkaAdminClient
from pymongo import MongoClient

from deploy.local.servers import SERVICES
from tests.support.chaos.asking import Asking
from tests.support.chaos.evidence import Account, Appended, Evidence, Place, Total
from tests.support.chaos.record import Record
from tests.support.chaos.town import CITY, UNITS

PAGE: Final = 200
READERS: Final = 12
SHOWN: Final = 60
"""So many volunteers are looked at in registry too."""
POLL_MS: Final = 500
ENDED: Final = re.compile(r"(?:exited|stopped): (\S+) \((.*?)(?:; not expected)?\)")
"""What supervisord says of a process that ended unasked, or otherwise than it should when asked."""

T = TypeVar("T")


def by_grade(minutes: Mapping[str, int]) -> list[int]:
    """Minutes by grade, as hours shows them."""
    return [minutes[f"grade_{grade}"] for grade in range(4)]


async def read_services(asking: Asking, record: Record, period: str) -> Evidence:
    """All that is asked over HTTP. Fills in the ids of volunteers that no client has asked for."""
    evidence = Evidence()
    evidence.people = await asking.pages("/registry/v1/volunteers", limit=PAGE)
    record.ids.update({row["number"]: row["volunteer_id"] for row in evidence.people})
    organisations = await asking.pages("/registry/v1/organisations", limit=PAGE)
    evidence.organisations = [row["organisation_id"] for row in organisations]
    for unit in (CITY, *UNITS):
        rolls = (await asking.read(f"/registry/v1/units/{unit}"))["roll"]
        evidence.rolls |= {(unit, roll["as_of"]): roll["people"] for roll in rolls}
    for service in SERVICES:
        evidence.feeds[service] = await _feed(asking, service)
    await _read_accounts(asking, record, evidence)
    await _read_totals(asking, evidence)
    await _read_sessions(asking, record, evidence)
    board = await asking.read("/assessment/v1/scoreboard", period=period)
    evidence.points = {row["unit"]: Fraction(row["points"]) for row in board["rows"]}
    return evidence


async def _feed(asking: Asking, service: str) -> list[Any]:
    events: list[Any] = []
    after: dict[str, str | int] = {}
    while True:
        page = await asking.read(f"/{service}/v1/changes", limit=PAGE, **after)
        if not page["items"]:
            return events
        events += page["items"]
        after = {"after": page["next"]}


async def _for_each(items: Iterable[T], work: Callable[[T], Awaitable[None]]) -> None:
    """A few at a time."""
    todo = iter(list(items))

    async def reader() -> None:
        for item in todo:
            await work(item)

    async with asyncio.TaskGroup() as group:
        for _ in range(READERS):
            group.create_task(reader())


async def _read_accounts(asking: Asking, record: Record, evidence: Evidence) -> None:
    async def read(volunteer: str) -> None:
        answer = await asking.get(f"/hours/v1/accounts/{volunteer}")
        if answer.code == "account_unknown":
            return
        account = answer.json
        walk = await asking.read(f"/hours/v1/accounts/{volunteer}/verification")
        pending = {(each["session_id"], each["at_most_minutes"]) for each in account["pending"]}
        evidence.accounts[volunteer] = Account(by_grade(account["by_grade"]), pending, walk["holds"], walk["entries"])

    async def show(volunteer: str) -> None:
        shown = await asking.read(f"/registry/v1/volunteers/{volunteer}")
        evidence.shown_by_registry[volunteer] = shown["served"]["minutes_by_grade"]

    people = list(record.ids.values())
    await _for_each(people, read)
    await _for_each(people[:: max(1, len(people) // SHOWN)], show)


async def _read_totals(asking: Asking, evidence: Evidence) -> None:
    entries = [event["data"] for event in evidence.feeds["hours"] if event["type"] == "hours.entry.posted.v1"]
    for month in sorted({entry["booking_month"] for entry in entries}):
        for total in await asking.read("/hours/v1/totals", month=month):
            evidence.totals[total["unit"], month] = Total(by_grade(total["by_grade"]), total["entries"])


async def _read_sessions(asking: Asking, record: Record, evidence: Evidence) -> None:
    async def read(session: str) -> None:
        path = f"/activities/v1/sessions/{session}"
        came = await asking.pages(f"{path}/attendances", limit=PAGE)
        evidence.present[session] = [(row["volunteer_id"], row["state"]) for row in came]
        places = await asking.pages(f"{path}/sign-ups", limit=PAGE)
        evidence.sign_ups[session] = [row["volunteer_id"] for row in places]

    await _for_each(record.model.inputs.sessions, read)


# what only operators see


def read_topics(bootstrap: str, names: Iterable[str]) -> dict[str, list[Appended]]:
    """All that stands in these topics, each partition in its order. Blocks."""
    consumer = KafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False, group_id=None)
    try:
        partitions = _partitions(consumer, names)
        consumer.assign(partitions)
        consumer.seek_to_beginning(*partitions)
        ends = consumer.end_offsets(partitions)
        read: dict[str, list[Appended]] = {name: [] for name in names}
        while any(consumer.position(each) < ends[each] for each in partitions):
            for records in consumer.poll(timeout_ms=POLL_MS).values():
                for each in records:
                    read[each.topic].append(_appended(each))
        return read
    finally:
        consumer.close()


def _partitions(consumer: Any, names: Iterable[str]) -> list[TopicPartition]:
    return [TopicPartition(name, number) for name in names for number in sorted(consumer.partitions_for_topic(name))]


def _appended(record: Any) -> Appended:
    headers = {name: value.decode() for name, value in record.headers}
    sequence, key = int(headers["ce_sequence"]), record.key.decode()
    where = (record.partition, record.offset)
    return Appended(*where, key, sequence, headers["ce_id"], headers["ce_type"], record.value)


def read_ends(bootstrap: str, names: Iterable[str]) -> dict[Place, int]:
    """Where each partition ends. Blocks."""
    consumer = KafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False, group_id=None)
    try:
        ends = consumer.end_offsets(_partitions(consumer, names))
        return {(each.topic, each.partition): end for each, end in ends.items()}
    finally:
        consumer.close()


def read_positions(uris: Mapping[str, str]) -> dict[tuple[str, Place], int]:
    """The positions that every processor has stored. Blocks."""
    found: dict[tuple[str, Place], int] = {}
    for service, uri in uris.items():
        with MongoClient[dict[str, Any]](uri) as client:
            for document in client[service]["positions"].find():
                processor, topic, number = document["_id"].split("|")
                found[processor, (topic, int(number))] = document["next"]
    return found


def read_committed(bootstrap: str, groups: Iterable[str]) -> dict[tuple[str, Place], int]:
    """What consumer groups have committed. Blocks."""
    admin = KafkaAdminClient(bootstrap_servers=bootstrap)
    try:
        found: dict[tuple[str, Place], int] = {}
        for group in groups:
            for each, at in admin.list_group_offsets({group: None})[group].items():
                found[group, (each.topic, each.partition)] = at.offset
        return found
    finally:
        admin.close()


def read_ended(log: Path) -> Counter[str]:
    """How processes ended, as supervisord's log has it."""
    return Counter(f"{name} {how}" for name, how in ENDED.findall(log.read_text(errors="replace")))
