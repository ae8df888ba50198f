"""Gives the tests of the simulation's own parts a world's loop, network, database and broker."""

from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import pytest

from tests.support.simulation.loop import SimulatedLoop
from tests.support.simulation.network import Network

T = TypeVar("T")

Run = Callable[[Coroutine[Any, Any, Any]], Any]


@pytest.fixture
def loop() -> SimulatedLoop:
    return SimulatedLoop(seed=1)


@pytest.fixture
def network(loop: SimulatedLoop) -> Network:
    return Network(loop)
