"""Who gets a place in a session."""

from datetime import datetime
from typing import Any

import pytest
from msgspec.structs import replace

from services.activities.attendance.rules import attendance_id_of
from services.activities.signups.rules import SignUp, Situation, Window, decide, evolve, overlaps
from services.contracts.activities import SignedUp
from services.contracts.ids import ActorId, SessionId, VolunteerId
from services.runtime.outcomes import Refusal
from tests.support.activities import a_session, a_volunteer, at

SESSION = a_session(capacity=2)


def given(**changes: Any) -> Situation:
    """A published session with places left, and an active volunteer who is nowhere else."""
    usual: dict[str, Any] = {
        "session": SESSION,
        "volunteer": a_volunteer(),
        "within_area": True,
        "holds_place": False,
        "elsewhere": [],
    }
    return Situation(**{**usual, **changes})


def outcome(situation: Situation, now: datetime | None = None) -> SignedUp | Refusal:
    """What a sign-up comes to at eight."""
    attendance_id = attendance_id_of(SessionId("SE-1"), VolunteerId("V-1"))
    return decide(SignUp(attendance_id=attendance_id, entered_by=ActorId("leader-1"), now=now or at(8)), situation)


def test_a_place_is_announced() -> None:
    event = outcome(given())
    assert event == SignedUp(
        attendance_id=attendance_id_of(SessionId("SE-1"), VolunteerId("V-1")),
        volunteer_id=VolunteerId("V-1"),
        home_unit=a_volunteer().home_unit,
        session=SESSION.facts,
        entered_by=ActorId("leader-1"),
    )


def test_a_place_taken_is_counted() -> None:
    event = outcome(given())
    assert isinstance(event, SignedUp)
    assert evolve(SESSION, event).places_taken == 1


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"session": None}, "session_unknown"),
        ({"within_area": False}, "outside_area"),
        ({"session": replace(SESSION, published=False)}, "session_not_published"),
        ({"volunteer": None}, "volunteer_unknown"),
        ({"volunteer": a_volunteer(state="paused")}, "volunteer_not_active"),
        ({"volunteer": a_volunteer(state="left")}, "volunteer_not_active"),
        ({"holds_place": True}, "already_signed_up"),
        ({"elsewhere": [Window(at(10), at(12))]}, "overlapping_sign_up"),
        ({"session": replace(SESSION, places_taken=2)}, "session_full"),
    ],
)
def test_there_is_no_place(changes: dict[str, Any], code: str) -> None:
    assert outcome(given(**changes)) == Refusal(code)


def test_there_is_no_place_in_a_session_that_has_ended() -> None:
    assert isinstance(outcome(given(), now=at(10, 59)), SignedUp)
    assert outcome(given(), now=at(11)) == Refusal("session_closed")


@pytest.mark.parametrize(
    ("other", "shared"),
    [
        (Window(at(7), at(9)), False),
        (Window(at(11), at(12)), False),
        (Window(at(7), at(9, 1)), True),
        (Window(at(10, 59), at(12)), True),
        (Window(at(9, 30), at(10)), True),
        (Window(at(8), at(12)), True),
    ],
)
def test_one_session_may_begin_as_another_ends(other: Window, shared: bool) -> None:
    mine = Window(at(9), at(11))
    assert overlaps(mine, other) is shared
    assert overlaps(other, mine) is shared
