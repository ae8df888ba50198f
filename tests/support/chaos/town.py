"""Makes the people and sessions of the load: who exists, what is offered, when somebody comes and goes."""

import json
import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal

from tests.support.chaos.record import CHANNELS
from tests.support.town import HOUR, identity_number

CITY: Final = "340800"
UNITS: Final = ("340802", "340803")
STATIONS: Final = {unit: f"ST-{unit}" for unit in UNITS}
TEAMS: Final = {unit: f"TM-{unit}" for unit in UNITS}
MINUTE: Final = timedelta(minutes=1)
SHANGHAI: Final = timedelta(hours=8)
A_YEAR_BORN: Final = 499
"""As many people are born on one day of each year: the serial of an id number has three digits."""
KEY_FIELDS: Final = ("health_care", "legal_aid", "elder_care", "")

UNIT_ROWS: Final = [
    [CITY, "own", "市直", "", "2020-01-01"],
    *([unit, "gbt2260", f"区{unit}", CITY, "2020-01-01"] for unit in UNITS),
]
ORGANISATION_ROWS: Final = [
    *([STATIONS[unit], "驿站", f"驿站{unit}", unit, "", "2021-04-01"] for unit in UNITS),
    *([TEAMS[unit], "团队", f"团队{unit}", unit, STATIONS[unit], "2021-04-01"] for unit in UNITS),
]


Purpose = Literal["now", "past", "old", "night"]


@dataclass(frozen=True, slots=True)
class Place:
    """A session. ``purpose``: ``now`` runs at present, ``past`` is over, ``old`` ended more than a day ago, so that
    whoever was not checked out times out; ``night`` goes over a midnight.
    """

    session: str
    purpose: Purpose
    unit: str
    starts: datetime
    ends: datetime
    capacity: int

    def row(self, key_field: str) -> list[str]:
        """Its row of a programme's sheet."""
        names = [self.session.replace("SE", "AC"), self.session, "义诊", TEAMS[self.unit], self.unit]
        times = [local(self.starts), local(self.ends)]
        return [*names, STATIONS[self.unit], "", "health", key_field, *times, str(self.capacity), "已发布"]


def local(at: datetime) -> str:
    """An instant as the city's clients write it, to the second."""
    return (at + SHANGHAI).replace(tzinfo=None).isoformat(timespec="seconds") + "+08:00"


def person_row(number: int) -> list[str]:
    """One person as a row of a volunteer list in the national columns; the same number is the same person."""
    year, serial = divmod(number, A_YEAR_BORN)
    born, unit = f"{1946 + year}-03-02", UNITS[number % 2]
    body = [
        f"{unit}{number:06d}",
        f"甄{'安康宁和平'[number % 5]}",
        "居民身份证",
        identity_number(born, 2 * serial),
        "2",
    ]
    rest = [born, "01", "01", f"154{number:08d}", unit, f"晚晴路{number}号", "2024-03-05", CHANNELS[0], "是"]
    return [*body, *rest, TEAMS[unit]]


def person_body(row: list[str]) -> dict[str, Any]:
    """The same person as a command registers one."""
    personal = {
        "name": row[1],
        "id_type": "resident_id",
        "id_number": row[3],
        "sex": row[4],
        "birth_date": row[5],
        "political_status": row[6],
        "ethnic_group": row[7],
        "mobile": row[8],
        "address": row[10],
    }
    kept = {"number": row[0], "home_unit": row[9], "registered_on": row[11], "channel": row[12]}
    return {**kept, "retired_cadre": True, "teams": [row[14]], "personal": personal}


def programme(wave: int, now: datetime, rng: random.Random) -> list[Place]:
    """Sessions that overlap, around now, today and the days before."""
    now = now.replace(second=0, microsecond=0)
    midnight = (now + SHANGHAI).replace(hour=0, minute=0) - SHANGHAI - 24 * HOUR
    spans: list[tuple[Purpose, datetime, datetime]] = [
        ("now", now - 2 * HOUR, now + 2 * HOUR),
        ("now", now - 1 * HOUR, now + 3 * HOUR),
        ("past", now - 6 * HOUR, now - 3 * HOUR),
        ("past", now - 5 * HOUR, now - 2 * HOUR - 30 * MINUTE),
        ("old", now - 27 * HOUR, now - 25 * HOUR),
        ("night", midnight - 90 * MINUTE, midnight + 90 * MINUTE),
    ]
    return [
        Place(f"SE-{wave}-{number}", purpose, rng.choice(UNITS), starts, ends, rng.choice((10, 60)))
        for number, (purpose, starts, ends) in enumerate(spans)
    ]


def times(place: Place, now: datetime, rng: random.Random) -> tuple[datetime, datetime]:
    """When somebody came to a session and left it: within its window and the grace around it, and not later than now.

    To the second, as clients write it.
    """
    last = min(place.ends + 10 * MINUTE, now - MINUTE)
    came = place.starts - 10 * MINUTE + rng.random() * (last - place.starts)
    left = came + MINUTE + rng.random() * (last - came - MINUTE)
    return came.replace(microsecond=0), left.replace(microsecond=0)


def kiosk_batch(rows: Sequence[tuple[str, str, str, datetime]], first: int) -> bytes:
    """What a kiosk stored: (session, volunteer number, action, moment). Rows are numbered from ``first``."""
    return _batch(
        {"kind": "kiosk", "device_id": "KIOSK-1"},
        [
            {
                "row": row,
                "session_id": session,
                "number": number,
                "action": action,
                "at": local(moment),
                "proof": {"method": "personal_card", "card": number},
            }
            for row, (session, number, action, moment) in enumerate(rows, start=first)
        ],
    )


def roster_batch(rows: Sequence[tuple[str, str, datetime, datetime, str | None]], first: int) -> bytes:
    """A leader's paper: (session, volunteer number, came, left, code of the slip). Rows are numbered from ``first``."""
    return _batch(
        {"kind": "roster", "leader_id": "leader-1"},
        [
            {
                "row": row,
                "session_id": session,
                "number": number,
                "action": "attended",
                "from": local(came),
                "to": local(left),
                "proof": None if code is None else {"method": "one_time_code", "code": code},
            }
            for row, (session, number, came, left, code) in enumerate(rows, start=first)
        ],
    )


def _batch(head: dict[str, str], rows: list[dict[str, Any]]) -> bytes:
    return json.dumps({**head, "rows": rows}).encode()


def real_now() -> datetime:
    """Real time, as the platform has it."""
    return datetime.now(UTC)
