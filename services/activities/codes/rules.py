"""Makes and checks the codes that prove presence: a station's rotating code, a session's one-time codes.

Both are standard one-time passwords (RFC 4226 and RFC 6238, HMAC-SHA-1 with six digits), so that any authenticator
device can show a station's code without a network. Why there is no stored secret per station: docs/adr/0070.
"""

import hashlib
import hmac
import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final

import msgspec

from services.contracts.ids import OrganisationId, SessionId

CODE_DIGITS: Final = 6
STATION_CODE_STEP_S: Final = 60
STATION_CODE_DRIFT_STEPS_MAX: Final = 1
"""A station's display and our clock may differ by one step."""
ONE_TIME_CODES_A_SESSION_MAX: Final = 9_999
_ONE_TIME_CODE: Final = re.compile(r"([0-9]{4})-([0-9]{6})")


class StationCode(msgspec.Struct, frozen=True):
    """A station's code, and the half-open span it is shown in."""

    code: str
    valid_from: datetime
    valid_until: datetime


def hotp(key: bytes, counter: int, digits: int = CODE_DIGITS) -> str:
    """The HMAC-based one-time password of a counter (RFC 4226, section 5.3)."""
    digest = hmac.digest(key, counter.to_bytes(8, "big"), hashlib.sha1)
    start = digest[-1] & 0x0F
    number = int.from_bytes(digest[start : start + 4], "big") & 0x7FFF_FFFF
    return str(number % 10**digits).zfill(digits)


@lru_cache(maxsize=1_024)
def _key(secret: bytes, purpose: str, of: str) -> bytes:
    """A key for one purpose and one thing: who learns one learns no other."""
    return hmac.digest(secret, f"{purpose}\x1f{of}".encode(), hashlib.sha256)


def _step_of(at: datetime) -> int:
    return int(at.timestamp()) // STATION_CODE_STEP_S


def station_code(secret: bytes, station_id: OrganisationId, at: datetime) -> StationCode:
    """What the station's display shows at an instant (RFC 6238 with a 60 s step)."""
    step = _step_of(at)
    valid_from = datetime.fromtimestamp(step * STATION_CODE_STEP_S, tz=UTC)
    return StationCode(
        code=hotp(_key(secret, "station-code-v1", station_id), step),
        valid_from=valid_from,
        valid_until=valid_from + timedelta(seconds=STATION_CODE_STEP_S),
    )


def is_station_code(secret: bytes, station_id: OrganisationId, code: str, at: datetime) -> bool:
    """Whether the station showed this code at ``at``, give or take one step."""
    key, step = _key(secret, "station-code-v1", station_id), _step_of(at)
    steps = range(step - STATION_CODE_DRIFT_STEPS_MAX, step + STATION_CODE_DRIFT_STEPS_MAX + 1)
    return any(hmac.compare_digest(hotp(key, each).encode(), code.encode()) for each in steps)


def one_time_code(secret: bytes, session_id: SessionId, serial: int) -> str:
    """The code printed on the ``serial``-th slip of a session: the serial and its one-time password."""
    assert 1 <= serial <= ONE_TIME_CODES_A_SESSION_MAX
    return f"{serial:04d}-{hotp(_key(secret, 'one-time-code-v1', session_id), serial)}"


def slip_of(session_id: SessionId, code: str) -> str | None:
    """The name of the slip that a code says it was on; ``None`` if it does not have the form of one."""
    form = _ONE_TIME_CODE.fullmatch(code)
    return f"{session_id}|{form.group(1)}" if form and int(form.group(1)) > 0 else None


def is_one_time_code(secret: bytes, session_id: SessionId, code: str) -> bool:
    """Whether the code was printed for this session."""
    if slip_of(session_id, code) is None:
        return False
    return hmac.compare_digest(one_time_code(secret, session_id, int(code[:4])).encode(), code.encode())
