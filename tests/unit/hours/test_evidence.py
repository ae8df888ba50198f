"""Evidence grades: computed from independent proofs, never typed."""

import msgspec
import pytest

from services.contracts.activities import CheckedIn, Proof, ProofMethod, ProofSide
from services.contracts.ids import ActorId
from services.hours.evidence.rules import grade_of_end, grade_of_interval
from tests.support.attendance import at, checked_in, session


def end(
    *proofs: Proof, entered_by: str = "kiosk", approved_by: str | None = None, back_office: bool = False
) -> CheckedIn:
    """A check-in with these proofs."""
    return msgspec.structs.replace(
        checked_in(at(9), session()),
        proofs=proofs,
        entered_by=ActorId(entered_by),
        approved_by=ActorId(approved_by) if approved_by else None,
        entry_mode="back_office" if back_office else "live",
    )


def proof(method: ProofMethod, given_by: str, side: ProofSide) -> Proof:
    """One proof."""
    return Proof(method=method, given_by=ActorId(given_by), side=side)


CODE = proof("station_code", "station-1", "station")
SERVED = proof("served_confirmation", "elder-home", "served")


@pytest.mark.parametrize(
    ("attendance", "grade"),
    [
        (end(), 1),
        (end(proof("leader_list", "leader", "leader")), 1),
        (end(proof("self_report", "v1", "volunteer")), 1),
        (end(CODE), 2),
        (end(proof("personal_card", "v1", "volunteer")), 2),
        (end(proof("one_time_code", "code:station-1", "station")), 2),
        (end(CODE, SERVED), 3),
        (end(CODE, proof("personal_card", "v1", "volunteer")), 2),
        (end(SERVED, SERVED), 2),
        (end(CODE, SERVED, back_office=True, approved_by="clerk-2"), 0),
    ],
)
def test_grade_of_an_end(attendance: CheckedIn, grade: int) -> None:
    assert grade_of_end(attendance) == grade


@pytest.mark.parametrize("who", [{"entered_by": "elder-home"}, {"approved_by": "elder-home"}])
def test_who_entered_or_approved_cannot_prove(who: dict[str, str]) -> None:
    assert grade_of_end(end(SERVED, **who)) == 1  # type: ignore[arg-type]
    assert grade_of_end(end(CODE, SERVED, **who)) == 2  # type: ignore[arg-type]


def test_whoever_types_in_their_own_card_gives_only_their_own_word() -> None:
    assert grade_of_end(end(proof("personal_card", "v1", "volunteer"), entered_by="v1")) == 1


def test_an_interval_is_worth_its_weaker_end() -> None:
    assert grade_of_interval(3, 1) == 1
