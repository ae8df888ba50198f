"""Says how registry's own events become documents again when its database is restored."""

from typing import Any

import msgspec

from services.contracts.event import Envelope
from services.contracts.registry import (
    OrganisationRegistered,
    RollRecorded,
    UnitRegistered,
    VolunteerRegistered,
    VolunteerUpdated,
)
from services.eventing.ports import Transaction
from services.recovery.recovery import Recovery
from services.registry.organisations import store as organisations
from services.registry.organisations.rules import Organisation
from services.registry.units import store as units
from services.registry.units.rules import RollCount, Row, Unit
from services.registry.volunteers import store as volunteers
from services.registry.volunteers.rules import Volunteer

UNKNOWN = ""
"""Where a topic holds no personal mark: it fits nobody's."""


async def take_back(tx: Transaction, envelope: Envelope[Any]) -> None:
    """Writes what an event says; of a volunteer all but what is personal, which stays as the backup has it."""
    match envelope.data:
        case UnitRegistered() as event:
            unit = (await units.load_units(tx, [event.unit])).get(event.unit, Unit(event.unit))
            row = Row(event.valid_from.isoformat(), event.system, event.name, event.parent)
            kept = tuple(each for each in unit.rows if each.valid_from != row.valid_from)
            await units.save_units(tx, [_changed(unit, rows=(*kept, row))])
        case RollRecorded() as event:
            unit = (await units.load_units(tx, [event.unit])).get(event.unit, Unit(event.unit))
            count = RollCount(event.as_of.isoformat(), event.people)
            others = [each for each in unit.roll if each.as_of != count.as_of]
            roll = tuple(sorted([*others, count], key=lambda each: each.as_of))
            await units.save_units(tx, [_changed(unit, roll=roll)])
        case OrganisationRegistered() as event:
            await _organisation(tx, event)
        case VolunteerRegistered() | VolunteerUpdated() as event:
            await _volunteer(tx, event)
        case _:
            return


def _changed(unit: Unit, **fields: Any) -> Unit:
    return msgspec.structs.replace(unit, **fields, version=unit.version + 1)


async def _organisation(tx: Transaction, event: OrganisationRegistered) -> None:
    identity = event.organisation_id
    known = (await organisations.load_organisations(tx, [identity])).get(identity)
    version = known.version + 1 if known is not None else 1
    since = event.since.isoformat()
    entered = Organisation(identity, event.kind, event.name, event.unit, event.parent_id, since, version)
    await organisations.save_organisations(tx, [entered])


async def _volunteer(tx: Transaction, event: VolunteerRegistered | VolunteerUpdated) -> None:
    identity, number = event.volunteer_id, event.number
    known = await volunteers.get_volunteer(tx, identity)
    volunteer = Volunteer(
        volunteer_id=identity,
        number=number,
        home_unit=event.home_unit,
        retired_cadre=event.retired_cadre,
        age_band=event.age_band,
        channel=event.channel,
        registered_on=event.registered_on.isoformat(),
        state=event.state,
        teams=event.teams,
        citizen=known.volunteer.citizen if known is not None else UNKNOWN,
        fingerprint=UNKNOWN,  # differs from any sheet's row, so that a list entered again brings the personal data back
        version=known.volunteer.version + 1 if known is not None else 1,
    )
    await volunteers.save_volunteers(tx, [volunteers.Stored(volunteer, known.sealed if known is not None else {})])
    if number not in (await volunteers.load_claims(tx, [number], ())).by_number:
        await volunteers.take_claims(tx, {number: identity}, {})


RECOVERY = Recovery(
    take_back,
    {
        "personal data": "of volunteers registered or corrected after the backup: enter their lists again",
        "keys": "of volunteers registered after the backup: made again with their personal data",
        "notices": "whether those of the time after the backup were delivered: they wait again",
        "kept answers": "a command repeated with an Idempotency-Key of that time is carried out again",
    },
)
