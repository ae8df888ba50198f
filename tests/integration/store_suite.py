"""What every implementation of the store's ports must do: one suite for MongoDB and for the fakes.

A subclass of ``StoreSuite`` says how a scenario is run: on which loop, and with which two clients of one new database.
Scenarios wait on each other's progress, never on the clock, so that they run in virtual time as well.
"""

import pytest

from tests.integration.store_scenarios import (
    conflicts,
    documents,
    owners,
    queries,
    surroundings,
    transactions,
    uniqueness,
)
from tests.integration.store_scenarios.frame import COLLECTIONS, INDEXES, SCENARIOS, Scenario, Stores

__all__ = ["COLLECTIONS", "INDEXES", "Scenario", "StoreSuite", "Stores"]

PARTS = (documents, queries, transactions, conflicts, uniqueness, owners, surroundings)
"""Imported, so that their scenarios are on the list."""


class StoreSuite:
    """The suite; ``run`` is what differs."""

    def run(self, scenario: Scenario) -> None:
        """Run the scenario to its end, with COLLECTIONS and INDEXES prepared in a new database."""
        raise NotImplementedError

    @pytest.mark.parametrize("each", SCENARIOS, ids=lambda function: function.__name__)
    def test_store(self, each: Scenario) -> None:
        self.run(each)
