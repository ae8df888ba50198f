"""Takes from a processor what it has not read, or gives it another log: it must stop and say so, and do nothing."""

import asyncio
import random
import time
import xmlrpc.client
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

from kafka import KafkaConsumer, TopicPartition
from kafka.admin import KafkaAdminClient

from deploy.local.processes import Platform
from deploy.local.servers import Servers
from services.eventing.topics_tool import create_topics
from tests.support.chaos.appending import append_again
from tests.support.chaos.evidence import Place
from tests.support.chaos.plan import READ_BY, Fault
from tests.support.chaos.reading import read_ended, read_positions

WITHIN_S: Final = 90.0
POLL_S: Final = 0.3
STOPPED: Final = "exit status 75"
SAYS: Final = ("LogTruncatedError", "LogReplacedError")


class NotStoppedError(Exception):
    """What had to come did not."""


async def end_with(fault: Fault, platform: Platform, servers: Servers, seed: int) -> list[str]:
    """Spoils a topic of a platform whose processes have all ended, starts the processor, and says what is wrong."""
    return await asyncio.to_thread(_end, fault, platform, servers, random.Random(f"ending {seed}"))


def _end(fault: Fault, platform: Platform, servers: Servers, rng: random.Random) -> list[str]:
    name = fault.target
    (topic,) = READ_BY[name.partition("-")[0]]
    before = read_positions(servers.mongodb_uris)
    if fault.kind == "truncated_topic":
        _truncate(servers.bootstrap, topic, rng)
    else:
        _recreate(servers.bootstrap, topic)
    log, supervisor = platform.log(name), platform.data_dir / "supervisord.log"
    begins, ended = log.stat().st_size, read_ended(supervisor)[f"{name} {STOPPED}"]
    with suppress(xmlrpc.client.Fault, TimeoutError):  # it may end before it counts as started
        platform.start_process(name)
    _until(lambda: read_ended(supervisor)[f"{name} {STOPPED}"] > ended, f"{name} goes on after a {fault.kind}")
    with suppress(xmlrpc.client.Fault, TimeoutError):  # it may be down just now
        platform.stop_process(name)
    return [*_unclear(log, begins, topic, fault), *_moved(before, read_positions(servers.mongodb_uris), fault)]


def _truncate(bootstrap: str, topic: str, rng: random.Random) -> None:
    """Appends a few records that nobody has read, and takes them and all before them away."""
    append_again(bootstrap, topic, rng)
    consumer = KafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False, group_id=None)
    try:
        places = [TopicPartition(topic, number) for number in consumer.partitions_for_topic(topic)]
        ends = consumer.end_offsets(places)
    finally:
        consumer.close()
    admin = KafkaAdminClient(bootstrap_servers=bootstrap)
    try:
        admin.delete_records({each: end for each, end in ends.items() if end})
    finally:
        admin.close()


def _recreate(bootstrap: str, topic: str) -> None:
    admin = KafkaAdminClient(bootstrap_servers=bootstrap)
    try:
        admin.delete_topics([topic])
        _until(lambda: topic not in admin.list_topics(), f"{topic} is still there")
    finally:
        admin.close()
    create_topics(bootstrap)


def _unclear(log: Path, begins: int, topic: str, fault: Fault) -> list[str]:
    """Whether each life's end is told in one line that names the topic, without a stack of calls."""
    text = log.read_bytes()[begins:].decode(errors="replace")
    lines = [line for line in text.splitlines() if any(each in line for each in SAYS)]
    wrong = []
    if not lines or not all(topic in line for line in lines):
        wrong.append(f"ending: {fault.kind} of {topic}: {fault.target} does not say so")
    if "Traceback" in text:
        wrong.append(f"ending: {fault.target} shows a stack of calls after a {fault.kind}")
    return wrong


def _moved(before: dict[tuple[str, Place], int], after: dict[tuple[str, Place], int], fault: Fault) -> list[str]:
    return [f"ending: positions were moved after a {fault.kind}"] if before != after else []


def _until(holds: Callable[[], bool], problem: str) -> None:
    give_up_at = time.monotonic() + WITHIN_S
    while not holds():
        if time.monotonic() > give_up_at:
            raise NotStoppedError(problem)
        time.sleep(POLL_S)
