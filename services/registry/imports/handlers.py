"""Takes in the rows of a list, a chunk at a time: load, decide row by row, save once."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import date
from typing import Generic, NamedTuple, TypeVar

import msgspec

from services.eventing.ports import Ids, Reads, Transaction
from services.registry.batches import CommandBatch
from services.registry.decisions import Faults, Unchanged
from services.registry.imports.rules import (
    ORGANISATIONS,
    ROLL,
    UNITS,
    VOLUNTEERS,
    Faulty,
    Row,
    Sheet,
    arranged,
)
from services.registry.imports.sheets import read_lines
from services.registry.organisations.handlers import OrganisationsBatch
from services.registry.organisations.rules import RegisterOrganisation
from services.registry.personal.sealing import Sealer
from services.registry.personal.vault import Vault
from services.registry.units.handlers import UnitsBatch
from services.registry.units.rules import RecordRoll, RegisterUnit
from services.registry.volunteers.handlers import Said, VolunteersBatch, said
from services.registry.volunteers.rules import Profile
from services.runtime.auth import Caller
from services.runtime.cells import CellError
from services.runtime.commands import Command
from services.runtime.lists import Tally, in_chunks
from services.runtime.outcomes import Accepted, Outcome
from services.runtime.sheets import Line

CHUNK_ROWS_MAX = 500
"""Rows of one transaction: with an event each they fill an outbox document that is still small."""
SLICE_ROWS = 200
"""Rows read between two turns of the loop, so that a large file holds nobody up."""

R = TypeVar("R")
C = TypeVar("C")

Read = Row[R] | Faulty


class Import(NamedTuple, Generic[R, C]):
    """One list on its way in: its sheet, how a row becomes a command, and how a batch of those begins."""

    sheet: Sheet[R]
    command_of: Callable[[R], C]
    begin: Callable[[], CommandBatch[C]]


def _as_is(row: R) -> R:
    return row


def units_import(caller: Caller, today: date) -> Import[RegisterUnit, RegisterUnit | RecordRoll]:
    """The area table."""
    return Import(UNITS, _as_is, lambda: UnitsBatch(caller, today))


def roll_import(caller: Caller, today: date) -> Import[RecordRoll, RegisterUnit | RecordRoll]:
    """The roll of retired cadres."""
    return Import(ROLL, _as_is, lambda: UnitsBatch(caller, today))


def organisations_import(caller: Caller, today: date) -> Import[RegisterOrganisation, RegisterOrganisation]:
    """Departments, branches, stations, teams, brands."""
    return Import(ORGANISATIONS, _as_is, lambda: OrganisationsBatch(caller, today))


def volunteers_import(caller: Caller, today: date, vault: Vault, ids: Ids) -> Import[Profile, Said]:
    """Volunteers. Each number keeps the id, marks and sealed values it is once given, whatever is tried again."""
    sealer = Sealer(vault)
    known: dict[str, Said] = {}

    def command_of(profile: Profile) -> Said:
        if profile.number not in known:
            known[profile.number] = said(vault, ids.new(), profile)
        return known[profile.number]

    return Import(VOLUNTEERS, command_of, lambda: VolunteersBatch(caller, today, sealer))


async def read_chunks(sheet: Sheet[R], raw: bytes) -> list[Sequence[Read[R]]]:
    """The rows of a file, read and arranged, in chunks that are the same whenever the same file comes again.

    Raises ``SheetError``.
    """
    lines: list[Line] = []
    for line in read_lines(raw, sheet.columns):
        lines.append(line)
        if len(lines) % SLICE_ROWS == 0:
            await asyncio.sleep(0)
    rows: list[Read[R]] = []
    for start in range(0, len(lines), SLICE_ROWS):
        rows += [sheet.read_line(line) for line in lines[start : start + SLICE_ROWS]]
        await asyncio.sleep(0)
    return in_chunks(arranged(sheet, rows), CHUNK_ROWS_MAX)


async def decide_rows(reads: Reads, what: Import[R, C], batch: CommandBatch[C], rows: Sequence[Read[R]]) -> Tally:
    """Takes rows into a batch, nothing into the store."""
    commands = [what.command_of(row.said) for row in rows if isinstance(row, Row)]
    await batch.load(reads, commands)
    decided = iter(commands)
    tally = Tally(rows=len(rows))
    for row in rows:
        result = row.faults if isinstance(row, Faulty) else batch.enter(next(decided))
        _count(tally, what.sheet, row.row, result)
    assert tally.rows == tally.accepted + tally.unchanged + tally.refused
    return tally


def _count(tally: Tally, sheet: Sheet[R], row: int, result: Faults | Unchanged | None) -> None:
    if result is None:
        tally.accepted += 1
    elif isinstance(result, Unchanged):
        tally.unchanged += 1
    else:
        tally.refused += 1
        tally.errors += [CellError(row, sheet.columns[fault.field], fault.code) for fault in result]


async def rehearse(reads: Reads, what: Import[R, C], chunks: Sequence[Sequence[Read[R]]]) -> Tally:
    """What would become of a file; a chunk finds what those before it would have left."""
    batch, whole = what.begin(), Tally()
    for chunk in chunks:
        whole.add(await decide_rows(reads, what, batch, chunk))
        await asyncio.sleep(0)
    return whole


async def prepare_chunk(reads: Reads, what: Import[R, C], chunk: Sequence[Read[R]]) -> None:
    """Does ahead of the transaction what takes long: by all we know now, this is what it will ask for."""
    batch = what.begin()
    if batch.prepares:
        await decide_rows(reads, what, batch, chunk)
        await batch.prepare()


async def take_in(tx: Transaction, command: Command, what: Import[R, C], chunk: Sequence[Read[R]]) -> Outcome:
    """Writes and announces what the rows of one chunk change; answers with their tally."""
    batch = what.begin()
    tally = await decide_rows(tx, what, batch, chunk)
    await batch.save(tx)
    return Accepted(msgspec.to_builtins(tally), [command.fact(event) for event in batch.events])
