"""Plans activities and sessions, and publishes them."""

from typing import Any

from services.activities.places import store as places
from services.activities.programme import store
from services.activities.programme.rules import (
    PUBLICATION_SESSIONS_MAX,
    Activity,
    Fault,
    Session,
    SessionPlan,
    faults_of_activity,
    faults_of_plan,
    publish,
    session_of,
)
from services.contracts.ids import ActivityId
from services.eventing.ports import Transaction
from services.eventing.times import to_text
from services.runtime.auth import outside_area
from services.runtime.commands import Command
from services.runtime.outcomes import Accepted, Outcome, Refusal


async def plan_activity(tx: Transaction, command: Command, activity: Activity) -> Outcome:
    """Adds an activity as a draft."""
    if not command.caller.covers(activity.unit_served):
        return outside_area(command.caller, activity.unit_served)
    named = (activity.unit_served, activity.organiser_id, activity.brand_id)
    known = await places.load(tx, [each for each in named if each is not None])
    if faults := faults_of_activity(activity, known):
        return _refuse(faults[0])
    await store.save_new(tx, [activity], [], by=command.caller.subject, at=command.now)
    return Accepted(activity_body(activity), status=201, location=f"/v1/activities/{activity.activity_id}")


async def plan_session(tx: Transaction, command: Command, activity_id: ActivityId, plan: SessionPlan) -> Outcome:
    """Adds a session to an activity as a draft."""
    activity = (await store.load_activities(tx, [activity_id])).get(activity_id)
    if activity is None:
        return Refusal("activity_unknown")
    if not command.caller.covers(activity.unit_served):
        return outside_area(command.caller, activity.unit_served)
    known = await places.load(tx, [] if plan.station_id is None else [plan.station_id])
    if faults := faults_of_plan(plan, known):
        return _refuse(faults[0])
    session = session_of(plan, activity)
    await store.save_new(tx, [], [session], by=command.caller.subject, at=command.now)
    return Accepted(session_body(session), status=201, location=f"/v1/sessions/{plan.session_id}")


def _refuse(fault: Fault) -> Refusal:
    return Refusal(fault.code, f"see {fault.field}")


async def publish_activity(tx: Transaction, command: Command, activity_id: ActivityId) -> Outcome:
    """Publishes an activity and its sessions that are still drafts, up to a limit; ``more`` says that some are left."""
    activity = (await store.load_activities(tx, [activity_id])).get(activity_id)
    if activity is None:
        return Refusal("activity_unknown")
    if not command.caller.covers(activity.unit_served):
        return outside_area(command.caller, activity.unit_served)
    drafts = await store.load_drafts(tx, activity_id, PUBLICATION_SESSIONS_MAX + 1)
    published = drafts[:PUBLICATION_SESSIONS_MAX]
    events = publish(activity, published)
    if isinstance(events, Refusal):
        return events
    await store.save(tx, [activity.as_published()], [session.as_published() for session in published])
    body = {
        "activity_id": activity_id,
        "sessions": [session.facts.session_id for session in published],
        "more": len(drafts) > len(published),
    }
    return Accepted(body, [command.fact(event) for event in events])


def activity_body(activity: Activity) -> dict[str, Any]:
    """An activity as it is answered."""
    return {
        "activity_id": activity.activity_id,
        "title": activity.title,
        "unit_served": activity.unit_served,
        "organiser_id": activity.organiser_id,
        "brand_id": activity.brand_id,
        "service_type": activity.service_type,
        "key_field": activity.key_field,
        "state": "published" if activity.published else "draft",
    }


def session_body(session: Session) -> dict[str, Any]:
    """A session as it is answered."""
    facts = session.facts
    return {
        "session_id": facts.session_id,
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
        "state": "published" if session.published else "draft",
    }
