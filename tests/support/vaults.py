"""A vault in memory for tests and simulations: values cannot be read in what it seals, keys can be destroyed."""

import asyncio
import hashlib
import hmac
from collections.abc import Callable, Mapping

from services.registry.personal.vault import Fields, Sealed

_MARK_KEY = b"a key of tests"


class MemoryVault:
    """Keeps the port ``Vault``; deterministic. ``fault`` is called before each step with its name and may raise."""

    def __init__(self, fault: Callable[[str], None] | None = None) -> None:
        self.keys: dict[str, bytes] = {}
        self.seals = 0
        self.fault = fault

    async def seal(self, people: Mapping[str, Fields]) -> dict[str, dict[str, bytes]]:
        await self._step("seal")
        sealed = {}
        for person, values in people.items():
            key = self.keys.setdefault(person, hashlib.sha256(person.encode()).digest())
            sealed[person] = {field: _mixed(key, field, value.encode()) for field, value in values.items()}
            self.seals += 1
        return sealed

    async def open(self, people: Mapping[str, Sealed]) -> dict[str, dict[str, str]]:
        await self._step("open")
        return {
            person: {field: _mixed(self.keys[person], field, value).decode() for field, value in values.items()}
            for person, values in people.items()
            if person in self.keys
        }

    def mark(self, purpose: str, value: str) -> str:
        return hmac.digest(_MARK_KEY, f"{purpose}\x1f{value}".encode(), "sha256").hex()

    async def ping(self) -> None:
        await self._step("ping")

    def destroy(self, person: str) -> None:
        """Makes all that was sealed for a person unreadable."""
        del self.keys[person]

    async def _step(self, name: str) -> None:
        await asyncio.sleep(0)
        if self.fault is not None:
            self.fault(name)


def _mixed(key: bytes, field: str, value: bytes) -> bytes:
    """The value, exclusive-or a stream made from key and field: its own inverse."""
    blocks = (hmac.digest(key, f"{field}{number}".encode(), "sha256") for number in range(len(value) // 32 + 1))
    stream = b"".join(blocks)
    return bytes(one ^ other for one, other in zip(value, stream, strict=False))
