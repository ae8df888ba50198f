"""Lists every event type that exists; what is not here is undeclared and is parked where it turns up."""

from services.contracts import activities, assessment, hours, registry
from services.contracts.event import Event
from services.contracts.operations import OPERATIONS

EVENTS: tuple[type[Event], ...] = (
    registry.UnitRegistered,
    registry.RollRecorded,
    registry.OrganisationRegistered,
    registry.VolunteerRegistered,
    registry.VolunteerUpdated,
    activities.ActivityPublished,
    activities.SessionPublished,
    activities.SignedUp,
    activities.CheckedIn,
    activities.CheckedOut,
    hours.EntryPosted,
    hours.AttendanceTimedOut,
    hours.NoticeRaised,
    assessment.ScorePublished,
    *(event for events in OPERATIONS.values() for event in events),
)

BY_TYPE: dict[str, type[Event]] = {event.TYPE: event for event in EVENTS}
