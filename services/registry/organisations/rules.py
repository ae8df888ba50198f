"""Decides which organisations may exist, and under which: pure, without clock or randomness."""

import re
from collections.abc import Callable
from datetime import date, timedelta

import msgspec

from services.contracts.ids import OrganisationId, OrganisationKind, UnitCode
from services.registry.decisions import UNCHANGED, Fault, Faults, Unchanged
from services.registry.trees import makes_cycle

ID = re.compile(r"[A-Za-z]{1,8}-[A-Za-z0-9-]{1,31}")
"""Letters, a hyphen, the rest: never a unit's code, which shares the topic, and never a person's number."""
NAME_CHARACTERS_MAX = 100
AHEAD_DAYS_MAX = 366


class Organisation(msgspec.Struct, frozen=True, gc=False):
    """A department, party branch, station, team or brand; ``since`` is its first day, ``version`` its last edit."""

    organisation_id: OrganisationId
    kind: OrganisationKind
    name: str
    unit: UnitCode
    parent_id: OrganisationId | None
    since: str
    version: int = 1


class RegisterOrganisation(msgspec.Struct, frozen=True, gc=False):
    """Enter an organisation, or what is now said of one."""

    organisation_id: OrganisationId
    kind: OrganisationKind
    name: str
    unit: UnitCode
    parent_id: OrganisationId | None
    since: date


class Surroundings(msgspec.Struct, frozen=True, gc=False):
    """What a decision looks at besides the organisation itself."""

    unit_exists: Callable[[str], bool]
    organisation_of: Callable[[str], Organisation | None]
    """Finds organisations that exist: the parent and all above it are among them."""
    today: date


def decide(
    known: Organisation | None, command: RegisterOrganisation, around: Surroundings
) -> Organisation | Unchanged | Faults:
    """The organisation as the command has it. What kind it is stays: a station never becomes a team."""
    said = Organisation(
        command.organisation_id,
        command.kind,
        command.name,
        command.unit,
        command.parent_id,
        command.since.isoformat(),
        known.version if known is not None else 0,
    )
    if said == known:
        return UNCHANGED
    faults = _faults_of(known, command, around)
    return faults or msgspec.structs.replace(said, version=said.version + 1)


def _faults_of(known: Organisation | None, command: RegisterOrganisation, around: Surroundings) -> Faults:
    faults: list[Fault] = []
    if known is not None and known.kind != command.kind:
        faults.append(Fault("kind", "organisation_kind_fixed"))
    if not around.unit_exists(command.unit):
        faults.append(Fault("unit", "unit_unknown"))
    if command.since > around.today + timedelta(days=AHEAD_DAYS_MAX):
        faults.append(Fault("since", "date_too_far_ahead"))
    if command.parent_id is not None:
        faults += _faults_of_parent(command.organisation_id, command.parent_id, around)
    return tuple(faults)


def _faults_of_parent(child: OrganisationId, parent: OrganisationId, around: Surroundings) -> Faults:
    if parent != child and around.organisation_of(parent) is None:
        return (Fault("parent_id", "organisation_parent_unknown"),)

    def parent_of(organisation: str) -> str | None:
        above = around.organisation_of(organisation)
        return above.parent_id if above is not None else None

    circular = makes_cycle(child, parent, parent_of)
    return (Fault("parent_id", "organisation_parent_circular"),) if circular else ()
