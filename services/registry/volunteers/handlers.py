"""Registers and edits volunteers, one or many at a time: load, decide, save."""

from collections.abc import Iterable, Sequence
from datetime import date
from typing import NamedTuple, TypeVar, assert_never

from services.contracts.ids import OrganisationKind, VolunteerId, VolunteerNumber, VolunteerState
from services.contracts.registry import VolunteerRegistered, VolunteerUpdated
from services.eventing.ports import Reads, Transaction
from services.registry.batches import CommandBatch
from services.registry.decisions import Fault, Faults, Unchanged, refusal_of
from services.registry.organisations.store import load_organisations
from services.registry.personal.rules import Personal
from services.registry.personal.sealing import Sealer, citizen_mark, fingerprint, personal_of
from services.registry.personal.vault import Vault
from services.registry.units.rules import exists
from services.registry.units.store import load_units
from services.registry.volunteers import store
from services.registry.volunteers.rules import (
    Changes,
    Marks,
    Profile,
    Surroundings,
    Volunteer,
    changed,
    decide_registration,
    decide_update,
)
from services.runtime.auth import Caller, outside_area
from services.runtime.commands import Command
from services.runtime.outcomes import Accepted, Outcome, Refusal


class Said(NamedTuple):
    """A profile with its marks, and the id its volunteer gets if new."""

    volunteer_id: VolunteerId
    profile: Profile
    marks: Marks


def said(vault: Vault, volunteer_id: str, profile: Profile) -> Said:
    """A profile ready to be decided on."""
    marks = Marks(citizen_mark(vault, profile.personal), fingerprint(vault, profile.personal))
    return Said(VolunteerId(volunteer_id), profile, marks)


class VolunteersBatch(CommandBatch[Said]):
    """The volunteers that some commands are about, and what decisions on them look at."""

    prepares = True

    def __init__(self, caller: Caller, today: date, sealer: Sealer) -> None:
        super().__init__()
        self._sealer = sealer
        self._known: dict[str, store.Stored] = {}
        self._numbers: dict[str, str | None] = {}
        self._citizens: dict[str, str | None] = {}
        self._units: dict[str, bool] = {}
        self._kinds: dict[str, OrganisationKind | None] = {}
        self._changes = _Changes()
        self._around = Surroundings(
            unit_exists=lambda unit: self._units[unit],
            kind_of=lambda organisation: self._kinds[organisation],
            holder_of=lambda mark: self._citizens[mark],
            covers=caller.covers,
            today=today,
        )

    async def load(self, reads: Reads, commands: Sequence[Said]) -> None:
        await self._load_places(reads, [each.profile for each in commands])
        numbers = {each.profile.number for each in commands} - self._numbers.keys()
        citizens = {each.marks.citizen for each in commands} - self._citizens.keys()
        claims = await store.load_claims(reads, sorted(numbers), sorted(citizens))
        self._numbers |= {number: claims.by_number.get(number) for number in numbers}
        self._citizens |= {mark: claims.by_citizen.get(mark) for mark in citizens}
        holders = set(claims.by_number.values()) - self._known.keys()
        self._known |= await store.load_volunteers(reads, sorted(holders))

    async def _load_places(self, reads: Reads, profiles: Iterable[Profile]) -> None:
        units: set[str] = set()
        teams: set[str] = set()
        for profile in profiles:
            units.add(profile.home_unit)
            teams.update(profile.teams)
        units -= self._units.keys()
        teams -= self._kinds.keys()
        found_units = await load_units(reads, sorted(units)) if units else {}
        self._units |= {unit: exists(found_units.get(unit)) for unit in units}
        found = await load_organisations(reads, sorted(teams)) if teams else {}
        self._kinds |= {team: found[team].kind if team in found else None for team in teams}

    def find(self, number: str) -> store.Stored | None:
        """The volunteer with a loaded number, as stored or changed by now."""
        holder = self._numbers[number]
        return None if holder is None else self._known[holder]

    def register(self, new: Said) -> Faults | None:
        """Registers somebody whose number nobody has; ``None`` when done."""
        if self._numbers[new.profile.number] is not None:
            return (Fault("number", "volunteer_number_taken"),)
        decided = decide_registration(new.volunteer_id, new.profile, new.marks, self._around)
        if not isinstance(decided, Volunteer):
            return decided
        self._numbers[decided.number] = self._citizens[decided.citizen] = decided.volunteer_id
        self._take(decided, new.profile.personal)
        self._changes.numbers[decided.number] = self._changes.citizens[decided.citizen] = decided.volunteer_id
        self.events.append(announced(VolunteerRegistered, decided))
        return None

    def update(self, new: Said, *, state: VolunteerState, corrects_id: bool) -> Faults | Unchanged | None:
        """Changes whoever has the number; ``None`` when that changed something."""
        stored = self.find(new.profile.number)
        assert stored is not None
        known = stored.volunteer
        decided = decide_update(known, new.profile, new.marks, self._around, state=state, corrects_id=corrects_id)
        match decided:
            case Volunteer():
                self._move_citizen(known, decided)
                self._take(decided, new.profile.personal)
                self.events.append(announced(VolunteerUpdated, decided))
                return None
            case Unchanged() | tuple():
                return decided
            case _:
                assert_never(decided)

    def enter(self, command: Said) -> Faults | Unchanged | None:
        """Registers somebody, or updates whoever has the number: what a line of a file means."""
        stored = self.find(command.profile.number)
        if stored is None:
            return self.register(command)
        return self.update(command, state=stored.volunteer.state, corrects_id=False)

    def _move_citizen(self, known: Volunteer, decided: Volunteer) -> None:
        if known.citizen != decided.citizen:
            self._citizens |= {known.citizen: None, decided.citizen: decided.volunteer_id}
            self._changes.given_up.append(known.citizen)
            self._changes.citizens[decided.citizen] = decided.volunteer_id

    def _take(self, volunteer: Volunteer, personal: Personal) -> None:
        # Sealed when saved: a rehearsal or a refused command needs no key.
        self._known[volunteer.volunteer_id] = store.Stored(volunteer, {})
        self._changes.personal[volunteer.volunteer_id] = (volunteer.fingerprint, personal)

    async def prepare(self) -> None:
        """Has what changed sealed ahead of the transaction that saves it, so that this is short."""
        await self._sealer.seal(self._changes.personal)

    async def save(self, tx: Transaction) -> None:
        changes = self._changes
        sealed = await self._sealer.seal(changes.personal)
        await store.take_claims(tx, changes.numbers, changes.citizens)
        await store.give_up_citizens(tx, changes.given_up)
        people = [store.Stored(self._known[each].volunteer, sealed[each]) for each in changes.personal]
        await store.save_volunteers(tx, people)


