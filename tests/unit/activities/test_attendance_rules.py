"""Who may be checked in or out, and when: given a situation, when a command comes, then events or one refusal."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from services.activities.attendance.rules import (
    Attend,
    CheckIn,
    CheckOut,
    Command,
    Decision,
    Situation,
    attendance_id_of,
    decide,
)
from services.activities.proofs.rules import Claim, Entry
from services.contracts.activities import CheckedIn, CheckedOut
from services.contracts.ids import ActorId, AttendanceId, SessionId, VolunteerId
from services.runtime.outcomes import Refusal
from tests.support.activities import SECRET, a_session, a_volunteer, at, present, slip

WORD = Claim("leader_list")
BY_LEADER = Entry(entered_by=ActorId("leader-1"), mode="live")
SESSION = a_session()
VOLUNTEER = a_volunteer()


def given(**changes: Any) -> Situation:
    """Nobody has come yet to a published session, of a volunteer who is active."""
    usual: dict[str, Any] = {
        "session": SESSION,
        "volunteer": VOLUNTEER,
        "within_area": True,
        "attendance": None,
        "slip_spent_on": None,
    }
    return Situation(**{**usual, **changes})


CAME = given(attendance=present(SESSION, VOLUNTEER, at(9)))
LEFT = given(attendance=present(SESSION, VOLUNTEER, at(9), at(11)))


def check_in(moment: datetime, claim: Claim | None = WORD) -> CheckIn:
    return CheckIn(at=moment, claim=claim, entry=BY_LEADER)


def check_out(moment: datetime, claim: Claim | None = WORD) -> CheckOut:
    return CheckOut(at=moment, claim=claim, entry=BY_LEADER)


def attend(came_at: datetime, left_at: datetime, claim: Claim | None = WORD) -> Attend:
    return Attend(came_at=came_at, left_at=left_at, claim=claim, entry=BY_LEADER)


def outcome(situation: Situation, command: Command, *, now: datetime | None = None) -> Decision | Refusal:
    """What a command comes to at noon, when every window of the day is past."""
    return decide(command, situation, now=now or at(12), secret=SECRET)


def accepted(situation: Situation, command: Command, *, now: datetime | None = None) -> Decision:
    decision = outcome(situation, command, now=now)
    assert isinstance(decision, Decision), decision
    return decision


def test_check_in_is_announced_with_all_that_a_consumer_needs() -> None:
    decision = accepted(given(), check_in(at(9)))
    (event,) = decision.events
    assert event == CheckedIn(
        attendance_id=attendance_id_of(SessionId("SE-1"), VolunteerId("V-1")),
        volunteer_id=VolunteerId("V-1"),
        home_unit=VOLUNTEER.home_unit,
        session=SESSION.facts,
        at=at(9),
        proofs=event.proofs,
        entered_by=ActorId("leader-1"),
        approved_by=None,
        entry_mode="live",
    )
    assert decision.attendance.check_in.at == at(9)
    assert decision.attendance.check_in.accepted_at == at(12)


def test_check_out_ends_the_attendance() -> None:
    decision = accepted(CAME, check_out(at(11)))
    (event,) = decision.events
    assert isinstance(event, CheckedOut)
    assert decision.attendance.check_out is not None
    assert decision.attendance.check_out.at == event.at == at(11)


def test_attended_is_check_in_then_check_out() -> None:
    came, left = accepted(given(), attend(at(9), at(11))).events
    assert (type(came), came.at) == (CheckedIn, at(9))
    assert (type(left), left.at) == (CheckedOut, at(11))


@pytest.mark.parametrize("command", [check_in(at(9)), check_out(at(9)), attend(at(9), at(11))])
@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"session": None}, "session_unknown"),
        ({"session": None, "within_area": False, "volunteer": None}, "session_unknown"),
        ({"within_area": False}, "outside_area"),
        ({"session": replace(SESSION, published=False)}, "session_not_published"),
        ({"volunteer": None}, "volunteer_unknown"),
    ],
)
def test_nothing_is_recorded_without_session_area_and_volunteer(
    command: Command, changes: dict[str, Any], code: str
) -> None:
    assert outcome(given(**changes), command) == Refusal(code)


@pytest.mark.parametrize("state", ["paused", "left"])
@pytest.mark.parametrize("command", [check_in(at(9)), attend(at(9), at(11))])
def test_check_in_is_refused_while_the_volunteer_is_not_active(command: Command, state: Any) -> None:
    assert outcome(given(volunteer=a_volunteer(state=state)), command) == Refusal("volunteer_not_active")


def test_check_out_is_accepted_though_the_volunteer_paused_meanwhile() -> None:
    situation = given(volunteer=a_volunteer(state="paused"), attendance=CAME.attendance)
    assert accepted(situation, check_out(at(11))).attendance.check_out is not None


def test_check_out_counts_for_the_home_unit_of_the_check_in() -> None:
    situation = given(volunteer=a_volunteer(home_unit="340803"), attendance=CAME.attendance)
    (event,) = accepted(situation, check_out(at(11))).events
    assert event.home_unit == "340802"


@pytest.mark.parametrize(
    ("moment", "code"),
    [
        (at(8, 44, second=59), "time_before_window"),
        (at(8, 45), None),
        (at(11, 15), None),
        (at(11, 15, second=1), "time_after_window"),
    ],
)
def test_check_in_keeps_within_the_window_and_its_grace(moment: datetime, code: str | None) -> None:
    assert _code(outcome(given(), check_in(moment))) == code


@pytest.mark.parametrize(("moment", "code"), [(at(11, 15), None), (at(11, 15, second=1), "time_after_window")])
def test_check_out_keeps_within_the_window_and_its_grace(moment: datetime, code: str | None) -> None:
    assert _code(outcome(CAME, check_out(moment))) == code


@pytest.mark.parametrize(("minutes", "code"), [(5, None), (6, "time_in_future")])
@pytest.mark.parametrize(("situation", "kind"), [(given(), check_in), (CAME, check_out)])
def test_a_clock_may_be_five_minutes_fast(situation: Situation, kind: Any, minutes: int, code: str | None) -> None:
    now = at(10)
    assert _code(outcome(situation, kind(now + timedelta(minutes=minutes)), now=now)) == code


def test_a_session_keeps_the_grace_it_was_planned_with() -> None:
    situation = given(session=replace(SESSION, facts=replace(SESSION.facts, grace_minutes=0)))
    assert outcome(situation, check_in(at(8, 59))) == Refusal("time_before_window")


@pytest.mark.parametrize("situation", [CAME, LEFT])
@pytest.mark.parametrize("command", [check_in(at(9)), attend(at(9), at(11))])
def test_nobody_comes_twice_to_a_session(situation: Situation, command: Command) -> None:
    assert outcome(situation, command) == Refusal("already_checked_in")


def test_nobody_leaves_who_never_came() -> None:
    assert outcome(given(), check_out(at(11))) == Refusal("not_checked_in")


def test_nobody_leaves_twice() -> None:
    assert outcome(LEFT, check_out(at(11))) == Refusal("already_checked_out")


@pytest.mark.parametrize("moment", [at(9), at(8, 59)])
def test_nobody_leaves_before_coming(moment: datetime) -> None:
    assert outcome(CAME, check_out(moment)) == Refusal("check_out_before_check_in")
    assert outcome(given(), attend(at(9), moment)) == Refusal("check_out_before_check_in")


@pytest.mark.parametrize(
    ("came_at", "left_at", "code"),
    [(at(8), at(11), "time_before_window"), (at(9), at(12), "time_after_window")],
)
def test_both_ends_of_a_presence_keep_within_the_window(came_at: datetime, left_at: datetime, code: str) -> None:
    assert outcome(given(), attend(came_at, left_at)) == Refusal(code)


@pytest.mark.parametrize(("situation", "command"), [(given(), check_in(at(9), None)), (CAME, check_out(at(11), None))])
def test_nothing_is_recorded_without_a_proof(situation: Situation, command: Command) -> None:
    assert outcome(situation, command) == Refusal("proof_missing")


def test_a_slip_is_spent_on_the_attendance_it_proves() -> None:
    decision = accepted(given(), check_in(at(9), Claim("one_time_code", slip(4))))
    assert decision.slip == "SE-1|0004"


def test_a_slip_that_proved_somebody_elses_presence_is_refused() -> None:
    situation = given(slip_spent_on=AttendanceId("somebody's"))
    assert outcome(situation, check_in(at(9), Claim("one_time_code", slip(4)))) == Refusal("code_already_used")


def test_a_slip_proves_both_ends_of_one_presence() -> None:
    mine = attendance_id_of(SessionId("SE-1"), VolunteerId("V-1"))
    situation = given(attendance=CAME.attendance, slip_spent_on=mine)
    assert accepted(situation, check_out(at(11), Claim("one_time_code", slip(4)))).slip == "SE-1|0004"


def test_an_attendance_is_named_by_session_and_volunteer() -> None:
    one = attendance_id_of(SessionId("SE-1"), VolunteerId("V-1"))
    assert one == attendance_id_of(SessionId("SE-1"), VolunteerId("V-1"))
    assert (
        len(
            {
                one,
                attendance_id_of(SessionId("SE-1"), VolunteerId("V-2")),
                attendance_id_of(SessionId("SE-2"), VolunteerId("V-1")),
            }
        )
        == 3
    )


def _code(decision: Decision | Refusal) -> str | None:
    return decision.code if isinstance(decision, Refusal) else None
