"""The simulation from the command line: ``python -m tests.simulation --runs 10000 --seed 8841``."""

import argparse
import json
import os
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from tests.support import figures
from tests.support.simulation.campaign import (
    Campaign,
    Result,
    Seed,
    carry_out,
    different_traces,
    fresh_base,
    keep,
    kept_plans,
    replay,
    seeds_of,
    traces_of,
)
from tests.support.simulation.runs import PLANS

KEPT_MAX = 5
"""So many failing seeds are made small; the others are only named."""


def main() -> int:
    """Runs what the arguments say; 1 if anything was violated."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=300, help="seeds of each kind of world")
    parser.add_argument("--seed", type=int, default=None, help="the first seed; else a fresh one")
    parser.add_argument("--world", choices=sorted(PLANS), action="append", help="kinds of worlds; else all")
    parser.add_argument("--processes", type=int, default=min(2, os.cpu_count() or 1))
    parser.add_argument("--plan", type=Path, help="run one kept plan")
    parser.add_argument("--figures", action="store_true", help="keep what was measured in docs/figures")
    parser.add_argument("--traces", help=argparse.SUPPRESS)
    said = parser.parse_args()
    if said.traces is not None:
        sys.stdout.write(json.dumps(traces_of([Seed(*seed) for seed in json.loads(said.traces)])))
        return 0
    console = Console()
    if said.plan is not None:
        violation = replay(said.plan)
        console.print(f"{said.plan}: {violation or 'nothing is violated'}")
        return int(violation is not None)
    again = _replay_kept(console)
    base = fresh_base() if said.seed is None else said.seed
    console.print(f"base seed {base}")
    seeds = seeds_of(base, said.runs, said.world or tuple(PLANS))
    campaign, seconds = _carry_out(console, seeds, said.processes)
    code = max(again, _report(console, campaign, seconds))
    if said.figures:
        figures.keep(
            "simulation", f"make sim RUNS={said.runs} SEED={base}", _figures(campaign, seconds, said.processes)
        )
    return code


def _replay_kept(console: Console) -> int:
    """Runs first what failed once; 1 if any of it fails again."""
    failing = {path.name: violation for path in kept_plans() if (violation := replay(path)) is not None}
    for name, violation in failing.items():
        console.print(f"[red]{name} fails again: {violation}")
    return int(bool(failing))


def _carry_out(console: Console, seeds: list[Seed], processes: int) -> tuple[Campaign, float]:
    began = time.monotonic()  # noqa: TID251 - how long it really takes
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("seeds", total=len(seeds))
        failed: Counter[str] = Counter()

        def tell(result: Result) -> None:
            if result.violation is not None:
                failed[result.violation.code] += 1
                progress.console.print(f"{result.seed.world} {result.seed.number}: {result.violation}", soft_wrap=True)
            done = progress.tasks[0].completed + 1
            speed = done / (time.monotonic() - began)  # noqa: TID251
            progress.update(task, advance=1, description=f"{speed:.1f} seeds/s, {failed.total()} failed")

        campaign = carry_out(seeds, processes, tell)
    return campaign, time.monotonic() - began  # noqa: TID251


def _report(console: Console, campaign: Campaign, seconds: float) -> int:
    steps = sum(result.steps for result in campaign.results)
    runs = len(campaign.results)
    console.print(
        f"{runs} runs in {seconds:.0f} s, {runs / seconds:.1f} a second, {steps / seconds:,.0f} steps a second"
    )
    console.print("went through: " + ", ".join(f"{name} {count}" for name, count in campaign.coverage.most_common()))
    differing = different_traces(campaign.results)
    if differing:
        console.print(f"[red]traces differ between two runs of {differing}")
    for result in campaign.failures[:KEPT_MAX]:
        console.print(f"[red]{result.seed.world} {result.seed.number}: {result.violation}; kept as {keep(result.seed)}")
    if not campaign.failures and not differing:
        console.print("nothing was violated")
    return int(bool(campaign.failures or differing))


def _figures(campaign: Campaign, seconds: float, processes: int) -> dict[str, Any]:
    """What a campaign came to, for the record."""
    runs = len(campaign.results)
    return {
        "runs": runs,
        "violations": len(campaign.failures),
        "runs_a_second": round(runs / seconds, 1),
        "processes": processes,
        "steps_a_run": sum(result.steps for result in campaign.results) // runs,
        "went_through": dict(campaign.coverage.most_common()),
    }


if __name__ == "__main__":
    raise SystemExit(main())
