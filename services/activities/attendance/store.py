"""Loads, saves and lists attendances."""

from collections.abc import Container, Iterable
from typing import Final

from services.activities.attendance.rules import Attendance, End
from services.contracts.activities import Proof
from services.contracts.ids import ActorId, AttendanceId, SessionId, UnitCode, VolunteerId
from services.eventing.ports import Document, Index, Reads, Transaction
from services.eventing.times import from_text, to_text

ATTENDANCES: Final = "attendances"
COLLECTIONS: Final = (ATTENDANCES,)
INDEXES: Final = (
    Index(ATTENDANCES, "volunteer", (("volunteer_id", 1), ("order", 1))),
    Index(ATTENDANCES, "session", (("session_id", 1), ("_id", 1))),
)

LAST_ORDER: Final = "~"
"""Comes after every order."""


def order_of(attendance: Attendance) -> str:
    """What a volunteer's list is sorted by: the session's start, and the id for those that start together."""
    return f"{to_text(attendance.starts_at)}|{attendance.attendance_id}"


def _document(attendance: Attendance) -> Document:
    starts_at = to_text(attendance.starts_at)
    return {
        "_id": attendance.attendance_id,
        "session_id": attendance.session_id,
        "volunteer_id": attendance.volunteer_id,
        "home_unit": attendance.home_unit,
        "unit_served": attendance.unit_served,
        "starts_at": starts_at,
        "order": f"{starts_at}|{attendance.attendance_id}",
        "check_in": _end_document(attendance.check_in),
        "check_out": None if attendance.check_out is None else _end_document(attendance.check_out),
    }


def _end_document(end: End) -> Document:
    return {
        "at": to_text(end.at),
        "accepted_at": to_text(end.accepted_at),
        "proofs": [{"method": p.method, "given_by": p.given_by, "side": p.side} for p in end.proofs],
        "entered_by": end.entered_by,
        "approved_by": end.approved_by,
        "entry_mode": end.entry_mode,
        "batch_id": end.batch_id,
    }


def _attendance(document: Document) -> Attendance:
    check_out = document["check_out"]
    return Attendance(
        attendance_id=AttendanceId(document["_id"]),
        session_id=SessionId(document["session_id"]),
        volunteer_id=VolunteerId(document["volunteer_id"]),
        home_unit=UnitCode(document["home_unit"]),
        unit_served=UnitCode(document["unit_served"]),
        starts_at=from_text(document["starts_at"]),
        check_in=_end(document["check_in"]),
        check_out=None if check_out is None else _end(check_out),
    )


def _end(document: Document) -> End:
    approved_by = document["approved_by"]
    return End(
        at=from_text(document["at"]),
        accepted_at=from_text(document["accepted_at"]),
        proofs=tuple(
            Proof(method=p["method"], given_by=ActorId(p["given_by"]), side=p["side"]) for p in document["proofs"]
        ),
        entered_by=ActorId(document["entered_by"]),
        approved_by=None if approved_by is None else ActorId(approved_by),
        entry_mode=document["entry_mode"],
        batch_id=document["batch_id"],
    )


async def load(reads: Reads, attendance_ids: Iterable[AttendanceId]) -> dict[AttendanceId, Attendance]:
    """The attendances that exist, by id."""
    documents = await reads.get(ATTENDANCES, attendance_ids)
    return {AttendanceId(i): _attendance(document) for i, document in documents.items()}


async def save(tx: Transaction, attendances: Iterable[Attendance], known: Container[AttendanceId]) -> None:
    """Writes attendances: those that this transaction does not know yet as new ones, which costs half of replacing.

    Two transactions that write the same one exclude each other. Raises ``AlreadyExistsError``, after which the next
    attempt knows it.
    """
    new: list[Document] = []
    changed: list[Document] = []
    for attendance in attendances:
        (changed if attendance.attendance_id in known else new).append(_document(attendance))
    if new:
        await tx.insert(ATTENDANCES, new)
    if changed:
        await tx.replace(ATTENDANCES, changed)


async def list_by_volunteer(reads: Reads, volunteer_id: VolunteerId, *, before: str, limit: int) -> list[Attendance]:
    """A volunteer's attendances, newest session first, those before an order."""
    where = {"volunteer_id": volunteer_id, "order": {"$lt": before}}
    documents = await reads.find(ATTENDANCES, where, sort=(("order", -1),), limit=limit)
    return [_attendance(document) for document in documents]


async def list_by_session(reads: Reads, session_id: SessionId, *, after: str, limit: int) -> list[Attendance]:
    """A session's attendances by id, those after an id."""
    where = {"session_id": session_id, "_id": {"$gt": after}}
    return [_attendance(document) for document in await reads.find(ATTENDANCES, where, limit=limit)]
