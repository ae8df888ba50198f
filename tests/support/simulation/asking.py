"""Asks the services as their clients do: any process, with one key, until there is an answer for good."""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Final

from tests.support.asgi import PROBLEM_JSON, Answer, call
from tests.support.simulation.plan import Command
from tests.support.simulation.platform_apis import app_of, headers_of
from tests.support.simulation.world import TRY_AGAIN_S, Life, Unanswered, World

LAGGING: Final = frozenset(
    {
        "volunteer_unknown",
        "organisation_unknown",
        "unit_unknown",
        "station_unknown",
        "brand_unknown",
        "organisation_parent_unknown",
        "unit_parent_unknown",
        "team_unknown",
        "code_invalid",
    }
)
"""What is refused as long as a copy is behind or a code is old: clients ask again, as another command."""
ASK_AGAIN_S: Final = 1.0
ASK_AGAIN_MAX: Final = 90
ONCE_MORE: Final = 0.15
OK: Final = frozenset({200, 201})
BUSY: Final = frozenset({503, 504})
BROKEN: Final = 500
PEOPLES_FAULTS: Final = frozenset(
    {
        "time_before_window",
        "time_after_window",
        "time_in_future",
        "already_checked_in",
        "not_checked_in",
        "already_checked_out",
        "check_out_before_check_in",
        "volunteer_not_active",
        "session_full",
        "session_closed",
        "overlapping_sign_up",
        "already_signed_up",
        "second_person_required",
        "code_already_used",
        "etag_mismatch",
    }
)
"""What a client of this city may be refused for; any other refusal is a surprise."""


class Asking:
    """What every client of a world can do."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def ask(
        self,
        service: str,
        method: str,
        path: str,
        *,
        key: str | None = None,
        body: Any = None,
        subject: str = "clerk",
        content_type: str = "application/json",
        if_match: str | None = None,
    ) -> Answer:
        """One command or question, until it is answered for good: with one key, by whichever process answers."""
        headers = {**headers_of(subject), "content-type": content_type}
        if key is not None:
            headers["idempotency-key"] = key
        if if_match is not None:
            headers["if-match"] = if_match
        turn = hashlib.sha256(f"{key}{path}".encode()).digest()[0]
        while True:
            turn += 1

            async def serve(life: Life) -> Answer:
                return await call(app_of(service), method, path, headers=headers, body=body)

            try:
                answer: Answer = await self._world.ask(f"{service}.api{turn % 2}", serve)
            except Unanswered:
                continue
            if answer.status == BROKEN:
                self._world.fail("internal_error", f"{method} {path}")
            if answer.status not in BUSY:
                return answer
            await asyncio.sleep(TRY_AGAIN_S)

    async def _asked_again(self, first: Answer, again: Callable[[], Awaitable[Answer]]) -> None:
        """Now and then a client asks once more with the same key, and must be told the same."""
        if self._world.loop.rng.random() < ONCE_MORE:
            second = await again()
            same = (second.status, second.body) == (first.status, first.body)
            if not same or second.headers.get("idempotency-replayed") != "true":
                self._world.fail("not_repeated", f"{first.status} {first.body!r}, then {second.status} {second.body!r}")

    async def get(self, service: str, path: str, subject: str = "clerk") -> Any:
        """What a question that must have an answer is answered."""
        return (await self._read(service, path, subject)).json

    async def _read(self, service: str, path: str, subject: str = "clerk") -> Answer:
        """The answer to a question that must have one.

        What one process has acknowledged, another may not see yet while a new primary is behind: asked once more.
        """
        answer = await self.ask(service, "GET", path, subject=subject)
        if answer.status not in OK:
            await asyncio.sleep(ASK_AGAIN_S)
            answer = await self.ask(service, "GET", path, subject=subject)
        if answer.status not in OK:
            self._world.fail("answer", f"{answer.status} to {path}: {answer.body!r}")
        return answer

    async def _until_known(
        self, command: Command, attempt: Callable[[str], Awaitable[Answer]], *, repeatable: bool = True
    ) -> Answer:
        """Asks with one key after the other as long as the refusal only says that a copy is behind.

        ``repeatable``: an attempt with the same key sends the same bytes.
        """
        for number in range(ASK_AGAIN_MAX):
            key = f"{command.id}.{number}"
            answer = await attempt(key)
            if repeatable:
                await self._asked_again(answer, partial(attempt, key))
            if answer.headers.get("content-type") != PROBLEM_JSON:
                return answer
            if answer.code not in LAGGING:
                if answer.code not in PEOPLES_FAULTS:
                    self._world.fail("answer", f"{answer.code} to {command}")
                self._world.coverage[f"refused_{answer.code}"] += 1
                return answer
            await asyncio.sleep(ASK_AGAIN_S)
        self._world.fail("never_known", str(command))
        raise AssertionError("the run has ended")
