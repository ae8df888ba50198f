"""Loads, saves and lists activities and sessions."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Final

from services.activities.programme.rules import Activity, Session
from services.contracts.activities import SessionFacts
from services.contracts.ids import ActivityId, ActorId, OrganisationId, SessionId, UnitCode
from services.eventing.ports import Document, Index, Reads, Transaction
from services.eventing.times import from_text, to_text

ACTIVITIES: Final = "activities"
SESSIONS: Final = "sessions"
COLLECTIONS: Final = (ACTIVITIES, SESSIONS)
INDEXES: Final = (
    Index(ACTIVITIES, "unit_served", (("unit_served", 1), ("_id", 1))),
    Index(SESSIONS, "activity", (("activity_id", 1), ("_id", 1))),
    Index(SESSIONS, "drafts", (("activity_id", 1), ("published", 1))),
    Index(SESSIONS, "unit_served", (("unit_served", 1), ("order", 1))),
)


def _activity_document(activity: Activity) -> Document:
    return {
        "_id": activity.activity_id,
        "title": activity.title,
        "unit_served": activity.unit_served,
        "organiser_id": activity.organiser_id,
        "brand_id": activity.brand_id,
        "service_type": activity.service_type,
        "key_field": activity.key_field,
        "published": activity.published,
    }


def _activity(document: Document) -> Activity:
    return Activity(
        activity_id=ActivityId(document["_id"]),
        title=document["title"],
        unit_served=UnitCode(document["unit_served"]),
        organiser_id=OrganisationId(document["organiser_id"]),
        brand_id=_organisation(document["brand_id"]),
        service_type=document["service_type"],
        key_field=document["key_field"],
        published=document["published"],
    )


def session_document(session: Session) -> Document:
    """A session as it is stored."""
    facts = session.facts
    return {
        "_id": facts.session_id,
        "activity_id": facts.activity_id,
        "starts_at": to_text(facts.starts_at),
        "ends_at": to_text(facts.ends_at),
        "grace_minutes": facts.grace_minutes,
        "unit_served": facts.unit_served,
        "organiser_id": facts.organiser_id,
        "station_id": facts.station_id,
        "service_type": facts.service_type,
        "key_field": facts.key_field,
        "capacity": session.capacity,
        "places_taken": session.places_taken,
        "published": session.published,
        "order": order_of(session),
    }


def _session(document: Document) -> Session:
    return Session(
        facts=SessionFacts(
            session_id=SessionId(document["_id"]),
            activity_id=ActivityId(document["activity_id"]),
            starts_at=from_text(document["starts_at"]),
            ends_at=from_text(document["ends_at"]),
            grace_minutes=document["grace_minutes"],
            unit_served=UnitCode(document["unit_served"]),
            organiser_id=OrganisationId(document["organiser_id"]),
            station_id=_organisation(document["station_id"]),
            service_type=document["service_type"],
            key_field=document["key_field"],
        ),
        capacity=document["capacity"],
        places_taken=document["places_taken"],
        published=document["published"],
    )


def _organisation(value: Any) -> OrganisationId | None:
    return None if value is None else OrganisationId(value)


def order_of(session: Session) -> str:
    """What lists by time are sorted by: the start, and the id for those that start together."""
    return f"{to_text(session.facts.starts_at)}|{session.facts.session_id}"


async def load_activities(reads: Reads, activity_ids: Iterable[ActivityId]) -> dict[ActivityId, Activity]:
    """The activities that exist, by id."""
    documents = await reads.get(ACTIVITIES, activity_ids)
    return {ActivityId(i): _activity(document) for i, document in documents.items()}


async def load_sessions(reads: Reads, session_ids: Iterable[SessionId]) -> dict[SessionId, Session]:
    """The sessions that exist, by id."""
    documents = await reads.get(SESSIONS, session_ids)
    return {SessionId(i): _session(document) for i, document in documents.items()}


async def load_drafts(reads: Reads, activity_id: ActivityId, limit: int) -> list[Session]:
    """An activity's sessions that are not published."""
    where = {"activity_id": activity_id, "published": False}
    return [_session(document) for document in await reads.find(SESSIONS, where, limit=limit)]


async def save_new(
    tx: Transaction, activities: Sequence[Activity], sessions: Sequence[Session], *, by: ActorId, at: datetime
) -> None:
    """Adds new activities and sessions. Raises ``AlreadyExistsError`` for an id that exists."""
    made = {"created_by": by, "created_at": to_text(at)}
    if activities:
        await tx.insert(ACTIVITIES, [_activity_document(activity) | made for activity in activities])
    if sessions:
        await tx.insert(SESSIONS, [session_document(session) | made for session in sessions])


async def save(tx: Transaction, activities: Sequence[Activity], sessions: Sequence[Session]) -> None:
    """Writes activities and sessions that exist as they are now."""
    if activities:
        await tx.update(ACTIVITIES, {each.activity_id: _without_id(_activity_document(each)) for each in activities})
    if sessions:
        await tx.update(SESSIONS, {each.facts.session_id: _without_id(session_document(each)) for each in sessions})


def _without_id(document: Document) -> Document:
    return {name: value for name, value in document.items() if name != "_id"}


async def save_places_taken(tx: Transaction, session_id: SessionId, places: int) -> None:
    """Writes how many places of a session are taken: whoever takes the last one excludes the others."""
    await tx.update(SESSIONS, {session_id: {"places_taken": places}})


async def list_activities(reads: Reads, unit_served: UnitCode, *, after: str, limit: int) -> list[Activity]:
    """A unit's activities by id, those after an id."""
    where = {"unit_served": unit_served, "_id": {"$gt": after}}
    return [_activity(document) for document in await reads.find(ACTIVITIES, where, limit=limit)]


async def list_sessions(reads: Reads, activity_id: ActivityId, *, after: str, limit: int) -> list[Session]:
    """An activity's sessions by id, those after an id."""
    where = {"activity_id": activity_id, "_id": {"$gt": after}}
    return [_session(document) for document in await reads.find(SESSIONS, where, limit=limit)]


async def list_calendar(reads: Reads, unit_served: UnitCode, *, after: str, before: str, limit: int) -> list[Session]:
    """A unit's sessions by start, those whose order lies between two texts."""
    where = {"unit_served": unit_served, "order": {"$gt": after, "$lt": before}}
    documents = await reads.find(SESSIONS, where, sort=(("order", 1),), limit=limit)
    return [_session(document) for document in documents]
