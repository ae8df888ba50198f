"""Campaigns: the same over any number of processes; a failure is kept small and replayed; a differing trace is told."""

from pathlib import Path

import pytest

from services.eventing.relay import loop
from tests.simulation.test_planted_bugs import MarkBeforeAckRelay
from tests.support.simulation import campaign
from tests.support.simulation.campaign import Seed, carry_out, different_traces, keep, kept_plans, replay, seeds_of
from tests.support.simulation.plan import load

pytestmark = pytest.mark.simulation


def test_seeds_are_those_of_every_world_from_the_base_on() -> None:
    assert seeds_of(7, 2, ("eventing", "platform")) == [
        Seed("eventing", 7),
        Seed("platform", 7),
        Seed("eventing", 8),
        Seed("platform", 8),
    ]


def test_two_processes_find_what_one_finds() -> None:
    seeds = seeds_of(40, 4)
    told: list[Seed] = []
    alone = carry_out(seeds, 1, lambda result: told.append(result.seed))
    assert told == seeds
    assert carry_out(seeds, 2).results == alone.results


def test_a_failing_seed_is_kept_small_and_replayed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(campaign, "KEPT", tmp_path)
    with monkeypatch.context() as planted:
        planted.setattr(loop, "Relay", MarkBeforeAckRelay)
        path = keep(Seed("eventing", 0))
        violation = replay(path)
        assert violation is not None
        assert violation.code == "marked_not_published"
    assert kept_plans() == [path]
    assert path.name.startswith("eventing-marked_not_published-")
    assert len(load(path).commands) == 1
    assert load(path).faults == []
    assert replay(path) is None


def test_a_trace_that_differs_in_another_process_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    results = carry_out([Seed("eventing", 3)], 1).results
    assert different_traces(results) == []
    assert different_traces([results[0]._replace(trace=0)]) == [Seed("eventing", 3)]


def test_all_kept_plans_can_be_read() -> None:
    assert kept_plans(), "there are plans that failed once"
    for path in kept_plans():
        assert load(path).world in path.name
