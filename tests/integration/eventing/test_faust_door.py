"""The whole worker on a real broker and database: every event exactly once, whatever happens to the process."""

import secrets
import signal
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.support.records import check_in
from tests.support.workers import SHORT_SESSION, Site, site, wait_until


@pytest.fixture
def place(kafka_bootstrap: str, mongodb_uris: Mapping[str, str], tmp_path: Path) -> Iterator[Site]:
    with site(kafka_bootstrap, mongodb_uris["hours"], f"t{secrets.token_hex(4)}", tmp_path) as made:
        yield made


def people(count: int, each: int = 1) -> list[str]:
    return [f"volunteer-{number:04d}" for number in range(count)] * each


def test_every_event_is_applied_once_and_the_group_shows_no_lag(place: Site) -> None:
    place.publish([check_in(key) for key in people(200, each=5)])
    worker = place.start()
    place.wait_applied()
    place.publish([check_in(key) for key in people(20)])
    place.wait_applied()
    wait_until(lambda: place.committed() == place.ends(), "committed offsets follow", 10)
    began = time.monotonic()
    assert worker.end() == 0
    assert time.monotonic() - began < 5
    place.check()
    assert place.committed() == place.ends()
    assert worker.observed()["applied"] == place.published.total()