async def register(tx: Transaction, command: Command, new: Said, today: date, sealer: Sealer) -> Outcome:
    """Registers one volunteer over HTTP."""
    batch = VolunteersBatch(command.caller, today, sealer)
    await batch.load(tx, [new])
    faults = batch.register(new)
    if faults is not None:
        return refusal_of(faults)
    await batch.save(tx)
    return Accepted(
        {"volunteer_id": new.volunteer_id, "version": 1},
        [command.fact(event) for event in batch.events],
        status=201,
        etag="1",
        location=f"/v1/volunteers/{new.volunteer_id}",
    )


async def edit(
    tx: Transaction, command: Command, volunteer_id: str, changes: Changes, today: date, vault: Vault, sealer: Sealer
) -> Outcome:
    """Changes one volunteer over HTTP, if nobody else has since the editor looked."""
    stored = await store.get_volunteer(tx, volunteer_id)
    if stored is None:
        return Refusal("volunteer_unknown")
    known = stored.volunteer
    if not command.caller.covers(known.home_unit):
        return outside_area(command.caller, known.home_unit)
    if (unmatched := command.unmatched(str(known.version))) is not None:
        return unmatched
    personal = await opened(vault, stored)
    if personal is None:
        return Refusal("volunteer_erased")
    profile, state = changed(known, personal, changes)
    new = said(vault, volunteer_id, profile)
    batch = VolunteersBatch(command.caller, today, sealer)
    await batch.load(tx, [new])
    result = batch.update(new, state=state, corrects_id=True)
    if isinstance(result, tuple):
        return refusal_of(result)
    await batch.save(tx)
    version = known.version if result is not None else known.version + 1
    body = {"volunteer_id": volunteer_id, "version": version, "changed": result is None}
    return Accepted(body, [command.fact(event) for event in batch.events], etag=str(version))


async def opened(vault: Vault, stored: store.Stored) -> Personal | None:
    """A volunteer's own data; ``None`` once the key is destroyed."""
    return (await open_all(vault, [stored])).get(stored.volunteer.volunteer_id)


async def open_all(vault: Vault, people: Sequence[store.Stored]) -> dict[str, Personal]:
    """The own data of volunteers, by id; without those whose key is destroyed."""
    if not people:
        return {}
    values = await vault.open({stored.volunteer.volunteer_id: stored.sealed for stored in people})
    return {volunteer: personal_of(each) for volunteer, each in values.items()}


class _Changes:
    """What a batch is to write."""

    def __init__(self) -> None:
        self.personal: dict[str, tuple[str, Personal]] = {}
        self.numbers: dict[VolunteerNumber, VolunteerId] = {}
        self.citizens: dict[str, VolunteerId] = {}
        self.given_up: list[str] = []


E = TypeVar("E", VolunteerRegistered, VolunteerUpdated)


def announced(event: type[E], volunteer: Volunteer) -> E:
    """The event that tells others of a volunteer as they are now; nothing personal is in it."""
    return event(
        volunteer_id=volunteer.volunteer_id,
        number=volunteer.number,
        home_unit=volunteer.home_unit,
        retired_cadre=volunteer.retired_cadre,
        age_band=volunteer.age_band,
        channel=volunteer.channel,
        registered_on=date.fromisoformat(volunteer.registered_on),
        state=volunteer.state,
        teams=volunteer.teams,
    )
