"""Enters organisations, one or many at a time: load, decide, save."""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from datetime import date
from typing import assert_never

from services.contracts.registry import OrganisationRegistered
from services.eventing.ports import Reads, Transaction
from services.registry.batches import CommandBatch
from services.registry.decisions import Fault, Faults, Unchanged, refusal_of
from services.registry.organisations import store
from services.registry.organisations.rules import Organisation, RegisterOrganisation, Surroundings, decide
from services.registry.trees import LEVELS_MAX
from services.registry.units.rules import exists
from services.registry.units.store import load_units
from services.runtime.auth import Caller
from services.runtime.commands import Command
from services.runtime.outcomes import Accepted, Outcome, Refusal


class OrganisationsBatch(CommandBatch[RegisterOrganisation]):
    """The organisations that some commands are about, with all above them, as the commands change them."""

    def __init__(self, caller: Caller, today: date) -> None:
        super().__init__()
        self._caller = caller
        self._known: dict[str, Organisation | None] = {}
        self._units: dict[str, bool] = {}
        self._changed: dict[str, None] = {}
        self._around = Surroundings(lambda unit: self._units[unit], self._known.get, today)

    def find(self, organisation: str) -> Organisation | None:
        """A loaded organisation as it is by now."""
        return self._known[organisation]

    async def load(self, reads: Reads, commands: Sequence[RegisterOrganisation]) -> None:
        wanted: set[str] = set()
        units: set[str] = set()
        for command in commands:
            wanted |= {command.organisation_id, command.parent_id or command.organisation_id}
            units.add(command.unit)
        units -= self._units.keys()
        found = await load_units(reads, sorted(units))
        self._units |= {unit: exists(found.get(unit)) for unit in units}
        await self._load_upwards(reads, wanted - self._known.keys())

    async def _load_upwards(self, reads: Reads, wanted: AbstractSet[str]) -> None:
        for _ in range(LEVELS_MAX):
            if not wanted:
                return
            found = await store.load_organisations(reads, sorted(wanted))
            self._known |= {organisation: found.get(organisation) for organisation in wanted}
            wanted = {each.parent_id for each in found.values() if each.parent_id is not None} - self._known.keys()

    def enter(self, command: RegisterOrganisation) -> Faults | Unchanged | None:
        known = self._known[command.organisation_id]
        if known is not None and not self._caller.covers(known.unit):
            return (Fault("organisation_id", "outside_area"),)
        if not self._caller.covers(command.unit):
            return (Fault("unit", "outside_area"),)
        decided = decide(known, command, self._around)
        match decided:
            case Organisation():
                self._known[command.organisation_id] = decided
                self._changed[command.organisation_id] = None
                self.events.append(announced(decided, command.since))
                return None
            case Unchanged() | tuple():
                return decided
            case _:
                assert_never(decided)

    async def save(self, tx: Transaction) -> None:
        changed = (self._known[organisation] for organisation in self._changed)
        await store.save_organisations(tx, [each for each in changed if each is not None])


def announced(organisation: Organisation, since: date) -> OrganisationRegistered:
    """The event that tells others of an organisation as it is now."""
    return OrganisationRegistered(
        organisation_id=organisation.organisation_id,
        kind=organisation.kind,
        name=organisation.name,
        unit=organisation.unit,
        parent_id=organisation.parent_id,
        since=since,
    )


async def register(tx: Transaction, command: Command, asked: RegisterOrganisation, today: date) -> Outcome:
    """Enters a new organisation over HTTP."""
    batch = OrganisationsBatch(command.caller, today)
    await batch.load(tx, [asked])
    if batch.find(asked.organisation_id) is not None:
        return Refusal("organisation_exists")
    result = batch.enter(asked)
    if isinstance(result, tuple):
        return refusal_of(result)
    await batch.save(tx)
    return Accepted(
        {"organisation_id": asked.organisation_id, "version": 1},
        [command.fact(event) for event in batch.events],
        status=201,
        etag="1",
        location=f"/v1/organisations/{asked.organisation_id}",
    )
