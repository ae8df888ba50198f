"""Starts, stops and looks at counting processors on real servers."""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import KafkaAdminClient, NewTopic
from pymongo import MongoClient

from services.contracts.event import Event
from services.eventing.ports import Document
from services.eventing.positions import POSITIONS
from tests.support.counting import APPLIED, PEOPLE
from tests.support.records import Publisher

ROOT = Path(__file__).resolve().parents[2]
PARTITIONS = 4
LOOK_AGAIN_S = 0.05
WAIT_S = 60.0
SHORT_SESSION: dict[str, Any] = {"session_timeout_s": 6.0}
"""The shortest that a broker allows by its own default."""


def wait_until(holds: Callable[[], object], what: str, within_s: float = WAIT_S) -> None:
    """Waits on progress; fails with ``what`` if it does not come."""
    end = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < end, f"not within {within_s} s: {what}"
        time.sleep(LOOK_AGAIN_S)


@dataclass
class Worker:
    """One processor process."""

    process: subprocess.Popen[bytes]
    files: Path

    @property
    def log(self) -> str:
        """What it has written so far."""
        return (self.files / "log").read_text()

    def wait_for(self, name: str) -> None:
        """Waits until it has made a file."""
        wait_until(lambda: (self.files / name).exists() or self.process.poll() is not None, f"{name}: {self.log}")
        assert (self.files / name).exists(), self.log

    def hold(self) -> None:
        """From now on it stops in the middle of its next transaction."""
        (self.files / "hold").touch()

    def go_on(self) -> None:
        """It may end its transaction."""
        (self.files / "hold").unlink()

    def send(self, number: int) -> None:
        """Sends a signal."""
        self.process.send_signal(number)

    def end(self, number: int = signal.SIGTERM) -> int:
        """Ends it by a signal; returns its exit code."""
        self.send(number)
        return self.process.wait(20)

    def observed(self) -> Counter[str]:
        """What its observer heard, once it has ended in order."""
        return Counter(json.loads((self.files / "observed.json").read_text()))


@dataclass
class Site:
    """A topic or several, a database and a group of one test, and its workers."""

    bootstrap: str
    mongodb_uri: str
    name: str
    path: Path
    topics: Sequence[str]
    publisher: Publisher = field(default_factory=Publisher)
    workers: list[Worker] = field(default_factory=list)
    published: Counter[str] = field(default_factory=Counter)
    client: MongoClient[Document] = field(init=False)

    def __post_init__(self) -> None:
        self.client = MongoClient(self.mongodb_uri)
        self.make_topics()

    def make_topics(self) -> None:
        """Creates the test's topics."""
        admin = KafkaAdminClient(bootstrap_servers=self.bootstrap)
        admin.create_topics(
            [NewTopic(name=topic, num_partitions=PARTITIONS, replication_factor=1) for topic in self.topics]
        )
        wait_until(lambda: set(self.topics) <= set(admin.list_topics()), "topics")
        admin.close()

    def publish(self, events: Sequence[Event], topic: str | None = None) -> None:
        """Appends events as a relay would, acknowledged."""
        with_headers = self.publisher.messages(events)
        producer = KafkaProducer(bootstrap_servers=self.bootstrap, acks="all", linger_ms=5)
        sent = [
            producer.send(topic or self.topics[0], key=m.key, value=m.value, headers=list(m.headers))
            for m in with_headers
        ]
        for each in sent:
            each.get(20)
        producer.close()
        self.published.update(event.key for event in events)

    def start(self, **door: Any) -> Worker:
        """Starts a worker without waiting for it."""
        files = self.path / f"worker-{len(self.workers)}"
        files.mkdir()
        settings = {
            "bootstrap": self.bootstrap,
            "mongodb_uri": self.mongodb_uri,
            "database": self.name,
            "group": self.name,
            "topics": list(self.topics),
            "files": str(files),
            "door": door,
        }
        command = [sys.executable, "-m", "tests.support.counting_worker", json.dumps(settings)]
        with (files / "log").open("wb") as log:
            process = subprocess.Popen(
                command, cwd=ROOT, stdout=log, stderr=subprocess.STDOUT, env={**os.environ, "PYTHONWARNINGS": "ignore"}
            )
        self.workers.append(Worker(process, files))
        return self.workers[-1]

    def documents(self, collection: str) -> dict[str, Document]:
        """All documents of a collection, by id."""
        return {document["_id"]: document for document in self.client[self.name][collection].find()}

    def counts(self) -> Counter[str]:
        """How often each person was counted."""
        return Counter({key: person["count"] for key, person in self.documents(PEOPLE).items() if "count" in person})

    def ends(self) -> dict[str, int]:
        """The log's end offsets by ``topic|partition``."""
        consumer = KafkaConsumer(bootstrap_servers=self.bootstrap)
        partitions = [TopicPartition(topic, number) for topic in self.topics for number in range(PARTITIONS)]
        found = consumer.end_offsets(partitions)
        consumer.close()
        return {f"{each.topic}|{each.partition}": end for each, end in found.items()}

    def committed(self) -> dict[str, int]:
        """The group's committed offsets by ``topic|partition``, as lag tools read them."""
        admin = KafkaAdminClient(bootstrap_servers=self.bootstrap)
        found = admin.list_group_offsets({self.name: None})[self.name]
        admin.close()
        return {f"{each.topic}|{each.partition}": at.offset for each, at in found.items()}

    def wait_applied(self) -> None:
        """Waits until every published event has been counted; fails as soon as a worker has died unasked."""
        wait_until(lambda: sum(self.counts().values()) >= self.published.total(), "all applied")

    def check(self) -> None:
        """Each event once, in every projection, and all positions at the log's ends."""
        assert self.counts() == self.published
        assert len(self.documents(APPLIED)) == self.published.total()
        rows = self.documents("outbox").values()
        announced = [f"{e['key']}|{e['sequence']}" for row in rows for e in row["events"]]
        assert len(announced) == len(set(announced)) == self.published.total()
        positions = {each.removeprefix(f"{self.name}|"): at["next"] for each, at in self.documents(POSITIONS).items()}
        assert positions == self.ends()

    def close(self) -> None:
        """Ends what still runs."""
        for worker in self.workers:
            if worker.process.poll() is None:
                worker.send(signal.SIGCONT)
                worker.end(signal.SIGKILL)
        self.client.close()


@contextmanager
def site(bootstrap: str, mongodb_uri: str, name: str, path: Path, topics: int = 1) -> Iterator[Site]:
    """A test's own topics, database and group."""
    made = Site(bootstrap, mongodb_uri, name, path, [f"{name}.{number}" for number in range(topics)])
    try:
        yield made
    finally:
        made.close()
