"""A chaos plan is made of its seed alone, meets everybody in time, and is kept whole."""

from collections import Counter
from pathlib import Path

import pytest

from deploy.local.processes import PROCESSES
from deploy.local.servers import SERVICES
from tests.support.chaos.plan import (
    AWAY_S,
    BLOCK_FAULTS,
    BROKER,
    EVERY_S,
    KINDS,
    SESSION_TIMEOUT_S,
    WRITTEN_TO,
    keep,
    load,
    make_plan,
)

SEEDS = range(25)


def test_a_seed_makes_one_plan_and_another_seed_another() -> None:
    assert make_plan(8841, 10) == make_plan(8841, 10)
    assert make_plan(8841, 10) != make_plan(8842, 10)


@pytest.mark.parametrize("faults", [0, 1, 9, 10, 25])
def test_a_plan_has_as_many_faults_as_asked_for_in_the_order_of_their_times(faults: int) -> None:
    plan = make_plan(1, faults)
    assert len(plan.faults) == faults
    assert plan.faults == sorted(plan.faults, key=lambda fault: fault.at_s)
    assert all(fault.at_s < EVERY_S * (faults + 1) for fault in plan.faults)


@pytest.mark.parametrize("seed", SEEDS)
def test_ten_faults_are_of_every_kind_with_one_pause_and_one_broker(seed: int) -> None:
    kinds = Counter(fault.kind for fault in make_plan(seed, BLOCK_FAULTS).faults)
    assert kinds.keys() == set(KINDS)
    assert (kinds["pause_processor"], kinds["kill_broker"]) == (1, 1)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_pause_lasts_longer_than_a_session(seed: int) -> None:
    for fault in make_plan(seed, BLOCK_FAULTS).faults:
        shortest, longest = AWAY_S[fault.kind]
        assert shortest <= fault.away_s <= longest
        if fault.kind == "pause_processor":
            assert fault.away_s > SESSION_TIMEOUT_S


@pytest.mark.parametrize("seed", SEEDS)
def test_a_fault_meets_what_it_names_and_a_server_that_the_victim_uses(seed: int) -> None:
    for fault in make_plan(seed, BLOCK_FAULTS).faults:
        kind = fault.kind.partition("_")[2]
        service = fault.target.partition("-")[0]
        match kind:
            case "broker":
                assert (fault.target, fault.held) == (BROKER, "")
            case "database":
                assert fault.target in SERVICES
                assert fault.held == ""
            case _:
                assert fault.target in PROCESSES
                assert fault.target == f"{service}-{kind}"
                assert fault.held in {"", service} | ({BROKER} if kind == "relay" else set())


def test_some_hundred_faults_meet_every_process_and_every_database() -> None:
    targets = {fault.target for fault in make_plan(3, 200).faults}
    assert targets == {*PROCESSES, *SERVICES, BROKER} - {"gateway"}


@pytest.mark.parametrize("seed", SEEDS)
def test_the_first_api_to_be_killed_takes_commands(seed: int) -> None:
    first = next(fault for fault in make_plan(seed, BLOCK_FAULTS).faults if fault.kind == "kill_api")
    assert first.target.removesuffix("-api") in WRITTEN_TO


def test_a_plan_that_failed_is_kept_whole(tmp_path: Path) -> None:
    plan = make_plan(7, 10)
    path = keep(plan, tmp_path / "kept")
    assert path.name.startswith("7-")
    assert load(path) == plan
    assert keep(plan, tmp_path / "kept") == path
