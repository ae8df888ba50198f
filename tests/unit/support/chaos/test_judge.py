"""The judge finds nothing wrong with a run that went well, and sees whatever is lost, doubled or untrue."""

from datetime import timedelta
from typing import Any

import pytest

from tests.support.chaos.evidence import Account, Appended, Total
from tests.support.chaos.scene import (
    ANNA,
    AT_HOME,
    ATTENDANCE,
    BERT,
    ENTRIES,
    HOUR_OF_GRADE_2,
    SESSION,
    VOLUNTEERS,
    ZEROS,
    Scene,
    entry,
    minute,
)

CHECKED_IN, CHECKED_OUT = "activities.attendance.checked_in.v1", "activities.attendance.checked_out.v1"


def test_a_run_that_went_well_is_found_so(scene: Scene) -> None:
    assert scene.faults() == set()


# commands


def test_a_lost_command_is_seen(scene: Scene) -> None:
    scene.drop(ATTENDANCE, CHECKED_IN, scene.record.ids[BERT])
    assert f"{CHECKED_IN}_lost" in scene.faults()


def test_a_command_that_was_carried_out_twice_is_seen(scene: Scene) -> None:
    anna = scene.record.ids[ANNA]
    about: dict[str, Any] = {"volunteer_id": anna, "session": {"session_id": SESSION}}
    scene.publish(ATTENDANCE, anna, CHECKED_OUT, **about, at=minute(90).isoformat())
    assert f"{CHECKED_OUT}_doubled" in scene.faults()


def test_a_check_in_at_another_time_than_acknowledged_is_seen(scene: Scene) -> None:
    end = scene.record.model.check_ins[BERT, SESSION]
    scene.record.model.check_ins[BERT, SESSION] = end._replace(at=end.at + timedelta(minutes=1))
    assert {f"{CHECKED_IN}_lost", f"{CHECKED_IN}_doubled"} <= scene.faults()


def test_a_fact_that_nobody_was_told_of_is_seen(scene: Scene) -> None:
    del scene.record.model.check_outs[ANNA, SESSION]
    assert f"{CHECKED_OUT}_doubled" in scene.faults()


def test_a_lost_sign_up_and_a_lost_place_are_seen(scene: Scene) -> None:
    scene.drop(ATTENDANCE, "activities.attendance.signed_up.v1", scene.record.ids[ANNA])
    scene.evidence.sign_ups[SESSION] = []
    assert {"activities.attendance.signed_up.v1_lost", "place_lost"} <= scene.faults()


def test_a_registration_that_was_carried_out_twice_is_seen(scene: Scene) -> None:
    scene.publish(VOLUNTEERS, "another id", "registry.volunteer.registered.v1", number=ANNA)
    scene.evidence.people.append({**scene.evidence.people[0], "volunteer_id": "another id"})
    assert {"registration_doubled", "listed_doubled"} <= scene.faults()


def test_a_lost_edit_is_seen(scene: Scene) -> None:
    scene.drop(VOLUNTEERS, "registry.volunteer.updated.v1", scene.record.ids[ANNA])
    scene.evidence.people[0] |= {"channel": "unit_recommendation", "version": 1}
    assert {"edit_lost", "edit_forgotten", "version"} <= scene.faults()


def test_a_lost_roll_and_a_lost_organisation_are_seen(scene: Scene) -> None:
    scene.evidence.rolls.clear()
    scene.evidence.organisations.pop()
    assert {"listed_roll_lost", "listed_organisation_lost"} <= scene.faults()


def test_who_has_left_but_is_still_shown_as_present_is_seen(scene: Scene) -> None:
    scene.evidence.present[SESSION] = [(scene.record.ids[number], "present") for number in (ANNA, BERT)]
    assert {"presence_lost", "presence_doubled"} <= scene.faults()


def test_answers_that_cannot_all_be_right_are_seen(scene: Scene) -> None:
    scene.record.receipt(b"the same bytes", {"accepted": 1})
    scene.record.receipt(b"the same bytes", {"accepted": 2})
    scene.record.model.left(ANNA, SESSION, minute(91), 2)
    assert {"receipt", "contradiction"} <= scene.faults()


# minutes


def test_a_doubled_minute_is_seen(scene: Scene) -> None:
    scene.change_account(ANNA, by_grade=[0, 0, 61, 0])
    assert "balance" in scene.faults()


def test_an_entry_that_was_posted_twice_is_seen_wherever_it_counts(scene: Scene) -> None:
    anna, twice = scene.record.ids[ANNA], [0, 0, 120, 0]
    scene.publish(ENTRIES, anna, "hours.entry.posted.v1", **entry(anna, 60))
    scene.change_account(ANNA, by_grade=twice, entries=2)
    scene.evidence.shown_by_registry[anna] = twice
    scene.evidence.totals[AT_HOME, "2026-07"] = Total(twice, 2)
    assert {"balance", "entries", "registry", "unit_month"} <= scene.faults()


