"""Buries, after every test, the relays that still ran when it ended."""

from collections.abc import Iterator

import pytest

from tests.support.simulation.loop import burial


@pytest.fixture(autouse=True)
def _burial() -> Iterator[None]:
    with burial():
        yield
