"""Decides what an event counts for: pure, without clock or randomness."""

from typing import Any

import msgspec

from services.contracts.event import BrokenPromiseError, Envelope
from services.contracts.hours import EntryPosted, check_reversal
from services.contracts.ids import OrganisationKind
from services.contracts.registry import (
    OrganisationRegistered,
    RollRecorded,
    UnitRegistered,
    VolunteerRegistered,
    VolunteerUpdated,
)
from services.eventing.times import to_text


class EntryFact(msgspec.Struct, frozen=True, gc=False):
    """What a ledger entry counts for: minutes for the home unit, presence of a session for the unit served."""

    event_id: str
    volunteer: str
    home_unit: str
    unit_served: str
    month: str
    booking_month: str
    session: str
    minutes: int
    grade: int
    presence: int
    """1 for an entry that stands, -1 for a reversal."""
    station_id: str | None
    key_field: str | None
    recorded_at: str
    reverses: str | None


class Member(msgspec.Struct, frozen=True, gc=False):
    """A volunteer as assessment knows one."""

    home_unit: str
    retired_cadre: bool
    registered_on: str


class Roll(msgspec.Struct, frozen=True, gc=False):
    """A unit's roll of retired cadres on a date."""

    as_of: str
    people: int


class Place(msgspec.Struct, frozen=True, gc=False):
    """A unit (kind ``unit``) or an organisation, as assessment knows it."""

    kind: OrganisationKind | str
    name: str
    unit: str
    since: str
    rolls: tuple[Roll, ...] = ()


Counted = EntryFact | Member | Place
"""What an event comes to: an entry that counts, or the new state of the key's own document."""


def decide(known: Place | None, envelope: Envelope[Any]) -> Counted:
    """What one event counts for; ``known`` is the place that its key names, if any."""
    match envelope.data:
        case EntryPosted() as event:
            return _entry(event, envelope)
        case VolunteerRegistered() | VolunteerUpdated() as event:
            return Member(event.home_unit, event.retired_cadre, event.registered_on.isoformat())
        case UnitRegistered() as event:
            rolls = known.rolls if known is not None else ()
            return Place("unit", event.name, event.unit, event.valid_from.isoformat(), rolls)
        case RollRecorded() as event:
            return _with_roll(known, event)
        case OrganisationRegistered() as event:
            return Place(event.kind, event.name, event.unit, event.since.isoformat())
        case _:
            raise BrokenPromiseError("an event that assessment has no use for")


def _entry(event: EntryPosted, envelope: Envelope[Any]) -> EntryFact:
    check_reversal(event)
    return EntryFact(
        envelope.id,
        event.volunteer_id,
        event.home_unit,
        event.unit_served,
        event.service_date.isoformat()[:7],
        event.booking_month,
        event.session_id,
        event.minutes,
        event.grade,
        -1 if event.kind == "reversal" else 1,
        event.station_id,
        event.key_field,
        to_text(event.recorded_at),
        event.reverses,
    )


def _with_roll(known: Place | None, event: RollRecorded) -> Place:
    """A count of the same date replaces the earlier one; the order of arrival of different dates does not matter."""
    place = known or Place("unit", "", event.unit, "")
    others = [roll for roll in place.rolls if roll.as_of != event.as_of.isoformat()]
    rolls = sorted([*others, Roll(event.as_of.isoformat(), event.people)], key=lambda roll: roll.as_of)
    return msgspec.structs.replace(place, rolls=tuple(rolls))


def roll_on(place: Place, day: str) -> int | None:
    """The roll that was last counted on or before a date; ``None`` if none was."""
    counted = [roll.people for roll in place.rolls if roll.as_of <= day]
    return counted[-1] if counted else None
