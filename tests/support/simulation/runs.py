"""Runs plans and seeds: one or many, and makes a failing plan small."""

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import ModuleType
from typing import Final

from services.assessment.scores import handlers as assessment_scores
from services.eventing.door import logic as door_logic
from services.eventing.relay import loop as relay_loop
from services.eventing.relay import unmarked, waiting
from services.hours.ledger import reads as hours_reads
from services.hours.timeouts import handlers as hours_timeouts
from services.registry.imports import handlers as registry_imports
from tests.support.simulation import city, eventing_world, platform_world
from tests.support.simulation.loop import burial
from tests.support.simulation.plan import Plan, shrink
from tests.support.simulation.verdict import Verdict
from tests.support.simulation.world import World

WORLDS: Final[dict[str, Callable[[Plan], World]]] = {
    "eventing": eventing_world.EventingWorld,
    "platform": platform_world.PlatformWorld,
}
PLANS: Final[dict[str, Callable[[int], Plan]]] = {"eventing": eventing_world.make_plan, "platform": city.make_plan}
TIGHT: Final[tuple[tuple[ModuleType, str, int], ...]] = (
    (unmarked, "SCAN_ROWS_MAX", 3),
    (unmarked, "LOOK_UP_STREAMS_MAX", 2),
    (unmarked, "CLOSURE_EVENTS_MAX", 6),
    (relay_loop, "BATCH_EVENTS_MAX", 3),
    (waiting, "PAGE_KEYS", 1),
    (door_logic, "BATCH_RECORDS_MAX", 2),
    (registry_imports, "CHUNK_ROWS_MAX", 2),
    (hours_timeouts, "DUE_ACCOUNTS_MAX", 1),
    (hours_reads, "VERIFY_ENTRIES", 2),
    (assessment_scores, "PUBLISH_UNITS_MAX", 1),
)
SHRINK_RUNS_MAX: Final = 250


def run(plan: Plan) -> Verdict:
    """One run of one plan."""
    with burial(), limits(tight=plan.tight):
        return WORLDS[plan.world](plan).run()


def run_seed(kind: str, seed: int) -> Verdict:
    """One run of a seed's plan."""
    return run(PLANS[kind](seed))


def smallest(verdict: Verdict, runs_max: int = SHRINK_RUNS_MAX) -> tuple[Plan, int]:
    """A smaller plan that fails as this one did, and the number of runs it took."""
    return shrink(verdict.plan, lambda plan: run(plan).code == verdict.code, runs_max=runs_max)


def first_failure(kind: str, seeds: Sequence[int]) -> tuple[int, Verdict] | None:
    """How many seeds it took to fail, and how; none if none did."""
    for number, seed in enumerate(seeds, start=1):
        verdict = run_seed(kind, seed)
        if verdict.violation is not None:
            return number, verdict
    return None


@contextmanager
def limits(*, tight: bool) -> Iterator[None]:
    """Makes the real code's pages and batches so small, if asked, that a small world reaches their limits."""
    before = [(module, name, getattr(module, name)) for module, name, _ in TIGHT]
    try:
        for module, name, value in TIGHT if tight else ():
            setattr(module, name, value)
        yield
    finally:
        for module, name, value in before:
            setattr(module, name, value)


@contextmanager
def silence() -> Iterator[None]:
    """No logs."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(before)
