"""Decides what activities keeps of a unit or organisation: a copy of what registry publishes."""

from typing import Literal, assert_never

import msgspec

from services.contracts.ids import OrganisationId, OrganisationKind, UnitCode
from services.contracts.registry import OrganisationRegistered, UnitRegistered

PlaceKind = Literal["unit"] | OrganisationKind


class Place(msgspec.Struct, frozen=True, gc=False):
    """A unit, or an organisation and the unit it belongs to; a unit belongs to itself."""

    place_id: str
    kind: PlaceKind
    unit: UnitCode


def copy_of(event: UnitRegistered | OrganisationRegistered) -> Place:
    """The copy after an event; either event says all there is to know, so what was known before does not matter."""
    match event:
        case UnitRegistered():
            return Place(place_id=event.unit, kind="unit", unit=event.unit)
        case OrganisationRegistered():
            return Place(place_id=event.organisation_id, kind=event.kind, unit=event.unit)
        case _:
            assert_never(event)


def is_unit(place: Place | None) -> bool:
    """Whether this is a row of the area table."""
    return place is not None and place.kind == "unit"


def is_organisation(place: Place | None, kind: OrganisationKind | None = None) -> bool:
    """Whether this is an organisation, of a certain kind if one is named."""
    return place is not None and place.kind != "unit" and kind in {None, place.kind}


def station_of(place: Place | None) -> OrganisationId | None:
    """The id of the station that a place is, if it is one."""
    return OrganisationId(place.place_id) if place is not None and place.kind == "station" else None
