"""The table tells of every fault and point how often and by how many seeds it was survived."""

from tests.support.chaos.plan import EVERY_CARD
from tests.support.chaos.table import BEGIN, END, page_with_table, render, row_name, survived, with_run

RUNS = {
    "7": {"kill_api": {"survived": 2, "slowest_s": 8.0}, "crash_relay@marked": {"survived": 1, "slowest_s": 3.5}},
    "9": {"kill_api": {"survived": 1, "slowest_s": 9.5}},
}


def test_runs_are_added_up() -> None:
    assert survived(RUNS) == {"kill_api": (3, 2, 9.5), "crash_relay@marked": (1, 1, 3.5)}


def test_every_fault_and_point_has_a_row_met_or_not() -> None:
    lines = render(RUNS).splitlines()
    assert len(lines) == 4 + len(EVERY_CARD)
    assert "| kill api |  | 3 | 2 | 9.5 |" in lines
    assert "| crash relay | marked | 1 | 1 | 3.5 |" in lines
    assert "| crash relay | published | – | – | – |" in lines


def test_rows_have_different_names() -> None:
    assert len({row_name(card) for card in EVERY_CARD}) == len(EVERY_CARD)


def test_a_seed_that_runs_again_takes_the_place_of_what_it_came_to_before() -> None:
    kept = with_run({"runs": RUNS}, {"seed": 9, "faults": {"cut": {"survived": 1, "slowest_s": 1.0}}})
    assert kept["runs"] == {"7": RUNS["7"], "9": {"cut": {"survived": 1, "slowest_s": 1.0}}}


def test_the_table_takes_the_place_of_the_one_before_and_leaves_the_page_alone() -> None:
    page = f"# Title\n\n{BEGIN}old\n{END}\nmore\n"
    assert page_with_table(page, "new\n") == f"# Title\n\n{BEGIN}new\n{END}\nmore\n"
