"""Decides which minutes of a person's day are credited, and to which attendance."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import NamedTuple

from services.contracts.calendar import SHANGHAI

MINUTES_A_DAY = 1440
SHANGHAI_MINUTES_AHEAD = SHANGHAI.utcoffset(None) // timedelta(minutes=1)
_EPOCH_ORDINAL = date(1970, 1, 1).toordinal()


class Span(NamedTuple):
    """Minutes since 1970-01-01T00:00Z, ``[start, end)``, that lie within one service date."""

    day: str
    """The service date of Asia/Shanghai, ``YYYY-MM-DD``."""
    start: int
    end: int


class Claim(NamedTuple):
    """One attendance's claim on minutes of a day."""

    attendance_id: str
    start: int
    end: int
    grade: int


def minute_of(moment: datetime) -> int:
    """The whole minute a moment lies in, since 1970-01-01T00:00Z. ``moment`` has a zone."""
    utc = moment if moment.tzinfo is UTC else moment.astimezone(UTC)
    return (utc.toordinal() - _EPOCH_ORDINAL) * MINUTES_A_DAY + utc.hour * 60 + utc.minute


def moment_of(minute: int) -> datetime:
    """The moment a minute begins, in UTC."""
    return datetime.fromtimestamp(minute * 60, UTC)


@lru_cache(maxsize=4096)
def _day_text(day: int) -> str:
    return date.fromordinal(_EPOCH_ORDINAL + day).isoformat()


def day_of(minute: int) -> str:
    """The service date of a minute."""
    return _day_text((minute + SHANGHAI_MINUTES_AHEAD) // MINUTES_A_DAY)


def spans(came: int, left: int, starts: int, ends: int) -> list[Span]:
    """The creditable parts of an interval: clipped to the session's window, split at midnight.

    An interval that lies outside the window was served but is worth nothing: one empty span on the nearest date.
    """
    assert starts < ends
    assert came <= left
    start, end = max(came, starts), min(left, ends)
    if start >= end:
        nearest = min(max(came, starts), ends - 1)
        return [Span(day_of(nearest), nearest, nearest)]
    parts = []
    while start < end:
        midnight = ((start + SHANGHAI_MINUTES_AHEAD) // MINUTES_A_DAY + 1) * MINUTES_A_DAY - SHANGHAI_MINUTES_AHEAD
        parts.append(Span(day_of(start), start, min(end, midnight)))
        start = midnight
    return parts


def attribute(claims: Sequence[Claim]) -> list[int]:
    """The minutes each claim of one day is credited with, in the order given; their sum is the union's length.

    Each minute goes to the highest grade, then the earliest start, then the lowest attendance id, so that neither the
    order of arrival nor a repeat changes anything, and no minute is paid twice.
    """
    if len(claims) == 1:
        return [claims[0].end - claims[0].start]
    credited = [0] * len(claims)
    covered: list[tuple[int, int]] = []
    for index in sorted(range(len(claims)), key=lambda i: (-claims[i].grade, claims[i].start, claims[i].attendance_id)):
        claim = claims[index]
        credited[index] = claim.end - claim.start - _overlap(covered, claim.start, claim.end)
        covered = _united(covered, claim.start, claim.end)
    assert 0 <= sum(credited) <= MINUTES_A_DAY
    return credited


def _overlap(covered: list[tuple[int, int]], start: int, end: int) -> int:
    return sum(max(0, min(end, right) - max(start, left)) for left, right in covered)


def _united(covered: list[tuple[int, int]], start: int, end: int) -> list[tuple[int, int]]:
    """Disjoint segments plus one more, still disjoint."""
    if start == end:
        return covered
    apart = [segment for segment in covered if segment[1] < start or segment[0] > end]
    touching = [segment for segment in covered if not (segment[1] < start or segment[0] > end)]
    return [*apart, (min([start, *(s[0] for s in touching)]), max([end, *(s[1] for s in touching)]))]
