"""Fresh seeds of every kind of world violate nothing; what failed once is run first, for ever."""

import os
from pathlib import Path
from typing import Final

import pytest

from tests.support.simulation.campaign import (
    Campaign,
    carry_out,
    different_traces,
    fresh_base,
    keep,
    kept_plans,
    replay,
    seeds_of,
)

pytestmark = [pytest.mark.simulation, pytest.mark.timeout(7200)]

RUNS: Final = int(os.environ.get("SIM_RUNS") or 300)
SEED: Final = os.environ.get("SIM_SEED")
PROCESSES: Final = min(2, os.cpu_count() or 1)
KEPT_MAX: Final = 3
COVERED: Final = frozenset(
    {
        *("drop", "slow", "stall", "late", "lag", "torn", "stale", "missed"),
        *("crash", "stop", "pause", "skew", "cut", "failover", "broker_down", "expel", "restart"),
        *("conflict", "commit_unknown", "rolled_back", "duplicate_absorbed", "position_moved", "published_again"),
        *("parked_decision_failed", "parked_undeclared_type", "parked_behind", "due"),
        *("repair_done", "discard_done", "redrive_done", "redrive_still_failing"),
    }
)
"""What a whole campaign must have gone through: faults that never bite prove nothing."""
COVERED_FROM_RUNS: Final = 200


@pytest.mark.parametrize("path", kept_plans(), ids=lambda path: path.stem)
def test_what_failed_once_does_not_fail_again(path: Path) -> None:
    assert replay(path) is None


@pytest.fixture(scope="module")
def campaign(request: pytest.FixtureRequest) -> Campaign:
    """All fresh seeds, run once."""
    base = fresh_base() if not SEED else int(SEED)
    reporter = request.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is not None:
        reporter.write_line(f"simulation: base seed {base}, {RUNS} seeds of each world")
    return carry_out(seeds_of(base, RUNS), PROCESSES)


def test_fresh_seeds_violate_nothing(campaign: Campaign) -> None:
    told = [f"{each.seed.world} {each.seed.number}: {each.violation}" for each in campaign.failures]
    kept = [str(keep(each.seed)) for each in campaign.failures[:KEPT_MAX]]
    assert not told, f"{len(told)} of {len(campaign.results)} runs failed: {told}; kept as {kept}"


def test_two_runs_of_a_seed_leave_the_same_trace(campaign: Campaign) -> None:
    assert different_traces(campaign.results) == []


def test_every_fault_has_bitten(campaign: Campaign) -> None:
    if RUNS < COVERED_FROM_RUNS:
        pytest.skip(f"fewer than {COVERED_FROM_RUNS} seeds need not go through everything")
    assert COVERED - campaign.coverage.keys() == set()
