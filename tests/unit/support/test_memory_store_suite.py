"""The store in memory does what MongoDB does."""

import asyncio

from tests.integration.store_suite import COLLECTIONS, INDEXES, Scenario, Stores, StoreSuite
from tests.support.memory_store import MemoryStore


class TestMemoryStore(StoreSuite):
    def run(self, scenario: Scenario) -> None:
        async def on_one_store() -> None:
            store = MemoryStore()
            await store.prepare(COLLECTIONS, INDEXES)
            await scenario(Stores(store, store))

        asyncio.run(on_one_store())
