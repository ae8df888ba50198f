"""The whole platform, started once for all tests of this kind."""

import json
from collections.abc import AsyncIterator, Generator, Iterator
from pathlib import Path

import pytest
from kafka import KafkaConsumer, TopicPartition

from deploy.history.gateway_client import Gateway, Tokens
from deploy.local.processes import PROCESSES, Platform, running_platform
from deploy.local.servers import Servers
from services.contracts.topics import TOPICS
from services.eventing.topics_tool import create_topics
from tests.support.collector import Collector, collecting
from tests.support.town import Town

LINES_SHOWN_MAX = 8
TOLD = frozenset({"warning", "error", "critical"})


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Shows with a failure what the platform's processes warned of: elsewhere their logs are gone with the run."""
    report = yield
    platform = getattr(item, "funcargs", {}).get("platform")
    if report.failed and isinstance(platform, Platform):
        report.sections.append(("what the processes warned of", "\n".join(map(_warned, _logs(platform)))))
    return report


def written_topics(bootstrap: str) -> set[str]:
    """The platform's topics that hold a record."""
    consumer = KafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False)
    partitions = [TopicPartition(topic.name, number) for topic in TOPICS for number in range(topic.partitions)]
    ends = consumer.end_offsets(partitions)
    consumer.close()
    return {partition.topic for partition, end in ends.items() if end}


def _logs(platform: Platform) -> list[Path]:
    return [log for name in PROCESSES if (log := platform.log(name)).exists()]


def _warned(log: Path) -> str:
    """A process's last warnings; lines that are no log lines, a traceback's for one, are told too."""
    lines = log.read_text(errors="replace").splitlines()
    told = [line for line in lines if not line.startswith("{") or json.loads(line).get("level") in TOLD]
    return "\n".join([f"{log.stem}: {len(lines)} lines", *told[-LINES_SHOWN_MAX:]])


@pytest.fixture(scope="session")
def collector() -> Iterator[Collector]:
    """Where the platform's processes send the steps of sampled traces."""
    with collecting() as listening:
        yield listening


@pytest.fixture(scope="session")
def platform(servers: Servers, tmp_path_factory: pytest.TempPathFactory, collector: Collector) -> Iterator[Platform]:
    """Twelve processes and the gateway on the session's servers."""
    create_topics(servers.bootstrap)
    if servers.broker is not None:
        assert written_topics(servers.bootstrap) == set(), "a test before wrote what the platform must not consume"
    traces = {"TRACES_URL": collector.url, "TRACES_RATIO": "0"}  # a test asks for its own trace
    with running_platform(tmp_path_factory.mktemp("platform"), servers, traces) as started:
        yield started


@pytest.fixture
async def gateway(platform: Platform) -> AsyncIterator[Gateway]:
    """A client of the platform's one address."""
    async with Gateway(platform.gateway, Tokens(platform.data_dir / "development-key.pem")) as client:
        yield client


@pytest.fixture
async def town(gateway: Gateway) -> Town:
    """A small town, registered once and found again."""
    return await Town(gateway).found(people=6)
