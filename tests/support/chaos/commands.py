"""Gets commands and lists accepted, however often they have to be sent, and records what was acknowledged."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Final

from tests.support.chaos.asking import Answer, Asking
from tests.support.chaos.record import Record
from tests.support.simulation.asking import LAGGING
from tests.support.simulation.city_clients import CSV_HEADERS

ASK_AGAIN_S: Final = 0.5
ASK_AGAIN_MAX: Final = 400
AGAIN: Final = 0.1
"""The share of answered commands that are sent once more with the same key."""
EXPECTED: Final = frozenset({"session_full", "overlapping_sign_up"})
"""What the people of this load may be refused for, for good."""
HEADER_ROW: Final = 1


class NeverKnownError(Exception):
    """What was acknowledged long ago has not reached the service that needs it."""


class Commands:
    """What all clients of a run share."""

    def __init__(self, asking: Asking, record: Record, rng: random.Random) -> None:
        self.asking = asking
        self.record = record
        self._rng = rng
        self._keys = 0

    def key(self) -> str:
        """An idempotency key that was not used yet."""
        self._keys += 1
        return f"chaos-{self._keys}"

    async def until_known(self, what: str, ask: Callable[[str], Awaitable[Answer]]) -> Answer | None:
        """Asks with one key after the other as long as the refusal only says that a copy is behind, or a code old.

        Gives the answer of a command that was accepted, nothing for one that was refused for good.
        """
        for _ in range(ASK_AGAIN_MAX):
            key = self.key()
            answer = await ask(key)
            if answer.is_accepted:
                self.record.accepted[what] += 1
                if self._rng.random() < AGAIN:
                    self._compare(what, answer, await ask(key))
                return answer
            self.record.refused[answer.code] += 1
            if answer.code not in LAGGING:
                if answer.code not in EXPECTED:
                    self.record.wrong.append(f"answer: {answer.status} {answer.code} to {what}")
                return None
            await asyncio.sleep(ASK_AGAIN_S)
        raise NeverKnownError(f"{what}: {self.record.refused}")

    def _compare(self, what: str, first: Answer, second: Answer) -> None:
        if (first.status, first.content) != (second.status, second.content):
            self.record.wrong.append(f"replay: {what} was answered {second.status}, before {first.status}")

    async def take_list(self, service: str, name: str, rows: list[list[str]]) -> None:
        """Sends a list; the rows that only came too early are sent again, as another list."""
        for _ in range(ASK_AGAIN_MAX):
            text = "\n".join([CSV_HEADERS[name], *(",".join(row) for row in rows)]) + "\n"
            answer = await self.asking.command(f"/{service}/v1/imports/{name}", text, key=self.key())
            codes = {each["code"] for each in answer.json["errors"]} if answer.is_accepted else {answer.code}
            if surprising := codes - LAGGING:
                self.record.wrong.append(f"answer: {surprising} to a list of {name}")
                return
            early = {error["row"] - HEADER_ROW - 1 for error in answer.json["errors"]}
            self._took(name, [row for place, row in enumerate(rows) if place not in early])
            rows = [rows[place] for place in sorted(early)]
            if not rows:
                return
            await asyncio.sleep(ASK_AGAIN_S)
        raise NeverKnownError(f"a list of {name}")

    def _took(self, name: str, rows: list[list[str]]) -> None:
        self.record.accepted[f"row of {name}"] += len(rows)
        if name == "volunteers":
            self.record.took_people(rows)
            return
        self.record.model.took_list(name, rows)
        if name == "organisations":
            self.record.organisations.update(row[0] for row in rows)

    async def id_of(self, number: str) -> str:
        """A volunteer's id by the number on the card."""
        if number not in self.record.ids:
            page = await self.asking.read("/registry/v1/volunteers", number=number)
            self.record.ids[number] = page["items"][0]["volunteer_id"]
        return self.record.ids[number]
