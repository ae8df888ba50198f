"""Trace contexts are read as W3C says and continued with a span of our own."""

import random

import pytest

from services.eventing.traces import next_step, parse, sampled, step_of

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
GOOD = f"00-{TRACE}-{SPAN}-01"


@pytest.mark.parametrize("header", [GOOD, f"00-{TRACE}-{SPAN}-00", f"cc-{TRACE}-{SPAN}-01-what-the-future-adds"])
def test_a_valid_header_is_continued_in_its_trace(header: str) -> None:
    step = next_step(header, random.Random(1))
    assert step.trace_id == TRACE
    assert step.span_id != SPAN
    assert step.flags == header.split("-")[3]
    assert parse(step.traceparent) == step


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "nonsense",
        GOOD.upper(),
        GOOD + "-more",
        GOOD[:-1],
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE}-{SPAN}-01\n",
    ],
)
def test_anything_else_begins_a_new_trace(header: str | None) -> None:
    step = next_step(header, random.Random(1))
    assert step.trace_id != TRACE
    assert parse(step.traceparent) == step


def test_one_seed_makes_one_trace() -> None:
    assert next_step(None, random.Random(7)) == next_step(None, random.Random(7))
    assert next_step(None, random.Random(7)) != next_step(None, random.Random(8))


def test_of_new_traces_the_share_is_sampled_and_those_that_go_on_are_as_they_came() -> None:
    rng = random.Random(1)
    assert not any(next_step(None, rng, ratio=0.0).is_sampled for _ in range(100))
    assert all(next_step(None, rng, ratio=1.0).is_sampled for _ in range(100))
    assert 150 < sum(next_step(None, rng, ratio=0.2).is_sampled for _ in range(1_000)) < 250
    assert next_step(GOOD, rng, ratio=0.0).is_sampled
    assert not next_step(GOOD[:-1] + "0", rng, ratio=1.0).is_sampled


def test_a_step_that_was_led_to_has_one_name_and_stays_in_its_trace() -> None:
    step = step_of(GOOD, "hours event-1")
    assert step is not None
    assert step == step_of(GOOD, "hours event-1")
    assert step not in {step_of(GOOD, "hours event-2"), step_of(GOOD, "assessment event-1"), GOOD}
    assert parse(step) == sampled(step)
    assert step.split("-")[1] == TRACE


@pytest.mark.parametrize("context", [None, f"00-{TRACE}-{SPAN}-00", f"00-{TRACE}-{SPAN}-02", "nonsense", ""])
def test_what_is_not_sampled_is_carried_on_as_it_is(context: str | None) -> None:
    assert step_of(context, "hours event-1") == context
    assert sampled(context) is None
