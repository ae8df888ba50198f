"""Computes the evidence grade of an attendance from its proofs; nobody types one."""

from services.contracts.activities import CheckedIn, CheckedOut, Proof
from services.contracts.ids import Grade

INDEPENDENT_METHODS = frozenset({"station_code", "personal_card", "one_time_code", "served_confirmation"})
OUTSIDE_SIDES = frozenset({"served", "other_organisation"})
PROOFS_FOR_THE_HIGHEST_GRADE = 2


def grade_of_end(end: CheckedIn | CheckedOut) -> Grade:
    """The grade of one end of an attendance (docs/architecture.md, evidence grade).

    0: typed in by the back office. 1: one side's word. 2: an independent proof. 3: two independent proofs of different
    givers, one of them from outside. A proof is independent only if its giver neither entered nor approved the record.
    """
    if end.entry_mode == "back_office":
        return 0
    of_the_record = (end.entered_by, end.approved_by)
    independent = [
        proof for proof in end.proofs if proof.method in INDEPENDENT_METHODS and proof.given_by not in of_the_record
    ]
    if len(independent) >= PROOFS_FOR_THE_HIGHEST_GRADE and _from_outside_and_different(independent):
        return 3
    return 2 if independent else 1


def grade_of_interval(check_in: Grade, check_out: Grade) -> Grade:
    """An interval is worth what the weaker of its two ends is worth."""
    return min(check_in, check_out)


def _from_outside_and_different(proofs: list[Proof]) -> bool:
    givers = {proof.given_by for proof in proofs}
    return len(givers) >= PROOFS_FOR_THE_HIGHEST_GRADE and any(proof.side in OUTSIDE_SIDES for proof in proofs)
