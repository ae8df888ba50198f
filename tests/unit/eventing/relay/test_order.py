"""Rows are published whole, each after the rows that hold its events' predecessors."""

import pytest

from services.eventing.relay.order import (
    Row,
    in_batches,
    in_publication_order,
    missing_predecessors,
    predecessor,
)


def row(name: str, *streams: str, size: int = 10) -> Row:
    return Row(name, streams, size)


def by_id(*rows: Row) -> dict[str, Row]:
    return {each.id: each for each in rows}


def test_the_predecessor_is_one_less_and_the_first_has_none() -> None:
    assert predecessor("t|k|10") == "t|k|9"
    assert predecessor("t|k|11") == "t|k|10"
    assert predecessor("t|k|1") is None
    assert predecessor("t|a|b|2") == "t|a|b|1"


def test_only_what_no_row_holds_is_missing() -> None:
    rows = by_id(row("r1", "t|a|2", "t|a|3", "t|b|1"), row("r2", "t|a|4", "t|c|7"))
    assert missing_predecessors(rows) == ["t|a|1", "t|c|6"]


def test_a_row_comes_after_its_predecessors_and_else_where_it_was() -> None:
    late, other, early = row("late", "t|a|3"), row("other", "t|b|1"), row("early", "t|a|1", "t|a|2")
    assert in_publication_order([late, other, early]) == [early, late, other]


def test_rows_of_several_keys_are_ordered_by_all_of_them() -> None:
    r1, r2, r3 = row("r1", "t|a|1"), row("r2", "t|a|2", "t|b|1"), row("r3", "t|b|2", "u|a|1")
    assert in_publication_order([r3, r2, r1]) == [r1, r2, r3]


def test_a_chain_of_thousands_of_rows_is_ordered() -> None:
    chain = [row(f"r{n}", f"t|a|{n}") for n in range(1, 5_001)]
    assert in_publication_order(chain[::-1]) == chain


def test_a_circle_is_a_broken_promise() -> None:
    with pytest.raises(AssertionError, match="circle"):
        in_publication_order([row("r1", "t|a|1", "t|b|2"), row("r2", "t|b|1", "t|a|2")])


def test_a_sequence_in_two_rows_is_a_broken_promise() -> None:
    with pytest.raises(AssertionError, match="two rows"):
        in_publication_order([row("r1", "t|a|1"), row("r2", "t|a|1")])


def test_batches_keep_order_and_both_limits() -> None:
    rows = [row(f"r{n}", f"t|a|{2 * n + 1}", f"t|a|{2 * n + 2}", size=40) for n in range(5)]
    assert [[each.id for each in batch] for batch in in_batches(rows, events_max=4, bytes_max=1_000)] == [
        ["r0", "r1"],
        ["r2", "r3"],
        ["r4"],
    ]
    assert [len(batch) for batch in in_batches(rows, events_max=100, bytes_max=120)] == [3, 2]


def test_a_row_beyond_the_limit_is_a_batch_of_its_own() -> None:
    rows = [row("small", "t|a|1"), row("large", "t|b|1", size=900), row("next", "t|c|1")]
    assert [len(batch) for batch in in_batches(rows, events_max=100, bytes_max=100)] == [1, 1, 1]


def test_no_rows_make_no_batch() -> None:
    assert list(in_batches([], events_max=1, bytes_max=1)) == []
