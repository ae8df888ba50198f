"""Laws of cursors, areas, traces and validation messages, for all inputs."""

import json
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.contracts.ids import ActorId
from services.eventing.traces import next_step, parse
from services.runtime.auth import Caller
from services.runtime.pages import CURSOR_CHARACTERS_MAX, SortKey, from_cursor, page_of, to_cursor
from services.runtime.problems import RefusedError
from services.runtime.validation import _message, _texts

KEYS = st.lists(st.text() | st.integers(-(2**63), 2**63 - 1), min_size=1, max_size=4).map(tuple)
UNITS = st.from_regex("[0-9]{6}", fullmatch=True)
AREAS = st.integers(1, 3).flatmap(lambda pairs: st.from_regex(f"[0-9]{{{2 * pairs}}}", fullmatch=True))


@given(KEYS)
def test_a_cursor_gives_back_the_key_it_was_made_of(key: SortKey) -> None:
    assert from_cursor(to_cursor(key)) == key


@given(KEYS)
def test_a_cursor_needs_no_escaping_in_an_address(key: SortKey) -> None:
    assert to_cursor(key).replace("-", "").replace("_", "").isalnum()


@given(st.text(max_size=CURSOR_CHARACTERS_MAX) | st.binary(max_size=60).map(lambda b: b.decode("latin-1")))
def test_whatever_is_no_cursor_is_refused_and_never_breaks(text: str) -> None:
    read = read_back(text)
    assert read in ("cursor_invalid", text)


def read_back(text: str) -> str:
    """The cursor made of what a text was read as, or the code it was refused with."""
    try:
        return to_cursor(from_cursor(text))
    except RefusedError as error:
        return error.refusal.code


@given(st.lists(st.integers(), unique=True).map(sorted), st.integers(1, 10))
def test_pages_together_are_the_list_and_each_is_full_but_the_last(rows: list[int], limit: int) -> None:
    pages: list[list[int]] = []
    after: str | None = ""
    while after is not None:
        rest = [row for row in rows if not after or row > int(from_cursor(after)[0])]
        page = page_of(rest[: limit + 1], limit, int, lambda row: (row,))
        pages.append(list(page.items))
        after = page.next
    assert [row for page in pages for row in page] == rows
    assert all(len(page) == limit for page in pages[:-1])


def caller(area: str) -> Caller:
    return Caller(ActorId("P-1"), "client", frozenset(), area)


@given(AREAS, UNITS)
def test_an_area_covers_a_unit_if_and_only_if_its_digits_begin_it(area: str, unit: str) -> None:
    assert caller(area).covers(unit) == (unit[: len(area)] == area)


@given(AREAS, UNITS, st.integers(1, 3))
def test_a_wider_area_covers_all_that_a_narrower_one_does(area: str, unit: str, pairs: int) -> None:
    wider = area[: 2 * pairs]
    assert not caller(area).covers(unit) or caller(wider).covers(unit)


@given(UNITS, UNITS)
def test_six_digits_are_exact(area: str, unit: str) -> None:
    assert caller(area).covers(unit) == (area == unit)


@given(st.integers(), st.text())
def test_a_trace_that_goes_on_is_always_valid(seed: int, header: str) -> None:
    step = next_step(header, random.Random(seed))
    assert parse(step.traceparent) == step


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(JSON_VALUES, st.text())
def test_a_message_never_repeats_what_was_sent(value: Any, around: str) -> None:
    sent = json.loads(json.dumps(value))
    message = _message({"msg": f"{around}{next(iter(_texts(sent)), '')}", "input": sent})
    assert not [text for text in _texts(sent) if text in message and message != "not valid"]


@pytest.mark.parametrize("cursor", ["", "e30", "W10", "WyIi", "WzEuNV0", "W251bGxd", "WyJhIl0="])
def test_near_misses_of_cursors_are_refused(cursor: str) -> None:
    with pytest.raises(RefusedError):
        from_cursor(cursor)
