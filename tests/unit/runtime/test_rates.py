"""How many requests a caller may send: a burst, then its rate, whoever else asks."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.runtime.rates import BURST_S, RateLimit


def admitted(limit: RateLimit, times: list[float], caller: str = "a") -> int:
    """How many requests of a caller at these times are let in."""
    return sum(limit.wait_s(caller, time) == 0 for time in times)


def test_a_burst_is_let_in_and_then_the_rate() -> None:
    limit = RateLimit(5)
    assert admitted(limit, [100.0] * 200) == 5 * BURST_S
    assert admitted(limit, [101.0] * 200) == 5
    assert admitted(limit, [101.0 + 2 * BURST_S] * 200) == 5 * BURST_S


def test_who_waits_as_told_is_let_in() -> None:
    limit = RateLimit(0.5)
    assert admitted(limit, [0.0] * 5) == 5
    assert limit.wait_s("a", 0.0) == 2
    assert limit.wait_s("a", 1.5) == 1
    assert limit.wait_s("a", 2.0) == 0


def test_one_caller_does_not_take_anothers_share() -> None:
    limit = RateLimit(1)
    assert admitted(limit, [0.0] * 100, "greedy") == BURST_S
    assert admitted(limit, [0.0], "modest") == 1


def test_no_limit_is_no_limit() -> None:
    limit = RateLimit(0)
    assert admitted(limit, [0.0] * 1_000) == 1_000
    assert not limit._full_at_s


def test_memory_is_bounded_and_who_was_silent_longest_is_forgotten() -> None:
    limit = RateLimit(1, callers_max=2)
    for caller in ("a", "b", "a", "c"):
        limit.wait_s(caller, 0.0)
    assert list(limit._full_at_s) == ["a", "c"]


@pytest.mark.parametrize("per_s", [1, 7])
@given(gaps=st.lists(st.floats(min_value=0, max_value=3), max_size=200))
def test_nobody_is_ever_let_in_more_often_than_burst_and_rate_allow(per_s: int, gaps: list[float]) -> None:
    limit, now, let_in = RateLimit(per_s), 0.0, 0
    for gap in gaps:
        now += gap
        let_in += limit.wait_s("a", now) == 0
        assert let_in <= per_s * (BURST_S + now) + 1e-3
