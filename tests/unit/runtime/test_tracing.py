"""Trace contexts are read as W3C says and continued with a span of our own."""

import random

import pytest

from services.runtime.tracing import next_step, parse

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
