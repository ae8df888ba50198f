"""Reads a generated history as what is to be sent, in waves of one business time each."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from pathlib import Path
from typing import Any, Final, Literal

MANIFEST: Final = "manifest.json"
Door = Literal["units", "roll", "organisations", "volunteers", "activities", "batch", "live", "back_office"]
REGISTRY_LISTS: Final = frozenset({"units", "roll", "organisations", "volunteers"})
LISTS: Final = REGISTRY_LISTS | {"activities"}


@dataclass(frozen=True, slots=True)
class Sending:
    """One thing to be sent: a file (``name``), or one line (``index`` of the door's file).

    Sendings of a wave go out concurrently, but those of one lane one after the other.
    """

    at: datetime
    door: Door
    lane: str
    name: str = ""
    index: int = 0
    line: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class History:
    """A generated history: its manifest and everything that is to be sent, in order."""

    directory: Path
    months: tuple[str, ...]
    counts: dict[str, int]
    ends_at: datetime
    sendings: tuple[Sending, ...]

    def waves(self) -> Iterator[tuple[datetime, list[Sending]]]:
        """The sendings by business time."""
        for at, group in groupby(self.sendings, key=lambda sending: sending.at):
            yield at, list(group)

    def bytes_of(self, sending: Sending) -> bytes:
        """The content of a file that is to be sent."""
        return (self.directory / sending.name).read_bytes()


def read_history(directory: Path) -> History:
    """Reads a history. Raises ``OSError``, ``KeyError`` or ``ValueError`` if there is none."""
    manifest = json.loads((directory / MANIFEST).read_bytes())
    sendings = [
        Sending(datetime.fromisoformat(item["at"]), item["kind"], f"{item['kind']}|{item['lane']}", item["file"])
        for item in manifest["items"]
    ]
    sendings += _lines(directory / manifest["live"], "live", "session_id")
    sendings += _lines(directory / manifest["back_office"], "back_office", "proposal")
    return History(
        directory=directory,
        months=tuple(manifest["months"]),
        counts=manifest["counts"],
        ends_at=datetime.fromisoformat(manifest["ends_at"]),
        sendings=tuple(sorted(sendings, key=lambda sending: sending.at)),
    )


def _lines(path: Path, door: Door, lane_field: str) -> list[Sending]:
    lines = [json.loads(text) for text in path.read_text(encoding="utf-8").splitlines()]
    return [
        Sending(datetime.fromisoformat(line["at"]), door, f"{door}|{line[lane_field]}", path.name, index, line)
        for index, line in enumerate(lines)
    ]
