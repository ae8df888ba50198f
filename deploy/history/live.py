"""Makes the live commands of a period's last days: sign-ups, check-ins by station code, check-outs."""

import random
from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any, Final, NamedTuple

from deploy.history.programme import Session
from deploy.history.recording import CLOCK_SKEW_S, CLOCK_SKEW_SHARE, JITTER_S, MISSED_CHECK_OUT_SHARE
from deploy.history.seasons import at, day_of, local_text
from deploy.history.streams import stream
from deploy.history.turnout import Attendance

LIVE_DAYS: Final = 2
OPENS_HOUR: Final = 8
CLOSES_HOUR: Final = 20
SIGNED_UP_SHARE: Final = 0.75
"""Of those who come; the others walk in."""
SIGN_UP_LEAD_S: Final = 30 * 60
MISTYPED_CODE_SHARE: Final = 0.01
WITHOUT_CODE_SHARE: Final = 0.03
"""Who cannot read the station's code reports to be there: one side's word."""
PRESSED_TWICE_SHARE: Final = 0.005
DOUBLE_BOOKED_SHARE: Final = 0.02
"""Of those who sign up: they also try for another session at the same time."""
SIGN_UP_STEP_MINUTES: Final = 10
STEP_S: Final = 60
"""Live times are whole minutes, so that a minute's commands go out together."""


class Command(NamedTuple):
    """One live command; ``claimed_s`` is what the phone's clock says, if it is wrong."""

    at_s: int
    command: str
    session: str
    number: str
    station: str | None = None
    claimed_s: int | None = None
    mistyped: bool = False

    def row(self) -> dict[str, Any]:
        """The line of ``live.jsonl``: who (by volunteer number) does what at which business time."""
        row: dict[str, Any] = {
            "at": local_text(self.at_s),
            "actor": {"role": "volunteer", "number": self.number},
            "command": self.command,
            "session_id": self.session,
        }
        if self.command == "sign_up":
            return row
        row["claimed_at"] = None if self.claimed_s is None else local_text(self.claimed_s)
        if self.station is None:
            return {**row, "proof": {"method": "self_report"}}
        return {**row, "proof": {"method": "station_code", "station_id": self.station, "mistyped": self.mistyped}}


def first_live_second(closes: date) -> int:
    """When the live days begin; ``closes`` is the period's last day."""
    return at(closes - timedelta(days=LIVE_DAYS - 1), OPENS_HOUR)


def live_commands(seed: int, attendances: Sequence[Attendance], closes: date) -> list[Command]:
    """The commands of those who come to the live days' sessions, and of those who only sign up, in order of time."""
    by_session: dict[str, list[Attendance]] = {}
    for attendance in attendances:
        by_session.setdefault(attendance.session.number, []).append(attendance)
    sessions = [each[0].session for each in by_session.values()]
    maker = _Maker(first_live_second(closes), sessions)
    for number, each in by_session.items():
        maker.add(stream(seed, "live", number), each[0].session, each)
    return sorted(maker.commands, key=lambda command: command.at_s)


class _Maker:
    def __init__(self, opens_s: int, sessions: Sequence[Session]) -> None:
        self._sessions = sessions
        self._opens_s = opens_s
        self._taken: set[tuple[str, int]] = set()
        self.commands: list[Command] = []

    def add(self, rng: random.Random, session: Session, attendances: Sequence[Attendance]) -> None:
        """Plans one session: who signs up, who comes, who stays away."""
        for attendance in attendances:
            number = attendance.person.number
            if rng.random() < SIGNED_UP_SHARE or not attendance.came:
                self._sign_up(rng, session, number)
            if attendance.came:
                self._presence(rng, session, number)

    def _sign_up(self, rng: random.Random, session: Session, number: str) -> None:
        self._plan(self._sign_up_s(rng, session), "sign_up", session, number)
        at_the_same_time = [
            other
            for other in self._sessions
            if other is not session and other.starts_s < session.ends_s and session.starts_s < other.ends_s
        ]
        if at_the_same_time and rng.random() < DOUBLE_BOOKED_SHARE:
            other = rng.choice(at_the_same_time)
            self._plan(self._sign_up_s(rng, other), "sign_up", other, number)

    def _sign_up_s(self, rng: random.Random, session: Session) -> int:
        latest_s = max(self._opens_s, session.starts_s - SIGN_UP_LEAD_S)
        day = day_of(self._opens_s) + timedelta(days=rng.randint(0, (day_of(latest_s) - day_of(self._opens_s)).days))
        wished_s = (
            at(day, OPENS_HOUR) + rng.randrange(0, (CLOSES_HOUR - OPENS_HOUR) * 60, SIGN_UP_STEP_MINUTES) * STEP_S
        )
        return min(wished_s, latest_s)

    def _presence(self, rng: random.Random, session: Session, number: str) -> None:
        came_s = _around(rng, session.starts_s)
        self._end(rng, came_s, "check_in", session, number)
        if rng.random() < PRESSED_TWICE_SHARE:
            self._plan(came_s + 2 * STEP_S, "check_in", session, number, station=session.station)
        if rng.random() >= MISSED_CHECK_OUT_SHARE:
            self._end(rng, _around(rng, session.ends_s), "check_out", session, number)

    def _end(self, rng: random.Random, at_s: int, action: str, session: Session, number: str) -> None:
        """One gesture; what goes wrong with a code is tried again a minute later."""
        if rng.random() < WITHOUT_CODE_SHARE:
            self._plan(at_s, action, session, number)
            return
        skew_s = rng.randint(-CLOCK_SKEW_S, CLOCK_SKEW_S) if rng.random() < CLOCK_SKEW_SHARE else 0
        mistyped = rng.random() < MISTYPED_CODE_SHARE
        claimed_s = at_s + skew_s if skew_s else None
        self._plan(at_s, action, session, number, station=session.station, claimed_s=claimed_s, mistyped=mistyped)
        if mistyped or abs(skew_s) > STEP_S:
            self._plan(at_s + STEP_S, action, session, number, station=session.station)

    def _plan(
        self,
        at_s: int,
        action: str,
        session: Session,
        number: str,
        *,
        station: str | None = None,
        claimed_s: int | None = None,
        mistyped: bool = False,
    ) -> None:
        """Adds a command at the first minute in which this person does nothing else, so that their order is sure."""
        while (number, at_s) in self._taken:
            at_s += STEP_S
        self._taken.add((number, at_s))
        self.commands.append(Command(at_s, action, session.number, number, station, claimed_s, mistyped))


def _around(rng: random.Random, planned_s: int) -> int:
    return planned_s + rng.randint(-JITTER_S // STEP_S, JITTER_S // STEP_S) * STEP_S
