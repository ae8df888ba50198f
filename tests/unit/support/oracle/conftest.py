"""Gives every test of the oracle an empty history to write."""

from pathlib import Path

import pytest

from tests.support.histories import History


@pytest.fixture
def history(tmp_path: Path) -> History:
    return History(tmp_path)
