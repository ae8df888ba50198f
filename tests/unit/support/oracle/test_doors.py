"""The oracle accepts and refuses as the specification says, case by case."""

from typing import Any

import pytest

from tests.support.histories import (
    SESSION,
    STATION,
    VOLUNTEER,
    History,
    approve,
    at,
    command,
    line,
    propose,
    reading,
)
from tests.support.oracle.doors import Proof, grade_of


def refusals_of_kiosk(history: History, *rows: dict[str, Any], sent: str = at("21:00")) -> list[str | None]:
    judgement = history.kiosk(*rows, sent=sent).judge()
    refused = dict(judgement.outcome.refused["kiosk"])
    return [refused.get(number) for number in range(1, len(rows) + 1)]


def refusals_of_live(history: History, *lines: dict[str, Any]) -> list[str | None]:
    history.live.extend(lines)
    judgement = history.judge()
    return [judgement.outcome.lines["live", index] for index in range(len(lines))]


@pytest.mark.parametrize(
    ("when", "code"),
    [
        ("08:44:59", "time_before_window"),
        ("08:45", None),
        ("11:15", None),
        ("11:15:01", "time_after_window"),
    ],
)
def test_check_in_is_refused_outside_the_window_and_its_grace(history: History, when: str, code: str | None) -> None:
    history.volunteer().session()
    assert refusals_of_kiosk(history, reading("check_in", at(when))) == [code]


@pytest.mark.parametrize(("sent", "code"), [("08:56", None), ("08:54", "time_in_future")])
def test_a_kiosks_clock_may_be_five_minutes_ahead(history: History, sent: str, code: str | None) -> None:
    history.volunteer().session()
    assert refusals_of_kiosk(history, reading("check_in", at("09:00")), sent=at(sent)) == [code]


def test_rows_that_name_nobody_or_nothing_are_refused(history: History) -> None:
    history.volunteer().session().session("S-2", state="草稿")
    came = at("09:00")
    assert refusals_of_kiosk(
        history,
        reading("check_in", came, session="S-9"),
        reading("check_in", came, session="S-2"),
        reading("check_in", came, number="V9"),
        reading("check_in", came, card=None),
        reading("check_in", came, card="V9"),
    ) == ["session_unknown", "session_not_published", "volunteer_unknown", "proof_missing", "card_invalid"]


def test_a_person_comes_once_and_leaves_once_after_coming(history: History) -> None:
    history.volunteer().session()
    assert refusals_of_kiosk(
        history,
        reading("check_out", at("08:50")),
        reading("check_in", at("09:00")),
        reading("check_in", at("09:01")),
        reading("check_out", at("09:00")),
        reading("check_out", at("10:00")),
        reading("check_out", at("10:01")),
        reading("check_in", at("10:02")),
    ) == [
        "not_checked_in",
        None,
        "already_checked_in",
        "check_out_before_check_in",
        None,
        "already_checked_out",
        "already_checked_in",
    ]


def test_the_same_bytes_change_nothing(history: History) -> None:
    judgement = (
        history.volunteer()
        .session()
        .kiosk(reading("check_in", at("09:00")), reading("check_out", at("11:00")))
        .sent("kiosk", at("22:00"))
        .judge()
    )
    assert judgement.outcome.refused["kiosk"] == []
    assert judgement.account(VOLUNTEER) == [0, 0, 120, 0]


def test_a_list_typed_again_is_refused_line_by_line(history: History) -> None:
    history.volunteer().volunteer("V2").session()
    judgement = (
        history.roster(line(), name="first").roster(line(), line(number="V2"), sent=at("22:00"), name="again").judge()
    )
    assert judgement.outcome.refused == {"first": [], "again": [(1, "already_checked_in")]}


def test_a_line_must_end_after_it_begins_and_lie_in_the_window(history: History) -> None:
    history.volunteer().session()
    judgement = history.roster(
        line(at("10:00"), at("10:00")), line(at("08:00"), at("10:00")), line(at("09:00"), at("12:00"))
    ).judge()
    assert judgement.outcome.refused["roster"] == [
        (1, "check_out_before_check_in"),
        (2, "time_before_window"),
        (3, "time_after_window"),
    ]


def test_a_slip_proves_one_attendance(history: History) -> None:
    history.volunteer().volunteer("V2").session()
    judgement = history.roster(
        line(code="0000-000000"),
        line(code="slip 1"),
        line(number="V2", code="slip 1"),
        line(number="V2", code="slip 2"),
    ).judge()
    assert judgement.outcome.refused["roster"] == [(1, "code_invalid"), (3, "code_already_used")]
    assert judgement.account("V2") == [0, 0, 120, 0]


@pytest.mark.parametrize(
    ("claimed", "code"),
    [
        (None, None),
        ("08:59:00", None),
        ("09:01:59", None),
        ("08:58:59", "code_invalid"),
        ("09:02:00", "code_invalid"),
        ("09:06:00", "time_in_future"),
    ],
)
def test_a_stations_code_is_right_for_a_minute_and_its_neighbours(
    history: History, claimed: str | None, code: str | None
) -> None:
    history.volunteer().session()
    claimed_at = None if claimed is None else at(claimed)
    assert refusals_of_live(history, command("check_in", at("09:00"), claimed=claimed_at)) == [code]


