"""The simulated store does what MongoDB does when no fault is planned."""

import random

from tests.integration.store_suite import COLLECTIONS, INDEXES, Scenario, Stores, StoreSuite
from tests.support.simulation.loop import Node, SimulatedLoop
from tests.support.simulation.network import Network
from tests.support.simulation.store import SimulatedStore
from tests.support.simulation.store_server import StoreServer


class TestSimulatedStore(StoreSuite):
    def run(self, scenario: Scenario) -> None:
        loop = SimulatedLoop(seed=1)
        server = StoreServer(Network(loop), "store")
        server.prepare(COLLECTIONS, INDEXES)
        one, other = (SimulatedStore(server, name, random.Random(name)) for name in ("one", "other"))
        node = Node(loop, "process")

        async def in_a_process() -> None:
            await node.spawn(awaited())

        async def awaited() -> None:
            await scenario(Stores(one, other))

        loop.run_until_complete(in_a_process())
