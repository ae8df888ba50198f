"""Enters units and rolls, one or many at a time: load, decide, save."""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from datetime import date
from typing import assert_never

from services.contracts.event import Event
from services.contracts.registry import RollRecorded, UnitRegistered
from services.eventing.ports import Reads, Transaction
from services.registry.batches import CommandBatch
from services.registry.decisions import Fault, Faults, Unchanged, refusal_of
from services.registry.trees import LEVELS_MAX
from services.registry.units import store
from services.registry.units.rules import (
    RecordRoll,
    RegisterUnit,
    Unit,
    decide_roll,
    decide_unit,
    replaces,
)
from services.runtime.auth import Caller
from services.runtime.commands import Command
from services.runtime.outcomes import Accepted, Outcome


class UnitsBatch(CommandBatch[RegisterUnit | RecordRoll]):
    """The units that some commands are about, with all above them, as the commands change them."""

    def __init__(self, caller: Caller, today: date) -> None:
        super().__init__()
        self._caller = caller
        self._today = today
        self._units: dict[str, Unit | None] = {}
        self._changed: dict[str, None] = {}

    def find(self, code: str) -> Unit | None:
        """A loaded unit as it is by now."""
        return self._units[code]

    async def load(self, reads: Reads, commands: Sequence[RegisterUnit | RecordRoll]) -> None:
        wanted: AbstractSet[str] = {code for command in commands for code in _named(command)} - self._units.keys()
        for _ in range(LEVELS_MAX):
            if not wanted:
                return
            found = await store.load_units(reads, sorted(wanted))
            self._units |= {code: found.get(code) for code in wanted}
            above = {unit.last.parent for unit in found.values() if unit.rows}
            wanted = {code for code in above if code is not None} - self._units.keys()

    def enter(self, command: RegisterUnit | RecordRoll) -> Faults | Unchanged | None:
        if not self._caller.covers(command.unit):
            return (Fault("unit", "outside_area"),)
        known = self._units[command.unit]
        match command:
            case RegisterUnit():
                decided = decide_unit(known, command, self._units.get, self._today)
            case RecordRoll():
                decided = decide_roll(known, command, self._today)
            case _:
                assert_never(command)
        match decided:
            case Fault():
                return (decided,)
            case Unchanged():
                return decided
            case Unit():
                self._units[command.unit] = decided
                self._changed[command.unit] = None
                self.events.append(announced(command))
                return None
            case _:
                assert_never(decided)

    async def save(self, tx: Transaction) -> None:
        changed = (self._units[code] for code in self._changed)
        await store.save_units(tx, [unit for unit in changed if unit is not None])


def _named(command: RegisterUnit | RecordRoll) -> list[str]:
    """The units that a command names."""
    parent = command.parent if isinstance(command, RegisterUnit) else None
    return [command.unit] if parent is None else [command.unit, parent]


def announced(command: RegisterUnit | RecordRoll) -> Event:
    """The event of a command that was accepted: it says what the command said."""
    match command:
        case RegisterUnit():
            return UnitRegistered(
                unit=command.unit,
                system=command.system,
                name=command.name,
                parent=command.parent,
                valid_from=command.valid_from,
            )
        case RecordRoll():
            return RollRecorded(unit=command.unit, as_of=command.as_of, people=command.people)
        case _:
            assert_never(command)


async def edit_unit(tx: Transaction, command: Command, asked: RegisterUnit | RecordRoll, today: date) -> Outcome:
    """One edit of a unit over HTTP. What is there already is replaced only if the editor has seen it."""
    batch = UnitsBatch(command.caller, today)
    await batch.load(tx, [asked])
    before = batch.find(asked.unit)
    result = batch.enter(asked)
    if isinstance(result, tuple):
        return refusal_of(result)
    # A unit that is not there yet has the version 0.
    seen = command.unmatched(str(before.version if before is not None else 0))
    if result is None and seen is not None and (replaces(before, asked) or command.if_match is not None):
        return seen
    await batch.save(tx)
    after = batch.find(asked.unit)
    assert after is not None
    body = {"unit": after.code, "version": after.version, "changed": result is None}
    return Accepted(body, [command.fact(event) for event in batch.events], etag=str(after.version))
