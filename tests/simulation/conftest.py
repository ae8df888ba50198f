"""Buries, after every test, the processes that died in it."""

from collections.abc import Iterator

import pytest

from tests.support.simulation import loop


@pytest.fixture(autouse=True)
def burial() -> Iterator[None]:
    with loop.burial():
        yield
