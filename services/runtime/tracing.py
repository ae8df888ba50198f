"""Reads and makes W3C trace contexts (``traceparent``), which tie a request to the events it causes."""

import random
import re
from typing import Final, NamedTuple

_TRACEPARENT: Final = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_SAMPLED: Final = "01"


class Trace(NamedTuple):
    """One step of a trace: 32 hex digits of trace, 16 of span, 2 of flags."""

    trace_id: str
    span_id: str
    flags: str

    @property
    def traceparent(self) -> str:
        """The header's value, in version 00."""
        return f"00-{self.trace_id}-{self.span_id}-{self.flags}"


def parse(traceparent: str) -> Trace | None:
    """The trace a header names, or none if it is not one (W3C Trace Context, section 3.2)."""
    match = _TRACEPARENT.fullmatch(traceparent)
    if match is None:
        return None
    version, trace_id, span_id, flags, rest = match.groups()
    unusable = version == "ff" or (version == "00" and rest) or not int(trace_id, 16) or not int(span_id, 16)
    return None if unusable else Trace(trace_id, span_id, flags)


def next_step(traceparent: str | None, rng: random.Random) -> Trace:
    """A new span in the trace that a request came with, or in a new one if it came with none that is valid."""
    parent = parse(traceparent) if traceparent is not None else None
    trace_id = parent.trace_id if parent else _hex(rng, 128)
    return Trace(trace_id, _hex(rng, 64), parent.flags if parent else _SAMPLED)


def _hex(rng: random.Random, bits: int) -> str:
    return f"{rng.getrandbits(bits) or 1:0{bits // 4}x}"
