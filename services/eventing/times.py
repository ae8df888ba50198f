"""Writes instants as text that sorts, and reads it back."""

from datetime import UTC, datetime

import msgspec

TEXT_CHARACTERS = 27
"""``2026-07-01T00:30:00.000000Z``: fixed, so that texts sort as their instants do."""
_WHOLE_SECOND_CHARACTERS = len("2026-07-01T00:30:00")
_ENCODE = msgspec.json.Encoder().encode


def to_text(at: datetime) -> str:
    """RFC 3339 in UTC with six digits of fraction and ``Z``; BSON's own dates would lose the microseconds."""
    assert at.tzinfo is not None
    # A tenth of isoformat's time, which counts: every posting writes one.
    text = _ENCODE(at if at.tzinfo is UTC else at.astimezone(UTC))[1:-1].decode()
    return text if at.microsecond else f"{text[:_WHOLE_SECOND_CHARACTERS]}.000000Z"


def from_text(text: str) -> datetime:
    """The instant that ``to_text`` wrote, in UTC. Raises ``ValueError`` for any other form."""
    if len(text) != TEXT_CHARACTERS or text[-1] != "Z":
        raise ValueError("not a fixed-width UTC time")
    return datetime.fromisoformat(text)
