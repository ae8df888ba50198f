"""Signs volunteers up."""

from services.activities.attendance.rules import attendance_id_of
from services.activities.people import store as people
from services.activities.people.rules import Volunteer
from services.activities.programme import store as programme
from services.activities.programme.rules import Session
from services.activities.signups import store
from services.activities.signups.rules import SignUp, Situation, decide, evolve
from services.contracts.ids import ActorId, SessionId, VolunteerId
from services.eventing.ports import Transaction
from services.runtime.auth import Caller
from services.runtime.commands import Command
from services.runtime.outcomes import Accepted, Outcome, Refusal


async def sign_up(tx: Transaction, command: Command, session_id: SessionId, volunteer_id: VolunteerId) -> Outcome:
    """Gives a volunteer a place, or says why not."""
    attendance_id = attendance_id_of(session_id, volunteer_id)
    session = (await programme.load_sessions(tx, [session_id])).get(session_id)
    volunteer = (await people.load(tx, [volunteer_id])).get(volunteer_id)
    situation = Situation(
        session=session,
        volunteer=volunteer,
        within_area=session is None or _may_sign_up(command.caller, session, volunteer),
        holds_place=await store.holds_place(tx, attendance_id),
        elsewhere=[] if session is None else await store.load_elsewhere(tx, volunteer_id, session.facts),
    )
    event = decide(SignUp(attendance_id=attendance_id, entered_by=command.caller.subject, now=command.now), situation)
    if isinstance(event, Refusal):
        return event
    assert session is not None
    session = evolve(session, event)
    # Two sign-ups of one volunteer, and a pause that arrives meanwhile, write this document too: one of them waits.
    await people.touch(tx, volunteer_id, attendance_id)
    await programme.save_places_taken(tx, session_id, session.places_taken)
    await store.save(tx, event, at=command.now)
    places_left = session.capacity - session.places_taken
    body = {
        "attendance_id": attendance_id,
        "session_id": session_id,
        "volunteer_id": volunteer_id,
        "places_left": places_left,
    }
    return Accepted(body, [command.fact(event)], status=201)


def _may_sign_up(caller: Caller, session: Session, volunteer: Volunteer | None) -> bool:
    """The unit that is served, the unit whose volunteer it is, and the volunteer may."""
    if caller.covers(session.facts.unit_served):
        return True
    return volunteer is not None and (
        caller.covers(volunteer.home_unit) or caller.subject == ActorId(volunteer.volunteer_id)
    )
