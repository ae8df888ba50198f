"""A claim amounts to a proof only if it can be checked, and the proof names who gave it."""

from typing import Any

import pytest

from services.activities.proofs.rules import Claim, Entry, Proofs, prove, slip_claimed
from services.contracts.activities import Proof
from services.contracts.ids import ActorId, SessionId
from services.runtime.outcomes import Refusal
from tests.support.activities import SECRET, STATION, TEAM, a_session, a_volunteer, at, code_now, slip

LIVE = Entry(entered_by=ActorId("leader-1"), mode="live")


def proved(claim: Claim | None, entry: Entry = LIVE, **session: Any) -> Proofs | Refusal:
    """What a claim about V-1 at nine o'clock amounts to."""
    facts = a_session(**session).facts
    return prove(claim, entry, facts, a_volunteer(), shown_at=at(9), secret=SECRET)


def only(proofs: Proofs | Refusal) -> Proof:
    """The one proof of a claim that holds."""
    assert not isinstance(proofs, Refusal)
    (proof,) = proofs
    return proof


def test_the_stations_code_is_given_by_the_station() -> None:
    proof = only(proved(Claim("station_code", code_now(at(9)))))
    assert (proof.method, proof.given_by, proof.side) == ("station_code", str(STATION), "station")


def test_a_card_is_given_by_the_card() -> None:
    proof = only(proved(Claim("personal_card", "N-1")))
    assert (proof.method, proof.given_by, proof.side) == ("personal_card", "V-1", "volunteer")


def test_a_one_time_code_is_given_by_the_station() -> None:
    proof = only(proved(Claim("one_time_code", slip(1))))
    assert (proof.method, proof.given_by, proof.side) == ("one_time_code", f"code:{STATION}", "station")


def test_a_one_time_code_is_given_by_the_organiser_where_there_is_no_station() -> None:
    assert only(proved(Claim("one_time_code", slip(1)), station=None)).given_by == f"code:{TEAM}"


def test_a_list_is_given_by_the_leader_who_enters_it() -> None:
    proof = only(proved(Claim("leader_list")))
    assert (proof.method, proof.given_by, proof.side) == ("leader_list", "leader-1", "leader")


def test_a_report_is_given_by_the_volunteer() -> None:
    proof = only(proved(Claim("self_report")))
    assert (proof.method, proof.given_by, proof.side) == ("self_report", "V-1", "volunteer")


@pytest.mark.parametrize(
    ("claim", "code"),
    [
        (None, "proof_missing"),
        (Claim("station_code"), "proof_missing"),
        (Claim("personal_card"), "proof_missing"),
        (Claim("one_time_code"), "proof_missing"),
        (Claim("station_code", code_now(at(9, 5))), "code_invalid"),
        (Claim("personal_card", "N-2"), "card_invalid"),
        (Claim("one_time_code", slip(1, "SE-2")), "code_invalid"),
    ],
)
def test_a_claim_that_does_not_hold_is_refused(claim: Claim | None, code: str) -> None:
    assert proved(claim) == Refusal(code)


def test_a_session_without_a_station_has_no_station_code() -> None:
    assert proved(Claim("station_code", code_now(at(9))), station=None) == Refusal("code_invalid")


def test_what_the_back_office_types_in_is_proved_by_nothing_whatever_it_claims() -> None:
    entry = Entry(entered_by=ActorId("clerk-1"), mode="back_office", approved_by=ActorId("clerk-2"))
    assert proved(None, entry) == ()
    assert proved(Claim("station_code", code_now(at(9))), entry) == ()


@pytest.mark.parametrize(
    "claim", [None, Claim("leader_list"), Claim("personal_card", "0001-123456"), Claim("one_time_code")]
)
def test_only_a_one_time_code_claims_a_slip(claim: Claim | None) -> None:
    assert slip_claimed(claim, SessionId("SE-1")) is None
    assert slip_claimed(Claim("one_time_code", slip(3)), SessionId("SE-1")) == "SE-1|0003"
