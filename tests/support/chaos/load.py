"""Keeps the platform busy through all its doors for as long as it takes, one wave of sessions after the other."""

import asyncio
import random
from collections import deque
from collections.abc import Callable
from datetime import datetime
from typing import Final

from tests.support.chaos.clerks import CLERKS, Clerks
from tests.support.chaos.commands import Commands
from tests.support.chaos.town import KEY_FIELDS, Purpose, programme, real_now
from tests.support.chaos.visits import Visit, Visits

COMMANDS_A_SECOND: Final = 20.0
PEOPLE_FIRST: Final = 200
VISITORS: Final = 16
"""Clients that carry out visits at a time; one that waits for an answer does nothing else."""
TIMES_AS_MUCH: Final = 50
"""Of its pace, when it presses: a thousand commands a second."""
CLIENTS_MORE: Final = 48
GUESTS: Final[dict[Purpose, int]] = {"now": 45, "past": 25, "old": 12, "night": 12}
"""People who come to each session of a purpose."""


class Load:
    """All clients of one run."""

    def __init__(self, commands: Commands, rng: random.Random, now: Callable[[], datetime] = real_now) -> None:
        self._commands = commands
        self._clerks = Clerks(commands)
        self._visits = Visits(commands, now)
        self._rng = rng
        self._now = now
        self._waiting: deque[Visit] = deque()
        self._planning = asyncio.Lock()
        self._waves = 0
        self._stop = asyncio.Event()

    async def press(self, seconds: float) -> None:
        """Asks more than the platform can do for a while, with many more clients; returns when all are answered."""
        pace, clock = self._commands.asking.pace, asyncio.get_running_loop().time
        before, end = pace.a_second, clock() + seconds
        pace.a_second = before * TIMES_AS_MUCH

        async def register() -> None:
            while clock() < end:
                await self._clerks.register()

        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(CLIENTS_MORE):
                    group.create_task(register())
        finally:
            pace.a_second = before

    async def prepare(self, people: int = PEOPLE_FIRST) -> None:
        """What must be there before anybody can come."""
        await self._clerks.prepare(people)
        await self._plan()

    async def run(self) -> None:
        """Works until ``finish`` is called, then ends what was begun."""
        async with asyncio.TaskGroup() as group:
            for _ in range(VISITORS):
                group.create_task(self._visit())
            for clerk in range(CLERKS):
                group.create_task(self._keep_registry(clerk, random.Random(self._rng.getrandbits(64))))

    def finish(self) -> None:
        """Lets nothing new begin."""
        self._stop.set()

    async def _visit(self) -> None:
        while not self._stop.is_set():
            visit = await self._next()
            await visit.door(visit)

    async def _keep_registry(self, clerk: int, rng: random.Random) -> None:
        while not self._stop.is_set():
            await self._clerks.work(rng, clerk)

    async def _next(self) -> Visit:
        async with self._planning:
            while not self._waiting:
                await self._plan()
            return self._waiting.popleft()

    async def _plan(self) -> None:
        """Publishes another wave of sessions and says who comes, by which door."""
        rng, self._waves = random.Random(self._rng.getrandbits(64)), self._waves + 1
        places = programme(self._waves, self._now(), rng)
        await self._commands.take_list(
            "activities", "activities", [place.row(rng.choice(KEY_FIELDS)) for place in places]
        )
        known = list(self._commands.record.model.inputs.volunteers)
        visits = []
        for place in places:
            visits += self._visits.plan(place, rng.sample(known, min(GUESTS[place.purpose], len(known))), rng)
        rng.shuffle(visits)
        self._waiting.extend(visits)
