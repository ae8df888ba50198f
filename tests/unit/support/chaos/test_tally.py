"""Counters are added up over the lives of a process."""

from tests.support.chaos.tally import Tally, counters

TEXT = """\
# HELP events_applied_total Events whose batch was committed.
# TYPE events_applied_total counter
events_applied_total{partition="0",topic="hours.entries"} 3.0
events_applied_total{partition="1",topic="hours.entries"} 4.0
events_applied_total_other 100.0
commands_replayed_total 2.0
"""


def test_a_counter_is_summed_over_its_labels_and_one_that_is_not_there_is_nought() -> None:
    names = ["events_applied_total", "commands_replayed_total", "absent_total"]
    assert counters(TEXT, names) == {"events_applied_total": 7, "commands_replayed_total": 2, "absent_total": 0}


def test_what_a_process_counted_before_it_was_killed_still_counts() -> None:
    tally = Tally()
    for value in (1.0, 5.0, 2.0, 3.0):  # killed after 5
        tally.look("hours-relay", {"published": value})
    assert tally.total("published") == 8


def test_every_process_counts_for_itself() -> None:
    tally = Tally()
    tally.look("hours-relay", {"published": 5.0})
    tally.look("registry-relay", {"published": 2.0})
    tally.look("hours-relay", {"published": 5.0})
    assert (tally.total("published"), tally.total("never heard of")) == (7, 0)


def test_one_counter_that_falls_ends_the_life_of_all() -> None:
    tally = Tally()
    tally.look("hours-api", {"asked": 4.0, "replayed": 0.0})
    tally.look("hours-api", {"asked": 1.0, "replayed": 0.0})
    assert (tally.total("asked"), tally.total("replayed")) == (5, 0)
