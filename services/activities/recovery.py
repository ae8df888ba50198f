"""Says how activities' own events become documents again when its database is restored."""

from typing import Any

from services.activities.attendance import store as attendance
from services.activities.attendance.rules import evolve
from services.activities.programme import store as programme
from services.activities.programme.rules import Activity, Session
from services.activities.signups import store as signups
from services.contracts.activities import ActivityPublished, CheckedIn, CheckedOut, SessionPublished, SignedUp
from services.contracts.event import Envelope
from services.contracts.ids import ActorId
from services.eventing.ports import Transaction
from services.recovery.recovery import Recovery

BY = ActorId("restore")
"""Who made a draft is in the backup alone."""


async def take_back(tx: Transaction, envelope: Envelope[Any]) -> None:
    """Writes what an event says."""
    match envelope.data:
        case ActivityPublished() as event:
            await _activity(tx, event, envelope)
        case SessionPublished() as event:
            await _session(tx, event, envelope)
        case SignedUp() as event:
            await _sign_up(tx, event, envelope)
        case CheckedIn() | CheckedOut() as event:
            await _end(tx, event, envelope)
        case _:
            return


async def _end(tx: Transaction, event: CheckedIn | CheckedOut, envelope: Envelope[Any]) -> None:
    """One end of a presence; an end that does not follow what is known is none that activities has announced."""
    known = await attendance.load(tx, [event.attendance_id])
    before = known.get(event.attendance_id)
    follows = before is None if isinstance(event, CheckedIn) else before is not None and before.check_out is None
    if follows:
        await attendance.save(tx, [evolve(before, event, accepted_at=envelope.time)], known)


async def _activity(tx: Transaction, event: ActivityPublished, envelope: Envelope[Any]) -> None:
    activity = Activity(
        activity_id=event.activity_id,
        title=event.title,
        unit_served=event.unit_served,
        organiser_id=event.organiser_id,
        brand_id=event.brand_id,
        service_type=event.service_type,
        key_field=event.key_field,
        published=True,
    )
    if event.activity_id in await programme.load_activities(tx, [event.activity_id]):
        await programme.save(tx, [activity], [])
    else:
        await programme.save_new(tx, [activity], [], by=BY, at=envelope.time)


async def _session(tx: Transaction, event: SessionPublished, envelope: Envelope[Any]) -> None:
    identity = event.session.session_id
    known = (await programme.load_sessions(tx, [identity])).get(identity)
    taken = known.places_taken if known is not None else 0
    session = Session(facts=event.session, capacity=event.capacity, places_taken=taken, published=True)
    if known is not None:
        await programme.save(tx, [], [session])
    else:
        await programme.save_new(tx, [], [session], by=BY, at=envelope.time)


async def _sign_up(tx: Transaction, event: SignedUp, envelope: Envelope[Any]) -> None:
    identity = event.session.session_id
    session = (await programme.load_sessions(tx, [identity])).get(identity)
    if session is None or await signups.holds_place(tx, event.attendance_id):
        return
    await signups.save(tx, event, at=envelope.time)
    await programme.save_places_taken(tx, identity, session.places_taken + 1)


RECOVERY = Recovery(
    take_back,
    {
        "drafts": "activities and sessions made after the backup and not published",
        "proposals": "of the back office made or decided after the backup",
        "one-time codes": "used after the backup: they may be shown once more; issued after it: issue them again",
        "receipts": "of batches after the backup: a batch sent again is checked again and changes nothing",
        "kept answers": "a command repeated with an Idempotency-Key of that time is carried out again",
    },
)
