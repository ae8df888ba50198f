"""Makes one quarter of a history for all tests that read it."""

from datetime import date
from pathlib import Path

import pytest

from deploy.history.generate import generate, period


@pytest.fixture(scope="session")
def quarter(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of the quarter 2026-07 to 2026-09 of seed 1; to be read only."""
    out = tmp_path_factory.mktemp("history")
    generate(1, period(date(2026, 9, 1), 3), out)
    return out
