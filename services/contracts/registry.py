"""Declares the events that registry owns: who exists."""

from datetime import date
from typing import ClassVar

from services.contracts.event import Event
from services.contracts.ids import (
    AgeBand,
    AreaSystem,
    Channel,
    Count,
    OrganisationId,
    OrganisationKind,
    UnitCode,
    VolunteerId,
    VolunteerNumber,
    VolunteerState,
)

ORGANISATIONS = "registry.organisations"
VOLUNTEERS = "registry.volunteers"


class UnitRegistered(Event, frozen=True, kw_only=True, gc=False):
    """An assessed unit entered the area table, or one of its rows got a new version."""

    TYPE: ClassVar[str] = "registry.unit.registered.v1"
    TOPIC: ClassVar[str] = ORGANISATIONS
    KEY: ClassVar[str] = "unit"

    unit: UnitCode
    system: AreaSystem
    name: str
    parent: UnitCode | None
    valid_from: date


class RollRecorded(Event, frozen=True, kw_only=True, gc=False):
    """A unit's roll of retired cadres (离退休干部花名册) was counted: participation's denominator, never derived."""

    TYPE: ClassVar[str] = "registry.roll.recorded.v1"
    TOPIC: ClassVar[str] = ORGANISATIONS
    KEY: ClassVar[str] = "unit"

    unit: UnitCode
    as_of: date
    people: Count


class OrganisationRegistered(Event, frozen=True, kw_only=True, gc=False):
    """A department, party branch, station, team or brand exists and belongs to a unit."""

    TYPE: ClassVar[str] = "registry.organisation.registered.v1"
    TOPIC: ClassVar[str] = ORGANISATIONS
    KEY: ClassVar[str] = "organisation_id"

    organisation_id: OrganisationId
    kind: OrganisationKind
    name: str
    unit: UnitCode
    parent_id: OrganisationId | None
    since: date


class VolunteerRegistered(Event, frozen=True, kw_only=True, gc=False):
    """A person became a volunteer. ``registered_on`` is the day of registration, not of the import."""

    TYPE: ClassVar[str] = "registry.volunteer.registered.v1"
    TOPIC: ClassVar[str] = VOLUNTEERS
    KEY: ClassVar[str] = "volunteer_id"

    volunteer_id: VolunteerId
    number: VolunteerNumber
    home_unit: UnitCode
    retired_cadre: bool
    age_band: AgeBand
    channel: Channel
    registered_on: date
    state: VolunteerState
    teams: tuple[OrganisationId, ...]


class VolunteerUpdated(Event, frozen=True, kw_only=True, gc=False):
    """What others may know of a volunteer, whole, after a change."""

    TYPE: ClassVar[str] = "registry.volunteer.updated.v1"
    TOPIC: ClassVar[str] = VOLUNTEERS
    KEY: ClassVar[str] = "volunteer_id"

    volunteer_id: VolunteerId
    number: VolunteerNumber
    home_unit: UnitCode
    retired_cadre: bool
    age_band: AgeBand
    channel: Channel
    registered_on: date
    state: VolunteerState
    teams: tuple[OrganisationId, ...]
