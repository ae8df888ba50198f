"""Keeps the port ``Vault`` without cryptography: late, and now and then not to be had."""

import asyncio
import hashlib
from collections.abc import Mapping

from services.registry.personal.vault import Fields, Sealed, VaultUnavailableError
from tests.support.simulation.loop import current_node

UNAVAILABLE: float = 0.01
DELAY_S = (0.0005, 0.004)


class SimulatedVault:
    """Seals by turning a value around; all that a test of the platform's faults needs of it is that it takes time."""

    async def seal(self, people: Mapping[str, Fields]) -> dict[str, dict[str, bytes]]:
        await self.ping()
        return {
            person: {field: f"{person}|{value}".encode()[::-1] for field, value in fields.items()}
            for person, fields in people.items()
        }

    async def open(self, people: Mapping[str, Sealed]) -> dict[str, dict[str, str]]:
        await self.ping()
        return {
            person: {field: value[::-1].decode().partition("|")[2] for field, value in sealed.items()}
            for person, sealed in people.items()
        }

    def mark(self, purpose: str, value: str) -> str:
        return hashlib.sha256(f"{purpose}|{value}".encode()).hexdigest()

    async def ping(self) -> None:
        rng = current_node().loop.rng
        await asyncio.sleep(rng.uniform(*DELAY_S))
        if rng.random() < UNAVAILABLE:
            raise VaultUnavailableError("no answer")
