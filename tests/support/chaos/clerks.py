"""Registers people, changes them, counts rolls and founds teams, as clerks do all day."""

import random
from datetime import date, timedelta
from typing import Final

from tests.support.chaos.commands import Commands
from tests.support.chaos.record import CHANNELS
from tests.support.chaos.town import ORGANISATION_ROWS, TEAMS, UNIT_ROWS, UNITS, person_body, person_row

CLERKS: Final = len(UNITS)
"""One a unit. Each changes people that no other changes: no ETag is ever stale."""
IMPORTED_ROWS: Final = (5, 15)
ROLL_FROM: Final = date(2026, 1, 1)
ROLL_DAYS_MAX: Final = 300


class Clerks:
    """All clerks of a run."""

    def __init__(self, commands: Commands) -> None:
        self._commands = commands
        self._record = commands.record
        self._people = 0
        self._teams = 0
        self._rolls = [0] * CLERKS

    async def prepare(self, people: int) -> None:
        """What must be there before anybody can come."""
        await self._commands.take_list("registry", "units", UNIT_ROWS)
        await self._commands.take_list("registry", "organisations", ORGANISATION_ROWS)
        await self._commands.take_list("registry", "volunteers", self._new_people(people))
        for clerk in range(CLERKS):
            await self._count_roll(random.Random(clerk), clerk)

    async def work(self, rng: random.Random, clerk: int) -> None:
        """Does one thing."""
        works = (
            self._register_one,
            self._import,
            self._edit,
            self._edit,
            self._edit,
            self._count_roll,
            self._found_team,
        )
        await rng.choice(works)(rng, clerk)

    def _new_people(self, count: int) -> list[list[str]]:
        rows = [person_row(number) for number in range(self._people, self._people + count)]
        self._people += count
        return rows

    async def _import(self, rng: random.Random, _clerk: int) -> None:
        await self._commands.take_list("registry", "volunteers", self._new_people(rng.randint(*IMPORTED_ROWS)))

    async def _register_one(self, _rng: random.Random, _clerk: int) -> None:
        await self.register()

    async def register(self) -> None:
        """Registers somebody."""
        (row,) = self._new_people(1)
        ask = self._commands.asking.command
        answer = await self._commands.until_known(
            "register", lambda key: ask("/registry/v1/volunteers", person_body(row), key=key)
        )
        if answer is not None:
            self._record.took_people([row])
            self._record.ids[row[0]] = answer.json["volunteer_id"]

    async def _edit(self, rng: random.Random, clerk: int) -> None:
        mine = [row for row in self._record.channels if row.startswith(UNITS[clerk])]
        number = rng.choice(mine)
        path = f"/registry/v1/volunteers/{await self._commands.id_of(number)}"
        channel = rng.choice([each for each in CHANNELS if each != self._record.channels[number]])
        asking = self._commands.asking
        etag = (await asking.get(path)).headers["etag"]
        answer = await self._commands.until_known(
            "edit", lambda key: asking.command(path, {"channel": channel}, method="PATCH", key=key, if_match=etag)
        )
        if answer is not None:
            self._record.edited(number, channel)

    async def _count_roll(self, rng: random.Random, clerk: int) -> None:
        """A new count of the clerk's unit, each of a day later than the one before."""
        unit, as_of = UNITS[clerk], ROLL_FROM + timedelta(days=self._rolls[clerk] % ROLL_DAYS_MAX)
        if self._rolls[clerk] >= ROLL_DAYS_MAX:
            return
        self._rolls[clerk] += 1
        people = rng.randint(300, 600)
        body = {"as_of": as_of.isoformat(), "people": people}
        ask = self._commands.asking.command
        answer = await self._commands.until_known(
            "count roll", lambda key: ask(f"/registry/v1/units/{unit}/roll", body, method="PUT", key=key)
        )
        if answer is not None:
            self._record.took_roll(unit, as_of.isoformat(), people)

    async def _found_team(self, _rng: random.Random, clerk: int) -> None:
        unit, self._teams = UNITS[clerk], self._teams + 1
        number = f"{TEAMS[unit]}-{self._teams:03d}"
        body = {"organisation_id": number, "kind": "team", "name": "银龄队", "unit": unit, "since": "2024-05-01"}
        ask = self._commands.asking.command
        answer = await self._commands.until_known(
            "found team", lambda key: ask("/registry/v1/organisations", body, key=key)
        )
        if answer is not None:
            self._record.organisations.add(number)
