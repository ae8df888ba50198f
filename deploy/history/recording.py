"""Writes down attendances as the doors do, mess included: card readings at kiosks, lines on leaders' lists."""

import random
from collections.abc import Iterable, Sequence
from datetime import date, timedelta
from typing import Final, NamedTuple

from deploy.history.programme import Session
from deploy.history.seasons import DAY_S, add_months, at, day_of, days_in
from deploy.history.streams import stream
from deploy.history.turnout import Attendance

JITTER_S: Final = 12 * 60
"""How far from the plan people come and go when nobody rounds it."""
MISSED_CHECK_OUT_SHARE: Final = 0.08
CLOCK_SKEW_SHARE: Final = 0.03
CLOCK_SKEW_S: Final = 5 * 60
LATE_CHECK_OUT_SHARE: Final = 0.004
"""Check-outs that a second, offline reader brings days later, after the time-out."""
LATE_CHECK_OUT_DAYS: Final = (2, 5)
CARD_FORGOTTEN_SHARE: Final = 0.003
OFFLINE_KIOSK_SHARE: Final = 0.01
KIOSK_UPLOAD_HOUR: Final = 21
ROSTER_HOUR: Final = 21
ROSTER_DAYS: Final = (1, 5)
PAPER_HOUR: Final = 9
PAPER_LAST_DAYS: Final = 3
PAPER_FIRST_DAYS: Final = 5
PAPER_BY_MONTH_END_SHARE: Final = 0.9
PAPER_LATE_SHARE: Final = 0.13
"""Of paper (a fifth of all): lists that turn up in the first days of the month after the next."""
PAPER_VERY_LATE_SHARE: Final = 0.02
"""Of paper: lists that turn up yet a month later, after the month's close."""
TYPED_TWICE_SHARE: Final = 0.005
WRONG_NUMBER_SHARE: Final = 0.002
WRONG_HOUR_SHARE: Final = 0.002
WRONG_SESSION_SHARE: Final = 0.0005
WRONG_CODE_SHARE: Final = 0.01
"""Of lines with a one-time code."""
NO_SUCH_CODE: Final = "0000-000000"
CLOSING_DAYS_MAX: Final = 45
"""Nothing comes in later than this after the period."""


class Reading(NamedTuple):
    """One card read at a kiosk, or a gesture without a card; in the order of ``at_s``."""

    at_s: int
    session: str
    number: str
    action: str
    card: str | None


class Line(NamedTuple):
    """One line of a leader's list: planned, round times; ``slip`` is a one-time code's serial or a wrong code."""

    session: str
    number: str
    from_s: int
    to_s: int
    slip: int | str | None


class Upload(NamedTuple):
    """When and by whom records come in: a station's kiosk, or an organisation's leader."""

    at_s: int
    by: str


