"""Enters units and rolls, one or many at a time: load, decide, save."""

from collections.abc import Iterable
from datetime import date

from services.contracts.event import Event
from services.contracts.ids import UnitCode
from services.contracts.registry import RollRecorded, UnitRegistered
from services.eventing.ports import Reads, Transaction
from services.registry.decisions import Fault, Faults, Unchanged
from services.registry.trees import LEVELS_MAX
from services.registry.units import store
from services.registry.units.rules import (
    RecordRoll,
    RegisterUnit,
    Unit,
    decide_roll,
    decide_unit,
)
from services.runtime.auth import Caller


class UnitsBatch:
    """The units that some commands are about, with all above them, as the commands change them."""

    def __init__(self, caller: Caller, today: date) -> None:
        self._caller = caller
        self._today = today
        self._units: dict[str, Unit | None] = {}
        self._changed: dict[str, None] = {}
        self.events: list[Event] = []

    def find(self, code: str) -> Unit | None:
        """A loaded unit as it is by now."""
        return self._units[code]

    async def load(self, reads: Reads, codes: Iterable[str | None]) -> None:
        """Loads units and whatever is above them; what was loaded or changed before stays as it is."""
        wanted = {code for code in codes if code is not None} - self._units.keys()
        for _ in range(LEVELS_MAX):
            if not wanted:
                return
            found = await store.load_units(reads, sorted(wanted))
            self._units |= {code: found.get(code) for code in wanted}
            above = {unit.last.parent for unit in found.values() if unit.rows}
            wanted = {code for code in above if code is not None} - self._units.keys()

    def register(self, command: RegisterUnit) -> Faults | Unchanged | None:
        """Enters a unit's row; ``None`` when that changed it."""
        if not self._caller.covers(command.unit):
            return (Fault("unit", "outside_area"),)
        decided = decide_unit(self._units[command.unit], command, self._units.get, self._today)
        event = UnitRegistered(
            unit=command.unit,
            system=command.system,
            name=command.name,
            parent=command.parent,
            valid_from=command.valid_from,
        )
        return self._take(command.unit, decided, event)

    def record_roll(self, command: RecordRoll) -> Faults | Unchanged | None:
        """Records a unit's count; ``None`` when that changed it."""
        if not self._caller.covers(command.unit):
            return (Fault("unit", "outside_area"),)
        decided = decide_roll(self._units[command.unit], command, self._today)
        event = RollRecorded(unit=command.unit, as_of=command.as_of, people=command.people)
        return self._take(command.unit, decided, event)

    def _take(self, code: UnitCode, decided: Unit | Unchanged | Fault, event: Event) -> Faults | Unchanged | None:
        match decided:
            case Fault():
                return (decided,)
            case Unchanged():
                return decided
            case Unit():
                self._units[code] = decided
                self._changed[code] = None
                self.events.append(event)
                return None

    async def save(self, tx: Transaction) -> None:
        """Writes what changed."""
        changed = (self._units[code] for code in self._changed)
        await store.save_units(tx, [unit for unit in changed if unit is not None])
