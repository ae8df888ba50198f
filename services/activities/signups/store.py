"""Loads, saves and lists places in sessions."""

from datetime import datetime
from typing import Final

import msgspec

from services.activities.signups.rules import Window
from services.contracts.activities import SessionFacts, SignedUp
from services.contracts.ids import ActorId, AttendanceId, SessionId, VolunteerId
from services.eventing.ports import Document, Index, Reads, Transaction
from services.eventing.times import from_text, to_text

SIGN_UPS: Final = "sign_ups"
COLLECTIONS: Final = (SIGN_UPS,)
INDEXES: Final = (
    Index(SIGN_UPS, "volunteer", (("volunteer_id", 1), ("ends_at", 1))),
    Index(SIGN_UPS, "session", (("session_id", 1), ("_id", 1))),
)


class HeldPlace(msgspec.Struct, frozen=True, kw_only=True):
    """A place in a session that a volunteer holds."""

    attendance_id: AttendanceId
    session_id: SessionId
    volunteer_id: VolunteerId
    entered_by: ActorId
    signed_up_at: datetime


def _held_place(document: Document) -> HeldPlace:
    return HeldPlace(
        attendance_id=AttendanceId(document["_id"]),
        session_id=SessionId(document["session_id"]),
        volunteer_id=VolunteerId(document["volunteer_id"]),
        entered_by=ActorId(document["entered_by"]),
        signed_up_at=from_text(document["signed_up_at"]),
    )


async def holds_place(reads: Reads, attendance_id: AttendanceId) -> bool:
    """Whether there is a sign-up of this name."""
    return bool(await reads.get(SIGN_UPS, [attendance_id]))


async def load_elsewhere(reads: Reads, volunteer_id: VolunteerId, session: SessionFacts) -> list[Window]:
    """A planned window of the volunteer's that meets the session's, if there is one."""
    # By the index, only what has not ended when the session starts is looked at.
    where = {
        "volunteer_id": volunteer_id,
        "ends_at": {"$gt": to_text(session.starts_at)},
        "starts_at": {"$lt": to_text(session.ends_at)},
    }
    documents = await reads.find(SIGN_UPS, where, sort=(("ends_at", 1),), limit=1)
    return [Window(from_text(document["starts_at"]), from_text(document["ends_at"])) for document in documents]


async def save(tx: Transaction, event: SignedUp, *, at: datetime) -> None:
    """Adds the place."""
    session = event.session
    document = {
        "_id": event.attendance_id,
        "session_id": session.session_id,
        "volunteer_id": event.volunteer_id,
        "home_unit": event.home_unit,
        "starts_at": to_text(session.starts_at),
        "ends_at": to_text(session.ends_at),
        "entered_by": event.entered_by,
        "signed_up_at": to_text(at),
    }
    await tx.insert(SIGN_UPS, [document])


async def list_by_session(reads: Reads, session_id: SessionId, *, after: str, limit: int) -> list[HeldPlace]:
    """A session's sign-ups by id, those after an id."""
    where = {"session_id": session_id, "_id": {"$gt": after}}
    return [_held_place(document) for document in await reads.find(SIGN_UPS, where, limit=limit)]
