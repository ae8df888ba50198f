"""Codes are standard one-time passwords, each for one purpose, one thing and one time."""

import hashlib
import hmac
from datetime import UTC, datetime, timedelta

import pytest

from services.activities.codes.rules import (
    hotp,
    is_one_time_code,
    is_station_code,
    one_time_code,
    slip_of,
    station_code,
)
from services.contracts.ids import OrganisationId, SessionId
from tests.support.activities import SECRET, STATION, at

RFC_KEY = b"12345678901234567890"
SESSION = SessionId("SE-1")


APPENDIX_D = ("755224", "287082", "359152", "969429", "338314", "254676", "287922", "162583", "399871", "520489")


def test_codes_are_those_of_rfc_4226_appendix_d() -> None:
    assert tuple(hotp(RFC_KEY, counter) for counter in range(10)) == APPENDIX_D


@pytest.mark.parametrize(
    ("seconds", "code"),
    [(59, "94287082"), (1111111109, "07081804"), (1234567890, "89005924"), (20000000000, "65353130")],
)
def test_codes_are_those_of_rfc_6238_appendix_b(seconds: int, code: str) -> None:
    assert hotp(RFC_KEY, seconds // 30, digits=8) == code


def test_a_station_key_is_derived_from_secret_and_station() -> None:
    """What an authenticator at the station is set up with, computed here by hand."""
    key = hmac.digest(SECRET, f"station-code-v1\x1f{STATION}".encode(), hashlib.sha256)
    moment = datetime(2026, 7, 14, 1, 0, 30, tzinfo=UTC)
    assert station_code(SECRET, STATION, moment).code == hotp(key, int(moment.timestamp()) // 60)


def test_a_station_code_is_shown_for_one_minute() -> None:
    shown = station_code(SECRET, STATION, at(9, 0, second=30))
    assert (shown.valid_from, shown.valid_until) == (at(9), at(9, 1))
    assert station_code(SECRET, STATION, at(9, 0, second=59)).code == shown.code
    assert station_code(SECRET, STATION, at(9, 1)).code != shown.code


@pytest.mark.parametrize(
    ("seconds", "accepted"), [(-61, False), (-60, True), (0, True), (59, True), (119, True), (120, False)]
)
def test_a_station_code_is_accepted_one_step_early_or_late(seconds: int, accepted: bool) -> None:
    code = station_code(SECRET, STATION, at(9)).code
    assert is_station_code(SECRET, STATION, code, at(9) + timedelta(seconds=seconds)) is accepted


@pytest.mark.parametrize("code", ["", "0", "０１２３４５", "12345", "1234567", "abcdef"])
def test_what_is_no_station_code_is_refused(code: str) -> None:
    assert not is_station_code(SECRET, STATION, code, at(9))


def test_a_station_code_is_worth_nothing_at_another_station_or_under_another_secret() -> None:
    code = station_code(SECRET, STATION, at(9)).code
    assert not is_station_code(SECRET, OrganisationId("ST-340802-04"), code, at(9))
    assert not is_station_code(SECRET + b"!", STATION, code, at(9))


def test_every_slip_of_a_session_has_its_own_code() -> None:
    codes = [one_time_code(SECRET, SESSION, serial) for serial in range(1, 200)]
    assert len(set(codes)) == len(codes)
    assert all(is_one_time_code(SECRET, SESSION, code) for code in codes)
    assert one_time_code(SECRET, SESSION, 7).startswith("0007-")


def test_a_one_time_code_is_worth_nothing_for_another_session() -> None:
    assert not is_one_time_code(SECRET, SessionId("SE-2"), one_time_code(SECRET, SESSION, 1))


def test_a_one_time_code_with_another_serial_is_refused() -> None:
    first, second = one_time_code(SECRET, SESSION, 1), one_time_code(SECRET, SESSION, 2)
    assert not is_one_time_code(SECRET, SESSION, first[:5] + second[5:])


@pytest.mark.parametrize(
    "code", ["", "0000-000000", "1-123456", "0001-12345", "0001_123456", "٠٠٠١-123456", "0001-1234567"]
)
def test_what_has_not_the_form_of_a_one_time_code_names_no_slip(code: str) -> None:
    assert slip_of(SESSION, code) is None
    assert not is_one_time_code(SECRET, SESSION, code)


def test_a_slip_is_named_by_session_and_serial() -> None:
    assert slip_of(SESSION, "0007-482913") == "SE-1|0007"
