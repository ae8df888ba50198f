"""What the back office types in takes two different people."""

import pytest

from services.activities.backoffice.rules import Proposal, Stated, Verdict, attend, decided, refuse_decision
from services.contracts.ids import ActorId, SessionId, VolunteerId
from services.runtime.outcomes import Refusal
from tests.support.activities import UNIT, at

ONE, TWO = ActorId("clerk-1"), ActorId("clerk-2")
STATED = Stated(
    session_id=SessionId("SE-1"), volunteer_id=VolunteerId("V-1"), came_at=at(9), left_at=at(11), reason="paper_lost"
)
PROPOSAL = Proposal(proposal_id="P-1", stated=STATED, unit_served=UNIT, proposed_by=ONE, proposed_at=at(12))


def test_who_proposed_may_not_decide() -> None:
    assert refuse_decision(PROPOSAL, ONE) == Refusal("second_person_required")
    assert refuse_decision(PROPOSAL, TWO) is None


@pytest.mark.parametrize("verdict", ["approved", "rejected"])
def test_a_decision_is_the_last_word(verdict: Verdict) -> None:
    after = decided(PROPOSAL, verdict, TWO, at(13))
    assert (after.state, after.decided_by, after.decided_at) == (verdict, TWO, at(13))
    for somebody in (ONE, TWO, ActorId("clerk-3")):
        assert refuse_decision(after, somebody) == Refusal("proposal_decided")


def test_what_is_recorded_names_both_and_claims_no_proof() -> None:
    command = attend(STATED, ONE, TWO)
    assert (command.entry.entered_by, command.entry.approved_by, command.entry.mode) == (ONE, TWO, "back_office")
    assert command.claim is None
    assert (command.came_at, command.left_at) == (at(9), at(11))
