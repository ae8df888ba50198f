"""Makes the entries that clerks type in afterwards, and the one case of bought hours."""

from collections.abc import Iterable, Sequence
from datetime import date, timedelta
from itertools import combinations
from typing import Any, Final, NamedTuple

from deploy.history.programme import Session
from deploy.history.seasons import at, day_of, local_text
from deploy.history.streams import stream
from deploy.history.turnout import Attendance

SHARE: Final = 0.021
SHARE_IN: Final = {"340826": 0.15}
"""One county types in so much more than the others that it is 3 % of all."""
DAYS_AFTER: Final = (1, 20)
PROPOSED_HOUR: Final = 10
APPROVED_HOUR: Final = 11

BOUGHT_IN: Final = date(2026, 8, 1)
BOUGHT_ON: Final = date(2026, 8, 20)
BOUGHT_UNIT: Final = "340826"
BOUGHT_MINUTES: Final = 300
BOUGHT_SESSIONS: Final = 3
BOUGHT_AT: Final = (16, 0)
BOUGHT_STEP_S: Final = 50
"""Three entries in under two minutes."""


class Entry(NamedTuple):
    """One entry, proposed by a clerk and approved by a second; ``tried_alone``: the first tries to approve it, too."""

    proposed_s: int
    approved_s: int
    session: Session
    number: str
    tried_alone: bool = False


def typed_in(
    seed: int, subject: Sequence[object], attendances: Iterable[Attendance]
) -> tuple[list[Attendance], list[Entry]]:
    """Those attendances that were recorded where they happened, and entries in place of the others."""
    rng = stream(seed, "back-office", *subject)
    recorded, entries = [], []
    for attendance in attendances:
        session = attendance.session
        share = SHARE_IN.get(session.unit_served, SHARE)
        if not session.published or rng.random() >= share:
            recorded.append(attendance)
            continue
        day = day_of(session.ends_s) + timedelta(days=rng.randint(*DAYS_AFTER))
        entries.append(Entry(at(day, PROPOSED_HOUR), at(day, APPROVED_HOUR), session, attendance.person.number))
    return recorded, entries


def bought_hours(sessions: Iterable[Session], strangers: Iterable[str]) -> list[Entry]:
    """Five hours typed in within two minutes for the first of the ``strangers``, who was at none of the sessions.

    The evaluation's rule book tells of such a case: hours sold by an administrator. They must stay grade 0.
    """
    past = [
        session
        for session in sessions
        if session.published and session.unit_served == BOUGHT_UNIT and day_of(session.ends_s) < BOUGHT_ON
    ]
    for chosen in combinations(past[:40], BOUGHT_SESSIONS):
        if sum(session.minutes for session in chosen) == BOUGHT_MINUTES and _apart(chosen):
            break
    else:
        return []
    number = next(iter(strangers))
    proposed_s = at(BOUGHT_ON, *BOUGHT_AT)
    approved_s = proposed_s + 10 * 60
    return [
        Entry(proposed_s + index * BOUGHT_STEP_S, approved_s, session, number, tried_alone=True)
        for index, session in enumerate(chosen)
    ]


def _apart(sessions: Sequence[Session]) -> bool:
    return all(one.ends_s <= other.starts_s or other.ends_s <= one.starts_s for one, other in combinations(sessions, 2))


def rows(entries: Iterable[Entry]) -> list[dict[str, Any]]:
    """The lines of ``back_office.jsonl`` in order of time: proposals, and decisions that name their proposal."""
    made: list[tuple[int, int, dict[str, Any]]] = []
    in_order = sorted(entries, key=lambda each: (each.proposed_s, each.session.number, each.number))
    for index, entry in enumerate(in_order, 1):
        proposal, unit = f"BO-{index:05d}", entry.session.unit_served
        first, second = f"clerk-{unit}-1", f"clerk-{unit}-2"
        made.append((entry.proposed_s, 0, _proposal(entry, proposal, first)))
        if entry.tried_alone:
            made.append((entry.approved_s - 60, 1, _approval(entry.approved_s - 60, proposal, first, "clerk", unit)))
        made.append((entry.approved_s, 2, _approval(entry.approved_s, proposal, second, "second_clerk", unit)))
    return [row for _, _, row in sorted(made, key=lambda each: each[:2])]


def _proposal(entry: Entry, proposal: str, clerk: str) -> dict[str, Any]:
    return {
        "at": local_text(entry.proposed_s),
        "actor": {"role": "clerk", "id": clerk, "area": entry.session.unit_served},
        "command": "propose",
        "proposal": proposal,
        "session_id": entry.session.number,
        "number": entry.number,
        "from": local_text(entry.session.starts_s),
        "to": local_text(entry.session.ends_s),
    }


def _approval(at_s: int, proposal: str, clerk: str, role: str, area: str) -> dict[str, Any]:
    return {
        "at": local_text(at_s),
        "actor": {"role": role, "id": clerk, "area": area},
        "command": "approve",
        "proposal": proposal,
    }
