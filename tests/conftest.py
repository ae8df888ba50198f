"""What every test gets: its kind's mark and limits, and real servers if it asks for them."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import hypothesis
import pytest
import pytest_socket

from deploy.local.servers import Servers, embedded_servers

TESTS = Path(__file__).parent


@dataclass(frozen=True)
class Kind:
    """What tests of one kind, the folder under ``tests/``, may do."""

    timeout_s: float
    has_network: bool


KINDS = {
    "unit": Kind(timeout_s=60, has_network=False),
    "contract": Kind(timeout_s=60, has_network=False),
    "property": Kind(timeout_s=120, has_network=False),
    "simulation": Kind(timeout_s=900, has_network=False),
    "integration": Kind(timeout_s=180, has_network=True),
    "e2e": Kind(timeout_s=300, has_network=True),
    "chaos": Kind(timeout_s=900, has_network=True),
    "bench": Kind(timeout_s=900, has_network=True),
}

# No deadline: the machine is shared, and a slow example is no wrong one. The blob replays a failure anywhere.
hypothesis.settings.register_profile("default", deadline=None, print_blob=True)
hypothesis.settings.load_profile("default")


def kind_of(path: Path) -> str:
    """Return the kind of the tests in a file, which its first folder names.

    Raises UsageError for a file in no such folder: it would run with nobody's limits.
    """
    kind = path.relative_to(TESTS).parts[0]
    if kind not in KINDS:
        raise pytest.UsageError(f"{path}: tests stand in one of tests/{{{','.join(KINDS)}}}")
    return kind


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        kind = kind_of(item.path)
        item.add_marker(kind)
        if item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(KINDS[kind].timeout_s))


def pytest_runtest_setup(item: pytest.Item) -> None:
    if KINDS[kind_of(item.path)].has_network:
        pytest_socket.enable_socket()
    else:
        # An event loop wakes itself through a pair of Unix sockets.
        pytest_socket.disable_socket(allow_unix_socket=True)


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """Give the session's broker and databases, started for the first test that asks.

    All tests of a session share them, so a test uses topics, groups and databases of its own name, and one that stops
    or kills a server starts its own with ``embedded_servers``. Kinds that need servers run in one process: a second
    set would not fit beside the first on two cores.
    """
    if "PYTEST_XDIST_WORKER" in os.environ:
        raise pytest.UsageError("tests that need servers run without -n")
    with embedded_servers(tmp_path_factory.mktemp("servers")) as started:
        yield started


@pytest.fixture(scope="session")
def kafka_bootstrap(servers: Servers) -> str:
    """Give the broker's address."""
    return servers.bootstrap


@pytest.fixture(scope="session")
def mongodb_uris(servers: Servers) -> Mapping[str, str]:
    """Give each service's database address."""
    return servers.mongodb_uris
