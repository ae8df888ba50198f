"""Defines what a command comes to: accepted with facts, or refused with a code."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from services.eventing.facts import Fact


@dataclass(frozen=True, slots=True)
class Accepted:
    """The command holds: ``body`` is the JSON answer; the facts are announced in the command's own transaction."""

    body: Mapping[str, Any]
    facts: Sequence[Fact] = ()
    status: int = 200
    etag: str | None = None
    location: str | None = None


@dataclass(frozen=True, slots=True)
class Refusal:
    """The command is refused and nothing was written but the refusal itself; ``code`` stands in the service's table."""

    code: str
    detail: str | None = None
    """English, for developers; never a personal value."""
    extra: Mapping[str, Any] = field(default_factory=dict)


Outcome = Accepted | Refusal


@dataclass(frozen=True, slots=True)
class Problem:
    """One row of the table that maps a refusal's code to HTTP (RFC 9457): stable code, status, Chinese title."""

    code: str
    status: int
    title: str
