"""Reads, makes and carries on W3C trace contexts, and names the port that finished steps of a trace are given to."""

import hashlib
import random
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Final, Literal, NamedTuple, Protocol

SAMPLED: Final = "01"
NOT_SAMPLED: Final = "00"
_TRACEPARENT: Final = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_SPAN_DIGITS: Final = 16
_RATIO_BITS: Final = 64


class Trace(NamedTuple):
    """One step of a trace: 32 hex digits of trace, 16 of span, 2 of flags."""

    trace_id: str
    span_id: str
    flags: str

    @property
    def traceparent(self) -> str:
        """The header's value, in version 00."""
        return f"00-{self.trace_id}-{self.span_id}-{self.flags}"

    @property
    def is_sampled(self) -> bool:
        """Whether steps of this trace are to be recorded."""
        return bool(int(self.flags, 16) & 1)


class Span(NamedTuple):
    """One finished step: what it is called, whose step it is of, when it ended and how long it took.

    Attributes are names of topics, types, routes and numbers; never a key, an id of a person or a payload value.
    """

    name: str
    kind: Literal["server", "producer", "consumer"]
    trace: Trace
    parent: str | None
    """The context that it came with, if any."""
    ended_at: datetime
    seconds: float
    attributes: Mapping[str, str | int]
    failed: bool = False


class Spans(Protocol):
    """Takes finished steps of sampled traces; returns at once and never fails its caller."""

    def record(self, span: Span) -> None: ...


def parse(traceparent: str) -> Trace | None:
    """The trace a header names, or none if it is not one (W3C Trace Context, section 3.2)."""
    match = _TRACEPARENT.fullmatch(traceparent)
    if match is None:
        return None
    version, trace_id, span_id, flags, rest = match.groups()
    unusable = version == "ff" or (version == "00" and rest) or not int(trace_id, 16) or not int(span_id, 16)
    return None if unusable else Trace(trace_id, span_id, flags)


def next_step(traceparent: str | None, rng: random.Random, *, ratio: float = 1.0) -> Trace:
    """A new span in the trace that a request came with, or in a new one if it came with none that is valid.

    Of new traces ``ratio`` are sampled, by their id, so that whoever is asked says the same.
    """
    parent = parse(traceparent) if traceparent is not None else None
    trace_id = parent.trace_id if parent else _hex(rng, 128)
    return Trace(trace_id, _hex(rng, 64), parent.flags if parent else _flags(trace_id, ratio))


def sampled(traceparent: str | None) -> Trace | None:
    """The trace of a context if its steps are to be recorded; cheap where there is none."""
    if traceparent is None or traceparent[-2:] == NOT_SAMPLED:
        return None
    trace = parse(traceparent)
    return trace if trace is not None and trace.is_sampled else None


def step_of(traceparent: str | None, name: str) -> str | None:
    """The context of the step of this name that a context led to: the same whenever it is made, without randomness.

    What is not sampled goes on as it is, for nothing: nobody will ask which step it was.
    """
    trace = sampled(traceparent)
    if trace is None:
        return traceparent
    span_id = hashlib.sha256(f"{traceparent}\x1f{name}".encode()).hexdigest()[:_SPAN_DIGITS]
    return Trace(trace.trace_id, span_id, trace.flags).traceparent


def step_name(processor: str, event_id: str) -> str:
    """What a processor's step on an event is called, so that what it derives names the step that is recorded."""
    return f"{processor} {event_id}"


def _flags(trace_id: str, ratio: float) -> str:
    is_sampled = int(trace_id[_SPAN_DIGITS:], 16) < ratio * (1 << _RATIO_BITS)
    return SAMPLED if is_sampled else NOT_SAMPLED


def _hex(rng: random.Random, bits: int) -> str:
    return f"{rng.getrandbits(bits) or 1:0{bits // 4}x}"
