"""Keeps what the platform has acknowledged to the load's clients: all of it must be found again, and nothing else."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Final

from tests.support.simulation.city_model import CityModel

CHANNELS: Final = ("unit_recommendation", "community", "online")


@dataclass(slots=True)
class Record:
    """Acknowledgements. The ``model`` holds those that minutes and scores follow from; people are named by number.

    ``wrong``: answers that no client may ever get, for example a second answer to a command that is another one.
    """

    model: CityModel = field(default_factory=CityModel)
    ids: dict[str, str] = field(default_factory=dict)
    """Volunteer ids by number, as registry has told them."""
    edits: Counter[str] = field(default_factory=Counter)
    """How often a volunteer was changed, by number."""
    channels: dict[str, str] = field(default_factory=dict)
    """What a volunteer's channel was changed to last, by number."""
    organisations: set[str] = field(default_factory=set)
    rolls: dict[tuple[str, str], int] = field(default_factory=dict)
    """People by unit and date."""
    batches: dict[bytes, Any] = field(default_factory=dict)
    """Receipts by the bytes that were sent."""
    accepted: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)

    def took_people(self, rows: list[list[str]]) -> None:
        """Volunteers were registered."""
        self.model.took_list("volunteers", rows)
        self.channels |= {row[0]: CHANNELS[0] for row in rows}

    def took_roll(self, unit: str, as_of: str, people: int) -> None:
        """A unit's roll was recorded."""
        self.model.took_list("roll", [[unit, as_of, str(people)]])
        self.rolls[unit, as_of] = people

    def edited(self, number: str, channel: str) -> None:
        """A volunteer was changed."""
        self.edits[number] += 1
        self.channels[number] = channel

    def receipt(self, raw: bytes, receipt: Any) -> bool:
        """A batch was answered; whether for the first time. The same bytes must have the same receipt."""
        if raw not in self.batches:
            self.batches[raw] = receipt
            return True
        if receipt != self.batches[raw]:
            self.wrong.append(f"receipt: {receipt}, was {self.batches[raw]}")
        return False

    @property
    def contradictions(self) -> list[str]:
        """Answers that cannot all be right."""
        return [*self.wrong, *(f"contradiction: {each}" for each in self.model.contradictions_at_the_end())]
