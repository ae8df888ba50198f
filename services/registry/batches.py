"""Defines how several commands of one kind are decided together: loaded at once, one after the other, saved once."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar, Generic, TypeVar

from services.contracts.event import Event
from services.eventing.ports import Reads, Transaction
from services.registry.decisions import Faults, Unchanged

C = TypeVar("C")


class CommandBatch(ABC, Generic[C]):
    """What some commands are about, as they change it; a command sees what those before it changed.

    A form over HTTP is a batch of one, a file is many: both are decided by the same rules.
    """

    prepares: ClassVar[bool] = False
    """Whether ``prepare`` does anything, so that it is worth finding out what for."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        """What is to be announced, in order."""

    @abstractmethod
    async def load(self, reads: Reads, commands: Sequence[C]) -> None:
        """Loads what the commands name; what was loaded or changed before stays as it is."""

    @abstractmethod
    def enter(self, command: C) -> Faults | Unchanged | None:
        """Takes in one command whose surroundings are loaded; ``None`` when that changed something."""

    async def prepare(self) -> None:
        """Does what saving needs and takes long, outside of a transaction."""

    @abstractmethod
    async def save(self, tx: Transaction) -> None:
        """Writes what changed."""
