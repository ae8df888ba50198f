"""Names what registry needs of a vault: personal values sealed under a key of each person, and keyed hashes."""

from collections.abc import Mapping
from typing import Protocol

from services.eventing.ports import StoreUnavailableError

Fields = Mapping[str, str]
"""Personal values by field."""
Sealed = Mapping[str, bytes]
"""Sealed values by field."""


class VaultUnavailableError(StoreUnavailableError):
    """The vault cannot be asked now; transient, like a store that does not answer."""


class Vault(Protocol):
    """Seals and opens what is personal; destroying a person's key makes all that was sealed for them unreadable."""

    async def seal(self, people: Mapping[str, Fields]) -> dict[str, dict[str, bytes]]:
        """Seals the values of people, by person id, making a key for whoever has none yet.

        Raises ``VaultUnavailableError``.
        """
        ...

    async def open(self, people: Mapping[str, Sealed]) -> dict[str, dict[str, str]]:
        """The values that were sealed; a person whose key was destroyed is not in the answer."""
        ...

    def mark(self, purpose: str, value: str) -> str:
        """A keyed hash: equal values of one purpose have equal marks, and a mark says nothing of its value."""
        ...

    async def ping(self) -> None:
        """Returns if the vault can work. Raises ``VaultUnavailableError``."""
        ...


class NoVault:
    """Stands where no vault was given: the app can be described, but is not ready and keeps nothing personal."""

    async def seal(self, people: Mapping[str, Fields]) -> dict[str, dict[str, bytes]]:
        del people
        raise VaultUnavailableError("no vault was given")

    async def open(self, people: Mapping[str, Sealed]) -> dict[str, dict[str, str]]:
        del people
        raise VaultUnavailableError("no vault was given")

    def mark(self, purpose: str, value: str) -> str:
        del purpose, value
        raise VaultUnavailableError("no vault was given")

    async def ping(self) -> None:
        raise VaultUnavailableError("no vault was given")
