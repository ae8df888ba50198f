"""Decides on activities and sessions: what is wrong with a draft, what publishing announces."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

import msgspec

from services.activities.places.rules import Place, is_organisation, is_unit
from services.contracts.activities import ActivityPublished, SessionFacts, SessionPublished
from services.contracts.ids import ActivityId, KeyField, OrganisationId, ServiceType, SessionId, UnitCode
from services.runtime.outcomes import Refusal

GRACE_MINUTES: Final = 15
"""How early or late a check-in or check-out is accepted; every session keeps the figure it was planned under."""
SESSION_MINUTES_MAX: Final = 24 * 60
CAPACITY_PEOPLE_MAX: Final = 10_000
TITLE_CHARACTERS_MAX: Final = 50
"""The national format's limit."""
PUBLICATION_SESSIONS_MAX: Final = 500


class Activity(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What is offered: once published it stays as it is."""

    activity_id: ActivityId
    title: str
    unit_served: UnitCode
    organiser_id: OrganisationId
    brand_id: OrganisationId | None
    service_type: ServiceType
    key_field: KeyField | None
    published: bool = False

    def as_published(self) -> "Activity":
        """The activity once it is announced."""
        return msgspec.structs.replace(self, published=True)


class SessionPlan(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What a session has of its own, beside what it takes over from its activity."""

    session_id: SessionId
    starts_at: datetime
    ends_at: datetime
    station_id: OrganisationId | None
    capacity: int


class Session(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """When and where it is offered, and how many places are taken; once published its facts stay as they are."""

    facts: SessionFacts
    capacity: int
    places_taken: int = 0
    published: bool = False

    def as_published(self) -> "Session":
        """The session once it is announced."""
        return msgspec.structs.replace(self, published=True)


class Fault(msgspec.Struct, frozen=True, gc=False):
    """One thing that is wrong with a draft: the field and the code of the refusal."""

    field: str
    code: str


def session_of(plan: SessionPlan, activity: Activity) -> Session:
    """The draft of a session: its plan, with what every session of the activity has in common."""
    return Session(
        facts=SessionFacts(
            session_id=plan.session_id,
            activity_id=activity.activity_id,
            starts_at=plan.starts_at,
            ends_at=plan.ends_at,
            grace_minutes=GRACE_MINUTES,
            unit_served=activity.unit_served,
            organiser_id=activity.organiser_id,
            station_id=plan.station_id,
            service_type=activity.service_type,
            key_field=activity.key_field,
        ),
        capacity=plan.capacity,
    )


def faults_of_activity(activity: Activity, places: Mapping[str, Place]) -> list[Fault]:
    """What is wrong with an activity, given the places that are known."""
    faults = []
    if not is_organisation(places.get(activity.organiser_id)):
        faults.append(Fault("organiser_id", "organisation_unknown"))
    if not is_unit(places.get(activity.unit_served)):
        faults.append(Fault("unit_served", "unit_unknown"))
    if activity.brand_id is not None and not is_organisation(places.get(activity.brand_id), "brand"):
        faults.append(Fault("brand_id", "brand_unknown"))
    return faults


def faults_of_plan(plan: SessionPlan, places: Mapping[str, Place]) -> list[Fault]:
    """What is wrong with a session's plan, given the places that are known."""
    faults = []
    if plan.station_id is not None and not is_organisation(places.get(plan.station_id), "station"):
        faults.append(Fault("station_id", "station_unknown"))
    if not timedelta(0) < plan.ends_at - plan.starts_at <= timedelta(minutes=SESSION_MINUTES_MAX):
        faults.append(Fault("ends_at", "session_window_invalid"))
    return faults


def publish(
    activity: Activity, drafts: Sequence[Session]
) -> tuple[ActivityPublished | SessionPublished, ...] | Refusal:
    """Announces an activity, if that has not been done, and its sessions that were not announced."""
    assert not any(session.published for session in drafts)
    assert all(session.facts.activity_id == activity.activity_id for session in drafts)
    if activity.published and not drafts:
        return Refusal("nothing_to_publish")
    of_activity = () if activity.published else (activity_published(activity),)
    return (*of_activity, *map(session_published, drafts))


def activity_published(activity: Activity) -> ActivityPublished:
    """What is announced of an activity."""
    return ActivityPublished(
        activity_id=activity.activity_id,
        title=activity.title,
        unit_served=activity.unit_served,
        organiser_id=activity.organiser_id,
        brand_id=activity.brand_id,
        service_type=activity.service_type,
        key_field=activity.key_field,
    )


def session_published(session: Session) -> SessionPublished:
    """What is announced of a session."""
    return SessionPublished(activity_id=session.facts.activity_id, session=session.facts, capacity=session.capacity)


def refuse_unpublished(session: Session) -> Refusal | None:
    """Refuses whatever needs a session that volunteers can see."""
    return None if session.published else Refusal("session_not_published")
