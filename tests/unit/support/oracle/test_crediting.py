"""The oracle credits every minute once, to whom and where it belongs."""

import pytest

from tests.support.histories import VOLUNTEER, History, approve, at, command, line, propose, reading


def test_time_is_clipped_to_the_session(history: History) -> None:
    history.volunteer().session()
    judgement = history.kiosk(reading("check_in", at("08:50")), reading("check_out", at("11:10"))).judge()
    assert judgement.account(VOLUNTEER) == [0, 0, 120, 0]


@pytest.mark.parametrize(
    ("came", "left", "minutes"),
    [("09:00:59", "09:01:00", 1), ("09:00:00", "09:00:59", 0), ("09:10:30", "10:10:29", 60), ("08:50", "08:55", 0)],
)
def test_minutes_are_whole_and_half_open(history: History, came: str, left: str, minutes: int) -> None:
    history.volunteer().session()
    judgement = history.kiosk(reading("check_in", at(came)), reading("check_out", at(left))).judge()
    assert judgement.account(VOLUNTEER) == [0, 0, minutes, 0]


def test_the_lower_grade_of_the_two_ends_counts(history: History) -> None:
    history.volunteer().session()
    history.live += [command("check_in", at("09:00")), command("check_out", at("11:00"), station=None)]
    assert history.judge().account(VOLUNTEER) == [0, 120, 0, 0]


def test_overlapping_minutes_are_paid_once_to_the_higher_grade(history: History) -> None:
    history.volunteer().session().session("S-2", at("10:00"), at("12:00"))
    history.roster(line(at("10:00"), at("12:00"), session="S-2"))
    judgement = history.kiosk(reading("check_in", at("09:00")), reading("check_out", at("11:00"))).judge()
    assert judgement.account(VOLUNTEER) == [0, 60, 120, 0]
    assert judgement.ledger.served == {
        (VOLUNTEER, "S-1", "2026-07", 2): 120,
        (VOLUNTEER, "S-2", "2026-07", 1): 60,
    }


def test_between_equals_the_earlier_start_is_paid(history: History) -> None:
    history.volunteer().session().session("S-0", at("10:00"), at("12:00"))
    judgement = history.roster(line(), line(at("10:00"), at("12:00"), session="S-0")).judge()
    assert judgement.ledger.served == {
        (VOLUNTEER, "S-1", "2026-07", 1): 120,
        (VOLUNTEER, "S-0", "2026-07", 1): 60,
    }


def test_an_interval_covered_by_others_stands_with_no_minute(history: History) -> None:
    history.volunteer().session().session("S-2", at("09:30"), at("10:00"))
    judgement = history.roster(line(), line(at("09:30"), at("10:00"), session="S-2")).judge()
    assert judgement.account(VOLUNTEER) == [0, 120, 0, 0]
    assert (VOLUNTEER, "S-2", "2026-07", 1) in judgement.ledger.present


def test_midnight_splits_days_and_months(history: History) -> None:
    starts, ends = at("23:30", "2026-07-31"), at("00:30", "2026-08-01")
    history.volunteer().session(starts=starts, ends=ends)
    judgement = history.roster(line(starts, at("00:20", "2026-08-01")), sent=at("09:00", "2026-08-03")).judge()
    assert judgement.unit_month("340802", "2026-07") == [0, 30, 0, 0]
    assert judgement.unit_month("340802", "2026-08") == [0, 20, 0, 0]


def test_people_count_for_their_home_unit(history: History) -> None:
    history.volunteer(unit="340828").session(unit="340802")
    judgement = history.roster(line()).judge()
    assert judgement.unit_month("340828", "2026-07") == [0, 120, 0, 0]
    assert judgement.unit_month("340802", "2026-07") == [0, 0, 0, 0]


def test_a_missed_check_out_settles_at_nothing_after_24_hours(history: History) -> None:
    history.volunteer().session().kiosk(reading("check_in", at("09:10")))
    settled = history.judge(as_of=at("11:00", "2026-07-02"))
    assert settled.account(VOLUNTEER) == [0, 0, 0, 0]
    assert settled.ledger.pending == {}
    assert settled.ledger.present == {(VOLUNTEER, "S-1", "2026-07", 2)}


def test_until_then_it_is_pending_up_to_the_sessions_end(history: History) -> None:
    history.volunteer().session().kiosk(reading("check_in", at("09:10")))
    early = history.judge(as_of=at("10:59", "2026-07-02"))
    assert early.ledger.pending == {(VOLUNTEER, "S-1"): 110}
    assert early.ledger.present == set()


def test_a_check_out_after_the_time_out_is_credited(history: History) -> None:
    history.volunteer().session().kiosk(reading("check_in", at("09:00")))
    history.kiosk(reading("check_out", at("10:00")), sent=at("21:00", "2026-07-05"), name="late")
    assert history.judge().account(VOLUNTEER) == [0, 0, 60, 0]


def test_typed_in_hours_stay_grade_0_beside_better_ones(history: History) -> None:
    history.volunteer().session().session("S-2", at("10:00"), at("12:00"))
    history.roster(line(at("10:00"), at("12:00"), session="S-2"))
    history.back_office += [propose(at("13:00")), approve(at("13:01"))]
    assert history.judge().account(VOLUNTEER) == [60, 120, 0, 0]
