"""Limits how many requests a caller may send a second, so that one cannot take the others' share."""

import math
from typing import Final

BURST_S: Final = 10
"""Who was silent for so long may send this long's worth at once: a page that opens asks for a dozen things."""
ROUNDING_S: Final = 1e-6
"""What sums of fractions may be off by."""
CALLERS_MAX: Final = 10_000
"""How many callers are remembered; the one that was silent longest is forgotten, to its advantage."""


class RateLimit:
    """A token bucket for each caller, kept as one number: the time at which its bucket would be full again.

    ``per_s``: requests a second, on average; 0 is no limit. Times are those of the event loop, given in.
    """

    def __init__(self, per_s: float, *, callers_max: int = CALLERS_MAX) -> None:
        assert per_s >= 0
        assert callers_max > 0
        self._interval_s = 1 / per_s if per_s else 0.0
        self._callers_max = callers_max
        self._full_at_s: dict[str, float] = {}

    def wait_s(self, caller: str, now_s: float) -> int:
        """0 if the caller's request is let in, and counted; else the whole seconds after which the next would be."""
        if not self._interval_s:
            return 0
        full_at_s = max(self._full_at_s.pop(caller, now_s), now_s)
        over_s = full_at_s + self._interval_s - now_s - BURST_S
        # Put back last, so that whoever was silent longest is first. A refused request costs nothing.
        is_over = over_s > ROUNDING_S
        self._full_at_s[caller] = full_at_s if is_over else full_at_s + self._interval_s
        if len(self._full_at_s) > self._callers_max:
            del self._full_at_s[next(iter(self._full_at_s))]
        return max(1, math.ceil(over_s - ROUNDING_S)) if is_over else 0
