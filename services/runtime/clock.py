"""Tells the time: the only module that reads a clock."""

import mmap
import os
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

CLOCK_FILE_BYTES: Final = 8
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


class ClockFileError(Exception):
    """The development clock's file is missing or is not one."""


class SystemClock:
    """Real time, in UTC."""

    def now(self) -> datetime:
        return datetime.now(UTC)


class DevelopmentClock:
    """Simulated business time that all processes of a development deployment share through an 8-byte file.

    The file holds a little-endian int64 of microseconds since 1970, mapped into memory, so that reading it costs no
    system call. It never goes back. One process advances it: the loader that lives a city's history through.
    """

    def __init__(self, path: Path, *, writable: bool = False) -> None:
        try:
            with path.open("r+b" if writable else "rb") as file:
                access = mmap.ACCESS_WRITE if writable else mmap.ACCESS_READ
                self._map = mmap.mmap(file.fileno(), CLOCK_FILE_BYTES, access=access)
        except (OSError, ValueError) as error:
            raise ClockFileError(f"development clock {path}: not an {CLOCK_FILE_BYTES}-byte file") from error
        # A native int64 view reads and writes all eight bytes at once; struct's "<q" would go byte by byte.
        assert sys.byteorder == "little"
        self._microseconds = memoryview(self._map).cast("q")

    @classmethod
    def create(cls, path: Path, start: datetime) -> "DevelopmentClock":
        """Makes the file, or takes the one that is there (a restarted run goes on), and opens it for writing."""
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            half_made = path.with_name(f"{path.name}.{os.getpid()}")
            half_made.write_bytes(_microseconds(start).to_bytes(CLOCK_FILE_BYTES, "little", signed=True))
            half_made.rename(path)
        return cls(path, writable=True)

    def now(self) -> datetime:
        return EPOCH + timedelta(microseconds=self._microseconds[0])

    def advance(self, to: datetime) -> None:
        """Sets the time for everybody. Raises ``ValueError`` if it would go back."""
        microseconds = _microseconds(to)
        if microseconds < self._microseconds[0]:
            raise ValueError(f"the development clock cannot go back to {to.isoformat()}")
        self._microseconds[0] = microseconds

    def close(self) -> None:
        """Lets go of the file."""
        self._microseconds.release()
        self._map.close()


def _microseconds(at: datetime) -> int:
    assert at.tzinfo is not None
    return (at - EPOCH) // _MICROSECOND