class Recorder:
    """Collects all records of a period by their upload; one organisation's months meet in the same uploads."""

    def __init__(self, seed: int, closes: date) -> None:
        """``closes``: the last day of the period."""
        self._seed = seed
        self._rng = random.Random(seed)
        self._last_s = at(closes + timedelta(days=CLOSING_DAYS_MAX), PAPER_HOUR)
        self._slips: dict[str, int] = {}
        self.readings: dict[Upload, list[Reading]] = {}
        self.lines: dict[Upload, list[Line]] = {}

    def add(self, subject: Sequence[object], attendances: Iterable[Attendance]) -> None:
        """Records the attendances of one subject (a unit's month), each at the door of its session."""
        self._rng = stream(self._seed, "records", *subject)
        for attendance in attendances:
            if attendance.session.door == "live":
                self._read_cards(attendance)
            else:
                self._write_line(attendance)

    def _read_cards(self, attendance: Attendance) -> None:
        rng, session, number = self._rng, attendance.session, attendance.person.number
        came_s, left_s = times(rng, session)
        upload = Upload(self._kiosk_upload_s(session), _station(session))
        card = None if rng.random() < CARD_FORGOTTEN_SHARE else number
        self._read(upload, Reading(came_s, session.number, number, "check_in", card))
        if rng.random() < MISSED_CHECK_OUT_SHARE:
            return
        if rng.random() < LATE_CHECK_OUT_SHARE:
            upload = Upload(upload.at_s + rng.randint(*LATE_CHECK_OUT_DAYS) * DAY_S, upload.by)
        self._read(upload, Reading(left_s, session.number, number, "check_out", card))

    def _read(self, upload: Upload, reading: Reading) -> None:
        self.readings.setdefault(upload, []).append(reading)

    def _kiosk_upload_s(self, session: Session) -> int:
        """That evening; a kiosk that is offline sends a few days later."""
        day = day_of(session.starts_s)
        rng = stream(self._seed, "offline", session.station, day)
        days = rng.randint(1, 3) if rng.random() < OFFLINE_KIOSK_SHARE else 0
        return at(day + timedelta(days=days), KIOSK_UPLOAD_HOUR)

    def _write_line(self, attendance: Attendance) -> None:
        rng, session = self._rng, attendance.session
        upload = Upload(self._list_upload_s(session), session.project.organiser.number)
        line = self._line(attendance)
        self.lines.setdefault(upload, []).append(line)
        if rng.random() < TYPED_TWICE_SHARE:
            again = Upload(min(upload.at_s + rng.randint(1, 3) * DAY_S, self._last_s), upload.by)
            if again != upload:
                self.lines.setdefault(again, []).append(line)

    def _list_upload_s(self, session: Session) -> int:
        rng = stream(self._seed, "list", session.number)
        if session.door == "roster":
            return at(day_of(session.starts_s) + timedelta(days=rng.randint(*ROSTER_DAYS)), ROSTER_HOUR)
        return min(self._paper_upload_s(session, rng), self._last_s)

    def _paper_upload_s(self, session: Session, rng: random.Random) -> int:
        day = day_of(session.starts_s)
        month = day.replace(day=1)
        lateness = rng.random()
        if lateness < PAPER_VERY_LATE_SHARE:
            return self._paper_day(session, add_months(month, 3), first=True)
        if lateness < PAPER_LATE_SHARE:
            return self._paper_day(session, add_months(month, 2), first=True)
        by_month_end = self._paper_day(session, month, first=False)
        if by_month_end > session.ends_s and rng.random() < PAPER_BY_MONTH_END_SHARE:
            return by_month_end
        return self._paper_day(session, add_months(month, 1), first=True)

    def _paper_day(self, session: Session, month: date, *, first: bool) -> int:
        """An organisation brings its paper on one of the last three days of a month, and one of the first five."""
        rng = stream(self._seed, "paper", session.project.organiser.number, month)
        last = days_in(month) - rng.randrange(PAPER_LAST_DAYS)
        return at(month.replace(day=rng.randint(1, PAPER_FIRST_DAYS) if first else last), PAPER_HOUR)

    def _line(self, attendance: Attendance) -> Line:
        rng, session = self._rng, attendance.session
        number, name = attendance.person.number, session.number
        early_s = 3600 if rng.random() < WRONG_HOUR_SHARE else 0
        if rng.random() < WRONG_NUMBER_SHARE:
            number = f"349999{number[6:]}"
        slip = self._slip(session)
        if rng.random() < WRONG_SESSION_SHARE:
            name, slip = f"{name[:-4]}9999", None
        return Line(name, number, session.starts_s - early_s, session.ends_s - early_s, slip)

    def _slip(self, session: Session) -> int | str | None:
        if not session.one_time_codes:
            return None
        if self._rng.random() < WRONG_CODE_SHARE:
            return NO_SUCH_CODE
        self._slips[session.number] = self._slips.get(session.number, 0) + 1
        return self._slips[session.number]


def _station(session: Session) -> str:
    assert session.station is not None, "what is taken live is taken at a station"
    return session.station


def times(rng: random.Random, session: Session) -> tuple[int, int]:
    """When somebody came and left, to the second: around the plan, by a clock that is now and then wrong."""
    came_s = session.starts_s + rng.randint(-JITTER_S, JITTER_S)
    left_s = session.ends_s + rng.randint(-JITTER_S, JITTER_S)
    if rng.random() < CLOCK_SKEW_SHARE:
        came_s += rng.randint(-CLOCK_SKEW_S, CLOCK_SKEW_S)
    if rng.random() < CLOCK_SKEW_SHARE:
        left_s += rng.randint(-CLOCK_SKEW_S, CLOCK_SKEW_S)
    return came_s, left_s
