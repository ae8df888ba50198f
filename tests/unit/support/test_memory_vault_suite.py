"""The vault in memory does what the real one does."""

import asyncio

from tests.integration.vault_suite import Scenario, VaultSuite
from tests.support.vaults import MemoryVault


class TestMemoryVault(VaultSuite):
    def run(self, scenario: Scenario) -> None:
        vault = MemoryVault()

        async def destroy(person: str) -> None:
            vault.destroy(person)

        asyncio.run(scenario(vault, destroy))  # type: ignore[arg-type]