def test_a_code_of_another_station_or_a_mistyped_one_is_refused(history: History) -> None:
    history.volunteer().session()
    assert refusals_of_live(
        history,
        command("check_in", at("09:00"), station="ST-2"),
        command("check_in", at("09:01"), mistyped=True),
        command("check_in", at("09:02")),
    ) == ["code_invalid", "code_invalid", None]


def test_sign_up_is_refused_when_full_doubled_overlapping_or_over(history: History) -> None:
    history.volunteer().volunteer("V2").session(places=1)
    history.session("S-2", at("10:30"), at("12:00")).session("S-3", at("11:00"), at("12:00"))
    assert refusals_of_live(
        history,
        command("sign_up", at("08:00")),
        command("sign_up", at("08:01")),
        command("sign_up", at("08:02"), session="S-2"),
        command("sign_up", at("08:03"), session="S-3"),
        command("sign_up", at("08:04"), number="V2"),
        command("sign_up", at("11:00"), number="V2"),
    ) == [None, "already_signed_up", "overlapping_sign_up", None, "session_full", "session_closed"]


def test_a_walk_in_needs_no_place(history: History) -> None:
    history.volunteer().session(places=1).volunteer("V2")
    assert refusals_of_live(
        history, command("sign_up", at("08:00"), number="V2"), command("check_in", at("09:00"))
    ) == [None, None]


def test_back_office_needs_two_people(history: History) -> None:
    history.volunteer().session()
    history.back_office += [
        approve(at("12:00"), "unheard-of"),
        propose(at("12:01")),
        approve(at("12:02"), clerk="c1"),
        approve(at("12:03")),
        approve(at("12:04"), clerk="c3"),
        propose(at("12:05"), "again"),
    ]
    judgement = history.judge()
    assert [judgement.outcome.lines["back_office", index] for index in range(6)] == [
        "not_sent",
        None,
        "second_person_required",
        None,
        "proposal_decided",
        "already_checked_in",
    ]
    assert judgement.account(VOLUNTEER) == [120, 0, 0, 0]


def test_a_proposal_alone_records_nothing(history: History) -> None:
    history.volunteer().session()
    history.back_office.append(propose(at("12:00")))
    assert history.judge().outcome.attendances == {}


def test_who_is_not_on_a_list_yet_is_unknown(history: History) -> None:
    history.volunteer().session()
    early = history.roster(line(), sent="2026-06-30T17:00:00+08:00").judge()
    assert early.outcome.refused["roster"] == [(1, "session_unknown")]


CARD = Proof("personal_card", "V1", "volunteer")
CODE = Proof("station_code", STATION, "station")
SERVED = Proof("served_confirmation", "E1", "served")


@pytest.mark.parametrize(
    ("proofs", "entered_by", "approved_by", "typed_in", "grade"),
    [
        ([CARD, SERVED], "KD-1", None, True, 0),
        ([], "KD-1", None, False, 1),
        ([Proof("leader_list", "LD-1", "leader")], "LD-1", None, False, 1),
        ([CARD], "KD-1", None, False, 2),
        ([CODE], STATION, None, False, 1),
        ([CODE], "KD-1", STATION, False, 1),
        ([CARD, CODE], "KD-1", None, False, 2),
        ([CARD, SERVED], "KD-1", None, False, 3),
        ([SERVED, SERVED], "KD-1", None, False, 2),
        ([CARD, SERVED], "E1", None, False, 2),
        ([CARD, Proof("station_code", "ST-2", "other_organisation")], "KD-1", None, False, 3),
    ],
)
def test_the_grade_counts_independent_proofs(
    proofs: list[Proof], entered_by: str, approved_by: str | None, typed_in: bool, grade: int
) -> None:
    assert grade_of(proofs, entered_by, approved_by, typed_in=typed_in) == grade


def test_proofs_have_the_grades_of_their_doors(history: History) -> None:
    for number in ("V1", "V2", "V3", "V4", "V5"):
        history.volunteer(number)
    history.session().kiosk(reading("check_in", at("09:00"), "V1"), reading("check_out", at("11:00"), "V1")).roster(
        line(number="V2"), line(number="V3", code="slip 7")
    )
    history.live += [
        command("check_in", at("09:00"), "V4"),
        command("check_in", at("09:00"), "V5"),
        command("check_out", at("11:00"), "V4"),
        command("check_out", at("11:00"), "V5", station=None),
    ]
    attendances = history.judge().outcome.attendances
    grades = {number: (each.came_grade, each.left_grade) for (_, number), each in attendances.items()}
    assert grades == {"V1": (2, 2), "V2": (1, 1), "V3": (2, 2), "V4": (2, 2), "V5": (2, 1)}
    assert (SESSION, "V1") in attendances
