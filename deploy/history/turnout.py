"""Decides who came to each session of a month."""

import random
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from deploy.history.people import Crowd, Person
from deploy.history.programme import Session
from deploy.history.seasons import day_of

GUEST_SHARE: Final = 0.03
"""People from another unit of the city; they count at home."""
OVERLAP_DRAW_SHARE: Final = 0.035
"""Draws from people of a session that is still running, if one is; so that 1 % of attendances overlap another."""
NO_SHOW_SHARE: Final = 0.06
DRAWS_PER_PLACE_MAX: Final = 12


class Attendance(NamedTuple):
    """One person who meant to be at one session; ``came`` is false for a no-show."""

    session: Session
    person: Person
    came: bool


class Turnout:
    """Fills a unit's sessions in order of their start; keeps each person to one session at a time, but for a few."""

    def __init__(self, rng: random.Random, unit: str, crowds: Mapping[str, Crowd]) -> None:
        self._rng = rng
        self._unit = unit
        self._crowds = crowds
        self._neighbours = [code for code in crowds if code != unit]
        self._running: list[tuple[Session, list[Person]]] = []

    def fill(self, sessions: Iterable[Session], busy: dict[str, list[tuple[int, int]]]) -> list[Attendance]:
        """Who came and who did not, session by session.

        ``busy`` holds each person's windows of this month in the whole city and is added to.
        """
        came = []
        for session in sessions:
            people = self._people(session, busy)
            for person in people:
                busy.setdefault(person.number, []).append((session.starts_s, session.ends_s))
            came += [Attendance(session, person, self._rng.random() >= NO_SHOW_SHARE) for person in people]
        return came

    def _people(self, session: Session, busy: Mapping[str, Sequence[tuple[int, int]]]) -> list[Person]:
        rng = self._rng
        self._running = [(other, people) for other, people in self._running if other.ends_s > session.starts_s]
        day = day_of(session.starts_s)
        ready = {code: crowd.ready(day) for code, crowd in self._crowds.items()}
        chosen: dict[str, Person] = {}
        for _ in range(session.people * DRAWS_PER_PLACE_MAX):
            if len(chosen) == session.people:
                break
            torn = self._running and rng.random() < OVERLAP_DRAW_SHARE
            person = self._from_running() if torn else self._drawn(ready)
            if person is None or person.number in chosen:
                continue
            if torn or not _is_busy(busy.get(person.number, ()), session):
                chosen[person.number] = person
        people = list(chosen.values())
        self._running.append((session, people))
        return people

    def _from_running(self) -> Person | None:
        _, people = self._rng.choice(self._running)
        return self._rng.choice(people) if people else None

    def _drawn(self, ready: Mapping[str, int]) -> Person | None:
        rng = self._rng
        is_guest = rng.random() < GUEST_SHARE and self._neighbours
        unit = rng.choice(self._neighbours) if is_guest else self._unit
        return self._crowds[unit].draw(rng, ready[unit]) if ready[unit] else None


def _is_busy(windows: Sequence[tuple[int, int]], session: Session) -> bool:
    return any(starts < session.ends_s and session.starts_s < ends for starts, ends in windows)
