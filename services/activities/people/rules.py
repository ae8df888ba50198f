"""Decides what activities keeps of a volunteer: a copy of what registry publishes."""

from typing import assert_never

import msgspec

from services.contracts.ids import UnitCode, VolunteerId, VolunteerNumber, VolunteerState
from services.contracts.registry import VolunteerRegistered, VolunteerUpdated
from services.runtime.outcomes import Refusal


class Volunteer(msgspec.Struct, frozen=True, gc=False):
    """A volunteer as activities knows one: ids, home unit and state; nothing by which a person could be named."""

    volunteer_id: VolunteerId
    number: VolunteerNumber
    home_unit: UnitCode
    state: VolunteerState


def copy_of(event: VolunteerRegistered | VolunteerUpdated) -> Volunteer:
    """The copy after an event; either event says all there is to know, so what was known before does not matter."""
    return Volunteer(volunteer_id=event.volunteer_id, number=event.number, home_unit=event.home_unit, state=event.state)


def refuse_inactive(volunteer: Volunteer) -> Refusal | None:
    """Refuses whoever registry says is not serving now."""
    match volunteer.state:
        case "active":
            return None
        case "paused" | "left":
            return Refusal("volunteer_not_active")
        case _:
            assert_never(volunteer.state)
