"""Turns what is claimed to prove presence into proofs, or refuses it."""

from datetime import datetime
from typing import Literal, assert_never

import msgspec

from services.activities.codes.rules import is_one_time_code, is_station_code, slip_of
from services.activities.people.rules import Volunteer
from services.contracts.activities import EntryMode, Proof, SessionFacts
from services.contracts.ids import ActorId, SessionId
from services.runtime.outcomes import Refusal

ClaimMethod = Literal["station_code", "personal_card", "one_time_code", "leader_list", "self_report"]
"""The proofs that can be checked here; a served person's confirmation cannot yet, so nobody can claim one."""
Proofs = tuple[Proof, ...]


class Claim(msgspec.Struct, frozen=True, gc=False):
    """What is said to prove presence; ``text`` is the code or card as it was read, if the method has one."""

    method: ClaimMethod
    text: str | None = None


class Entry(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """How a record comes in: by whom, through which door, approved by whom, in which batch."""

    entered_by: ActorId
    mode: EntryMode
    approved_by: ActorId | None = None
    batch_id: str | None = None


def slip_claimed(claim: Claim | None, session_id: SessionId) -> str | None:
    """The slip that a one-time code says it was on; ``None`` for any other claim."""
    if claim is None or claim.method != "one_time_code" or claim.text is None:
        return None
    return slip_of(session_id, claim.text)


def prove(
    claim: Claim | None, entry: Entry, session: SessionFacts, volunteer: Volunteer, *, shown_at: datetime, secret: bytes
) -> Proofs | Refusal:
    """The proofs that a claim amounts to. What the back office types in is proved by nothing and needs no claim.

    ``shown_at``: when a rotating code must have been on display. Who gave a proof stands in it; what it is worth is
    for hours to say.
    """
    if entry.mode == "back_office":
        return ()
    if claim is None:
        return Refusal("proof_missing")
    match claim.method:
        case "station_code" | "personal_card" | "one_time_code":
            if claim.text is None:
                return Refusal("proof_missing")
            return _prove_by_text(claim.method, claim.text, session, volunteer, shown_at, secret)
        case "leader_list":
            return (Proof(method="leader_list", given_by=entry.entered_by, side="leader"),)
        case "self_report":
            return (Proof(method="self_report", given_by=ActorId(volunteer.volunteer_id), side="volunteer"),)
        case _:
            assert_never(claim.method)


def _prove_by_text(
    method: Literal["station_code", "personal_card", "one_time_code"],
    text: str,
    session: SessionFacts,
    volunteer: Volunteer,
    shown_at: datetime,
    secret: bytes,
) -> Proofs | Refusal:
    match method:
        case "station_code":
            station = session.station_id
            if station is None or not is_station_code(secret, station, text, shown_at):
                return Refusal("code_invalid")
            return (Proof(method=method, given_by=ActorId(station), side="station"),)
        case "personal_card":
            if text != volunteer.number:
                return Refusal("card_invalid")
            # The holder gave it: whoever types in their own card proves nothing but their own word.
            return (Proof(method=method, given_by=ActorId(volunteer.volunteer_id), side="volunteer"),)
        case "one_time_code":
            if not is_one_time_code(secret, session.session_id, text):
                return Refusal("code_invalid")
            giver = ActorId(f"code:{session.station_id or session.organiser_id}")
            return (Proof(method=method, given_by=giver, side="station"),)
        case _:
            assert_never(method)
