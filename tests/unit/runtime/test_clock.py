"""The development clock is one for all, goes only forward, and is read without a system call."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from services.runtime.clock import EPOCH, ClockFileError, DevelopmentClock, SystemClock

START = datetime(2026, 7, 1, 0, 30, 0, 123_456, tzinfo=UTC)


def test_readers_follow_whoever_advances_it(tmp_path: Path) -> None:
    loader = DevelopmentClock.create(tmp_path / "clock", START)
    reader = DevelopmentClock(tmp_path / "clock")
    assert reader.now() == START
    loader.advance(START + timedelta(microseconds=1))
    assert reader.now() == START + timedelta(microseconds=1)
    loader.advance(START + timedelta(days=92))
    assert reader.now() == loader.now() == START + timedelta(days=92)


def test_the_file_is_eight_bytes_of_microseconds(tmp_path: Path) -> None:
    DevelopmentClock.create(tmp_path / "clock", START)
    microseconds = int.from_bytes((tmp_path / "clock").read_bytes(), "little", signed=True)
    assert EPOCH + timedelta(microseconds=microseconds) == START
    assert [each.name for each in tmp_path.iterdir()] == ["clock"]


def test_it_never_goes_back(tmp_path: Path) -> None:
    loader = DevelopmentClock.create(tmp_path / "clock", START)
    loader.advance(START)
    with pytest.raises(ValueError, match="cannot go back"):
        loader.advance(START - timedelta(microseconds=1))
    assert loader.now() == START


def test_a_restarted_loader_goes_on_where_time_stood(tmp_path: Path) -> None:
    first = DevelopmentClock.create(tmp_path / "clock", START)
    first.advance(START + timedelta(days=1))
    first.close()
    assert DevelopmentClock.create(tmp_path / "clock", START).now() == START + timedelta(days=1)


def test_a_reader_cannot_advance_it(tmp_path: Path) -> None:
    DevelopmentClock.create(tmp_path / "clock", START)
    with pytest.raises(TypeError):
        DevelopmentClock(tmp_path / "clock").advance(START + timedelta(days=1))


@pytest.mark.parametrize("content", [None, b"", b"1234567"])
def test_what_is_no_clock_file_is_said_to_be_none(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "clock").write_bytes(content)
    with pytest.raises(ClockFileError):
        DevelopmentClock(tmp_path / "clock")


def test_real_time_has_a_zone() -> None:
    assert SystemClock().now().utcoffset() == timedelta(0)