def test_a_minute_of_another_grade_is_seen(scene: Scene) -> None:
    scene.change_account(ANNA, by_grade=[0, 60, 0, 0])
    assert "balance" in scene.faults()


def test_a_reversal_that_left_nothing_standing_is_seen(scene: Scene) -> None:
    anna = scene.record.ids[ANNA]
    scene.publish(ENTRIES, anna, "hours.entry.posted.v1", **entry(anna, -60, kind="reversal"))
    assert {"entries", "standing"} <= scene.faults()


def test_a_lost_pending_interval_is_seen(scene: Scene) -> None:
    scene.change_account(BERT, pending=set())
    assert scene.faults() == {"pending"}


def test_a_broken_chain_is_seen(scene: Scene) -> None:
    scene.change_account(ANNA, holds=False)
    assert scene.faults() == {"chain"}


def test_a_chain_that_ends_too_early_is_seen(scene: Scene) -> None:
    scene.change_account(ANNA, entries=0)
    assert scene.faults() == {"chain_length"}


def test_a_missing_account_is_seen(scene: Scene) -> None:
    del scene.evidence.accounts[scene.record.ids[BERT]]
    assert scene.faults() == {"account_missing"}


def test_a_balance_that_registry_has_not_heard_of_is_seen(scene: Scene) -> None:
    scene.evidence.shown_by_registry[scene.record.ids[ANNA]] = ZEROS
    assert scene.faults() == {"registry"}


@pytest.mark.parametrize(
    ("total", "faults"),
    [
        (Total([0, 0, 59, 0], 1), {"unit_month", "unit_month_sum"}),
        (Total(HOUR_OF_GRADE_2, 2), {"unit_month_entries"}),
    ],
)
def test_a_unit_month_that_is_not_the_sum_is_seen(scene: Scene, total: Total, faults: set[str]) -> None:
    scene.evidence.totals[AT_HOME, "2026-07"] = total
    assert scene.faults() == faults


def test_a_month_that_nobody_served_in_is_seen(scene: Scene) -> None:
    scene.evidence.totals["340803", "2026-07"] = Total([1, 0, 0, 0], 1)
    assert {"unit_month", "unit_month_sum", "unit_month_entries"} == scene.faults()


def test_a_wrong_score_is_seen(scene: Scene) -> None:
    scene.evidence.points[AT_HOME] += 1
    assert scene.faults() == {"points"}


# processes


def test_a_process_may_end_by_being_killed_and_no_more_often(scene: Scene) -> None:
    scene.killed = {"hours-relay": 2}
    scene.evidence.ended["hours-relay terminated by SIGKILL"] = 2
    assert scene.faults() == set()
    scene.evidence.ended["hours-relay terminated by SIGKILL"] = 3
    assert scene.faults() == {"ended"}


def test_a_process_that_ended_unasked_is_seen(scene: Scene) -> None:
    scene.evidence.ended["hours-processor exit status 75"] = 1
    assert scene.faults() == {"ended"}


def test_a_process_whose_database_failed_may_end_for_that_and_no_other(scene: Scene) -> None:
    scene.may_fail = {"hours"}
    scene.evidence.ended["hours-processor exit status 75"] = 1
    assert scene.faults() == set()
    scene.evidence.ended["registry-processor exit status 75"] = 1
    assert scene.faults() == {"ended"}


def test_a_process_may_wait_in_vain_for_a_server_that_was_away(scene: Scene) -> None:
    scene.evidence.ended["hours-processor exit status 69"] = 1
    assert scene.faults() == {"ended"}
    scene.servers_away = True
    assert scene.faults() == set()


def test_a_record_that_was_put_aside_is_seen(scene: Scene) -> None:
    scene.evidence.parked = 1
    assert scene.faults() == {"parked"}


def test_poison_is_nobodys_fact_and_must_be_parked_once_by_each(scene: Scene) -> None:
    made = Appended(1, 0, "poison-1", 1, "poison-1", CHECKED_IN, b"no event")
    scene.append(ATTENDANCE, made)
    scene.parked = 2
    scene.evidence.parked = 2
    assert scene.faults() == set()
    scene.evidence.parked = 1
    assert scene.faults() == {"parked"}


def test_a_processor_that_is_behind_is_seen(scene: Scene) -> None:
    scene.evidence.positions["hours", (ATTENDANCE, 0)] -= 1
    assert scene.faults() == {"position"}


def test_an_account_has_no_minutes_that_follow_from_nothing(scene: Scene) -> None:
    scene.evidence.accounts[scene.record.ids[BERT]] = Account([1, 0, 0, 0], {(SESSION, 110)}, holds=True, entries=0)
    assert scene.faults() == {"balance"}
