"""Real processes are struck in every way under load: nothing acknowledged is lost, nothing is counted twice."""

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from deploy.local.servers import Servers
from tests.support import figures
from tests.support.chaos import table
from tests.support.chaos.links import Links
from tests.support.chaos.plan import Plan, fresh_seed, keep, load, make_plan
from tests.support.chaos.platform import StruckPlatform, struck_platform
from tests.support.chaos.run import run

FAULTS: Final = int(os.environ.get("CHAOS_FAULTS") or 10)
SEED: Final = os.environ.get("CHAOS_SEED")
PLAN: Final = os.environ.get("CHAOS_PLAN")
KEEP: Final = os.environ.get("CHAOS_KEEP")
SECONDS_A_FAULT: Final = 60

Stage = tuple[StruckPlatform, Servers, Links]

pytestmark = pytest.mark.timeout(900 + SECONDS_A_FAULT * FAULTS)


@pytest.fixture
def plan() -> Plan:
    return load(Path(PLAN)) if PLAN else make_plan(int(SEED) if SEED else fresh_seed(), FAULTS)


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    """This run's own, whatever the environment names: its servers are killed."""
    with struck_platform(tmp_path) as started:
        yield started


async def test_nothing_is_lost_or_doubled_whatever_goes_wrong(
    plan: Plan, stage: Stage, capsys: pytest.CaptureFixture[str]
) -> None:
    def tell(line: str) -> None:
        with capsys.disabled():  # a run of minutes is watched; and its seed must be known even if it is broken off
            sys.stdout.write(f"chaos: {line}\n")
            sys.stdout.flush()

    tell(f"seed {plan.seed}, {len(plan.faults)} faults")
    platform = stage[0]
    try:
        outcome = await run(plan, *stage, tell)
        tell(json.dumps({name: value for name, value in outcome.figures.items() if name != "went"}, indent=1))
        assert not outcome.wrong, "\n".join(outcome.wrong)
    except Exception:
        tell(f"failed; CHAOS_PLAN={keep(plan)} runs it again, logs are in {platform.data_dir / 'logs'}")
        raise
    if KEEP:
        command = f"make chaos FAULTS={len(plan.faults)} SEED={plan.seed}"
        figures.keep("chaos", command, table.with_run(table.kept_figures(), outcome.figures))
