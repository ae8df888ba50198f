"""Decides who can be registered as a volunteer and what may be changed of one: pure, without clock or randomness."""

import re
from collections.abc import Callable
from datetime import date

import msgspec
from msgspec import UNSET, UnsetType

from services.contracts.ids import (
    AgeBand,
    Channel,
    OrganisationId,
    OrganisationKind,
    UnitCode,
    VolunteerId,
    VolunteerNumber,
    VolunteerState,
)
from services.registry.decisions import UNCHANGED, Fault, Faults, Unchanged
from services.registry.personal.rules import Personal, Sex, age_band, faults_of, is_personal_number

NUMBER = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{3,31}")
TEAMS_MAX = 20


class Profile(msgspec.Struct, frozen=True, gc=False):
    """All that is said of a volunteer by whoever registers or edits one."""

    number: VolunteerNumber
    home_unit: UnitCode
    retired_cadre: bool
    channel: Channel
    registered_on: date
    teams: tuple[OrganisationId, ...]
    personal: Personal


class Changes(msgspec.Struct, frozen=True, gc=False):
    """What is to be changed of a volunteer; what is unset stays."""

    home_unit: UnitCode | UnsetType = UNSET
    retired_cadre: bool | UnsetType = UNSET
    channel: Channel | UnsetType = UNSET
    registered_on: date | UnsetType = UNSET
    teams: tuple[OrganisationId, ...] | UnsetType = UNSET
    state: VolunteerState | UnsetType = UNSET
    name: str | UnsetType = UNSET
    id_number: str | UnsetType = UNSET
    sex: Sex | UnsetType = UNSET
    birth_date: date | UnsetType = UNSET
    political_status: str | UnsetType = UNSET
    ethnic_group: str | UnsetType = UNSET
    mobile: str | UnsetType | None = UNSET
    address: str | UnsetType | None = UNSET

    def __repr__(self) -> str:
        """Says nothing: what is printed by accident must not name anybody."""
        return "Changes(...)"


class Marks(msgspec.Struct, frozen=True, gc=False):
    """Keyed hashes that let equal things be recognised without being read: of the id number, of all personal data."""

    citizen: str
    fingerprint: str


class Volunteer(msgspec.Struct, frozen=True, gc=False):
    """A volunteer as stored, but for the sealed fields; ``version`` is the number of the last edit."""

    volunteer_id: VolunteerId
    number: VolunteerNumber
    home_unit: UnitCode
    retired_cadre: bool
    age_band: AgeBand
    channel: Channel
    registered_on: str
    state: VolunteerState
    teams: tuple[OrganisationId, ...]
    citizen: str
    fingerprint: str
    version: int


class Surroundings(msgspec.Struct, frozen=True, gc=False):
    """What a decision looks at besides the volunteer: lookups in what was loaded, the caller's area, the day."""

    unit_exists: Callable[[str], bool]
    kind_of: Callable[[str], OrganisationKind | None]
    holder_of: Callable[[str], str | None]
    """Whose the id number with this mark is, by volunteer id."""
    covers: Callable[[str], bool]
    today: date


def changed(known: Volunteer, personal: Personal, changes: Changes) -> tuple[Profile, VolunteerState]:
    """The whole profile and state after some changes, to be decided on as if all of it had been said anew."""
    said = {field: getattr(changes, field) for field in changes.__struct_fields__}
    said = {field: value for field, value in said.items() if value is not UNSET}
    state: VolunteerState = said.pop("state", known.state)
    after = {field: said.pop(field) for field in Personal.__struct_fields__ if field in said}
    profile = Profile(
        number=known.number,
        home_unit=known.home_unit,
        retired_cadre=known.retired_cadre,
        channel=known.channel,
        registered_on=date.fromisoformat(known.registered_on),
        teams=known.teams,
        personal=msgspec.structs.replace(personal, **after),
    )
    return msgspec.structs.replace(profile, **said), state


def decide_registration(
    volunteer_id: VolunteerId, profile: Profile, marks: Marks, around: Surroundings
) -> Volunteer | Faults:
    """The new volunteer, or everything that is wrong."""
    faults = _faults_of(profile, around)
    if around.holder_of(marks.citizen) is not None:
        faults = (*faults, Fault("id_number", "volunteer_duplicate"))
    return faults or _volunteer(volunteer_id, profile, marks, around, state="active", version=1)


def decide_update(
    known: Volunteer, profile: Profile, marks: Marks, around: Surroundings, *, state: VolunteerState, corrects_id: bool
) -> Volunteer | Unchanged | Faults:
    """The volunteer as the profile has it; whoever edits must cover the old home unit and the new.

    ``corrects_id``: the id number may be another one. A file may not do that: there, a wrong volunteer number would
    silently turn one person into another.
    """
    assert known.number == profile.number, "a number is for life"
    if not around.covers(known.home_unit):
        return (Fault("number", "outside_area"),)
    said = _volunteer(known.volunteer_id, profile, marks, around, state=state, version=known.version)
    if said == msgspec.structs.replace(known, age_band=said.age_band):
        return UNCHANGED
    faults = _faults_of(profile, around)
    if known.citizen != marks.citizen:
        if not corrects_id:
            faults = (*faults, Fault("id_number", "id_number_differs"))
        elif around.holder_of(marks.citizen) is not None:
            faults = (*faults, Fault("id_number", "volunteer_duplicate"))
    return faults or msgspec.structs.replace(said, version=known.version + 1)


def _volunteer(
    volunteer_id: VolunteerId,
    profile: Profile,
    marks: Marks,
    around: Surroundings,
    *,
    state: VolunteerState,
    version: int,
) -> Volunteer:
    return Volunteer(
        volunteer_id=volunteer_id,
        number=profile.number,
        home_unit=profile.home_unit,
        retired_cadre=profile.retired_cadre,
        age_band=age_band(profile.personal.birth_date, around.today),
        channel=profile.channel,
        registered_on=profile.registered_on.isoformat(),
        state=state,
        teams=profile.teams,
        citizen=marks.citizen,
        fingerprint=marks.fingerprint,
        version=version,
    )


def _faults_of(profile: Profile, around: Surroundings) -> Faults:
    faults: list[Fault] = []
    if not NUMBER.fullmatch(profile.number):
        faults.append(Fault("number", "number_form"))
    elif is_personal_number(profile.number):
        faults.append(Fault("number", "number_personal"))
    if not around.covers(profile.home_unit):
        faults.append(Fault("home_unit", "outside_area"))
    elif not around.unit_exists(profile.home_unit):
        faults.append(Fault("home_unit", "unit_unknown"))
    faults += faults_of(profile.personal, around.today)
    if profile.registered_on > around.today:
        faults.append(Fault("registered_on", "date_in_future"))
    elif profile.registered_on <= profile.personal.birth_date:
        faults.append(Fault("registered_on", "registered_before_birth"))
    faults += _faults_of_teams(profile.teams, around)
    return tuple(faults)


def _faults_of_teams(teams: tuple[OrganisationId, ...], around: Surroundings) -> Faults:
    if len(teams) > TEAMS_MAX:
        return (Fault("teams", "teams_too_many"),)
    kinds = [around.kind_of(team) for team in teams]
    if None in kinds:
        return (Fault("teams", "team_unknown"),)
    return () if set(kinds) <= {"team"} else (Fault("teams", "organisation_not_a_team"),)
