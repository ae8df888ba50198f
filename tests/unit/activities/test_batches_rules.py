"""Rows of a batch are decided one by one, in their order, by the rule of the live commands."""

from typing import Any

from msgspec.structs import replace

from services.activities.attendance.rules import Attend, CheckIn, CheckOut, Command
from services.activities.batches.rules import RefusedRow, Result, Row, World, decide_rows
from services.activities.proofs.rules import Claim, Entry
from services.contracts.activities import CheckedIn, CheckedOut
from services.contracts.ids import ActorId, SessionId, UnitCode, VolunteerNumber
from tests.support.activities import SECRET, a_session, a_volunteer, at, slip

KIOSK = Entry(entered_by=ActorId("KIOSK-1"), mode="kiosk_batch", batch_id="b1")
ROSTER = Entry(entered_by=ActorId("leader-1"), mode="roster_batch", batch_id="b1")
WORD = Claim("leader_list")
CARD = Claim("personal_card", "N-1")
CAME = CheckIn(at=at(9), claim=CARD, entry=KIOSK)
LEFT = CheckOut(at=at(11), claim=CARD, entry=KIOSK)
WAS_THERE = Attend(came_at=at(9), left_at=at(11), claim=WORD, entry=ROSTER)


def row(number: int, command: Command, *, volunteer: int = 1, session: str = "SE-1") -> Row:
    return Row(row=number, session_id=SessionId(session), number=VolunteerNumber(f"N-{volunteer}"), command=command)


def world(**changes: Any) -> World:
    """Two volunteers, two sessions of one unit, nobody there yet."""
    sessions = [a_session("SE-1"), a_session("SE-2", at(13), at(15))]
    usual: dict[str, Any] = {
        "sessions": {each.facts.session_id: each for each in sessions},
        "volunteers": {a_volunteer(n).number: a_volunteer(n) for n in (1, 2)},
        "attendances": {},
        "spent": {},
        "covers": lambda _: True,
    }
    return World(**{**usual, **changes})


def result(rows: list[Row], before: World | None = None) -> Result:
    return decide_rows(rows, before or world(), now=at(20), secret=SECRET)


def test_rows_of_different_people_do_not_touch_each_other() -> None:
    done = result([row(1, WAS_THERE), row(2, WAS_THERE, volunteer=9), row(3, WAS_THERE, volunteer=2)])
    assert done.accepted == 2
    assert done.refused == [RefusedRow(2, "volunteer_unknown")]
    assert [(type(event), event.volunteer_id) for event in done.events] == [
        (CheckedIn, "V-1"),
        (CheckedOut, "V-1"),
        (CheckedIn, "V-2"),
        (CheckedOut, "V-2"),
    ]
    assert len(done.attendances) == 2


def test_rows_of_one_person_hold_for_each_other_in_their_order() -> None:
    assert result([row(1, CAME), row(2, LEFT)]).refused == []
    assert result([row(1, LEFT), row(2, CAME)]).refused == [RefusedRow(1, "not_checked_in")]
    assert result([row(1, CAME), row(2, CAME)]).refused == [RefusedRow(2, "already_checked_in")]
    assert result([row(1, WAS_THERE), row(2, LEFT)]).refused == [RefusedRow(2, "already_checked_out")]


def test_two_rows_of_one_attendance_write_it_once_as_it_is_in_the_end() -> None:
    done = result([row(1, CAME), row(2, LEFT)])
    (attendance,) = done.attendances.values()
    assert attendance.check_out is not None
    assert [event.batch_id for event in done.events] == ["b1", "b1"]


def test_a_slip_counts_for_one_of_two_people() -> None:
    with_slip = replace(WAS_THERE, claim=Claim("one_time_code", slip(1)))
    done = result([row(1, with_slip), row(2, with_slip, volunteer=2)])
    assert done.refused == [RefusedRow(2, "code_already_used")]
    assert list(done.spent) == ["SE-1|0001"]


def test_a_row_outside_the_area_is_refused_by_itself() -> None:
    sessions = {each.facts.session_id: each for each in (a_session("SE-1"), a_session("SE-2", unit_served="340803"))}
    before = world(sessions=sessions, covers=lambda unit: unit == UnitCode("340802"))
    done = result([row(1, WAS_THERE, session="SE-2"), row(2, WAS_THERE)], before)
    assert done.refused == [RefusedRow(1, "outside_area")]
    assert done.accepted == 1


def test_a_row_number_that_comes_again_is_refused() -> None:
    done = result([row(1, WAS_THERE), row(1, WAS_THERE, volunteer=2)])
    assert done.refused == [RefusedRow(1, "row_repeated")]


def test_a_refused_row_changes_nothing() -> None:
    before = world()
    done = result([row(1, LEFT)], before)
    assert (before.attendances, before.spent, done.events, done.attendances) == ({}, {}, [], {})
