"""Gives every test a run of its own that went well."""

import pytest

from tests.support.chaos.scene import Scene, went_well


@pytest.fixture
def scene() -> Scene:
    return went_well()
