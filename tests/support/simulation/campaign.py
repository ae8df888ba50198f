"""Runs many seeds over several processes, compares traces, and keeps what fails as small plans."""

import hashlib
import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from typing import Final, NamedTuple

from tests.support.simulation.plan import Plan, dump, load
from tests.support.simulation.runs import PLANS, run, run_seed, silence, smallest
from tests.support.simulation.verdict import Violation

ROOT: Final = Path(__file__).resolve().parents[3]
KEPT: Final = ROOT / "tests" / "simulation" / "failing_plans"
"""Plans that failed once: they are run first, for ever."""
COMPARED_EVERY: Final = 50
"""One seed in so many runs again in another process, with other hashes of texts, and must leave the same trace."""
CHUNK_SEEDS: Final = 5
SEEDS_MAX: Final = 1 << 31
LASTING: Final = ExitStack()
"""What a worker process enters and never leaves."""


class Seed(NamedTuple):
    """One run of one kind of world."""

    world: str
    number: int


class Result(NamedTuple):
    """What is left of one run; small, as it crosses processes."""

    seed: Seed
    violation: Violation | None
    trace: int
    steps: int
    coverage: Counter[str]


@dataclass(slots=True)
class Campaign:
    """What all runs came to."""

    results: list[Result] = field(default_factory=list)

    @property
    def failures(self) -> list[Result]:
        """The runs that violated something."""
        return [result for result in self.results if result.violation is not None]

    @property
    def coverage(self) -> Counter[str]:
        """What all runs together went through."""
        return sum((result.coverage for result in self.results), Counter())


def seeds_of(base: int, runs: int, worlds: Sequence[str] = tuple(PLANS)) -> list[Seed]:
    """``runs`` seeds of each kind of world, from ``base`` on."""
    return [Seed(world, base + number) for number in range(runs) for world in worlds]


def fresh_base() -> int:
    """A base that no campaign has had."""
    return int.from_bytes(os.urandom(4), "big") % SEEDS_MAX


def carry_out(seeds: Sequence[Seed], processes: int, tell: Callable[[Result], None] = lambda _: None) -> Campaign:
    """Runs seeds, ``tell`` hears of each as it ends."""
    campaign = Campaign()
    for result in _results(seeds, processes):
        campaign.results.append(result)
        tell(result)
    return campaign


def _results(seeds: Sequence[Seed], processes: int) -> Iterator[Result]:
    if processes == 1:
        with silence():
            yield from map(_result, seeds)
        return
    with ProcessPoolExecutor(processes, mp_context=get_context("fork"), initializer=_begin) as pool:
        yield from pool.map(_result, seeds, chunksize=CHUNK_SEEDS)


def _begin() -> None:
    """A worker process stays silent to its end."""
    LASTING.enter_context(silence())


def _result(seed: Seed) -> Result:
    verdict = run_seed(*seed)
    return Result(seed, verdict.violation, verdict.trace, verdict.steps, verdict.coverage)


def different_traces(results: Sequence[Result]) -> list[Seed]:
    """Runs one in ``COMPARED_EVERY`` again elsewhere; the seeds whose traces differ."""
    again = [result for place, result in enumerate(results) if place % COMPARED_EVERY == 0]
    seeds = [list(result.seed) for result in again]
    environment = {**os.environ, "PYTHONHASHSEED": str(len(results) % 1000 + 1)}
    command = [sys.executable, "-m", "tests.simulation", "--traces", json.dumps(seeds)]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    traces = json.loads(done.stdout)
    return [result.seed for result, trace in zip(again, traces, strict=True) if result.trace != trace]


def traces_of(seeds: Sequence[Seed]) -> list[int]:
    """The traces of some seeds, run here."""
    with silence():
        return [run_seed(*seed).trace for seed in seeds]


def keep(seed: Seed) -> Path:
    """Makes a failing seed's plan small and keeps it; where it is."""
    with silence():
        plan, _ = smallest(run_seed(*seed))
    verdict = run(plan)
    code = verdict.code or "unrepeatable"
    name = f"{seed.world}-{code.replace(':', '-')}-{hashlib.sha256(dump(plan)).hexdigest()[:8]}.json"
    KEPT.mkdir(exist_ok=True)
    path = KEPT / name
    path.write_bytes(dump(plan))
    return path


def kept_plans() -> list[Path]:
    """Every plan that failed once."""
    return sorted(KEPT.glob("*.json"))


def replay(path: Path) -> Violation | None:
    """Runs a kept plan; what it violates now."""
    plan: Plan = load(path)
    with silence():
        return run(plan).violation
