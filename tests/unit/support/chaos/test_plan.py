"""A chaos plan is made of its seed alone, meets everybody and every point in time, and is kept whole."""

from collections import Counter
from pathlib import Path

import pytest

from deploy.local.processes import GATEWAY, PROCESSES
from deploy.local.servers import SERVICES
from tests.support.chaos.plan import (
    AWAY_S,
    BLOCK_FAULTS,
    BROKER,
    CLIENTS,
    CRASHES,
    ENDINGS,
    EVERY_CARD,
    EVERY_S,
    FAMILIES,
    KEPT,
    LINKS,
    READ_BY,
    RIGHT_CLOCK,
    SESSION_TIMEOUT_S,
    WRITTEN_TO,
    Fault,
    keep,
    link_name,
    load,
    make_plan,
    victim,
)
from tests.support.chaos.points import services_at

SEEDS = range(25)
A_CAMPAIGN = 100


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
def test_ten_faults_are_of_every_family(seed: int) -> None:
    cards = Counter(fault.card for fault in make_plan(seed, BLOCK_FAULTS).faults)
    assert [sum(cards[card] for card in family) for _, family in FAMILIES] == [share for share, _ in FAMILIES]


@pytest.mark.parametrize("seed", SEEDS)
def test_a_hundred_faults_are_of_every_kind_at_every_point(seed: int) -> None:
    plan = make_plan(seed, A_CAMPAIGN)
    assert {fault.card for fault in [*plan.faults, *plan.endings]} == set(EVERY_CARD)
    assert {fault.card for fault in plan.faults} >= set(CRASHES)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_pause_lasts_longer_than_a_session(seed: int) -> None:
    for fault in make_plan(seed, A_CAMPAIGN).faults:
        shortest, longest = AWAY_S.get(fault.kind, (0.0, 0.0))
        assert shortest <= fault.away_s <= longest
        if fault.kind.startswith("pause"):
            assert fault.away_s > SESSION_TIMEOUT_S


@pytest.mark.parametrize("seed", SEEDS)
def test_a_fault_meets_what_it_names(seed: int) -> None:
    for fault in make_plan(seed, A_CAMPAIGN).faults:
        assert fault.target in _possible(fault), fault
        assert bool(fault.jump_s) == (fault.kind == "clock_jump")
        assert fault.held in {"", fault.target.partition("-")[0], BROKER}


def _possible(fault: Fault) -> set[str]:
    what, _, whom = fault.kind.partition("_")
    match whom:
        case "broker":
            return {BROKER}
        case "database":
            return set(SERVICES)
        case "api" | "processor" | "relay":
            services = services_at(whom, fault.point) if what == "crash" else SERVICES
            return {f"{service}-{whom}" for service in services}
        case _:
            pass
    match fault.kind:
        case "cut" | "stall":
            return {link_name(*each) for each in LINKS}
        case "clock_jump":
            return set(PROCESSES) - {GATEWAY, RIGHT_CLOCK}
        case "duplicates":
            return {topic for topics in READ_BY.values() for topic in topics}
        case _:
            return {CLIENTS}


def test_some_hundred_faults_meet_every_process_every_server_and_every_link() -> None:
    targets = {fault.target for fault in make_plan(3, 600).faults}
    assert targets >= {*PROCESSES, *SERVICES, BROKER} - {GATEWAY}
    assert targets >= {link_name(*each) for each in LINKS}


@pytest.mark.parametrize("seed", SEEDS)
def test_the_first_api_to_be_killed_takes_commands(seed: int) -> None:
    first = next(fault for fault in make_plan(seed, 30).faults if fault.kind == "kill_api")
    assert first.target.removesuffix("-api") in WRITTEN_TO


@pytest.mark.parametrize("seed", SEEDS)
def test_what_no_platform_survives_comes_last_each_to_another_processor(seed: int) -> None:
    plan = make_plan(seed, BLOCK_FAULTS)
    assert [fault.kind for fault in plan.endings] == list(ENDINGS)
    assert len({fault.target for fault in plan.endings}) == len(ENDINGS)
    assert not {fault.kind for fault in plan.faults} & set(ENDINGS)


def test_of_a_link_the_process_is_the_victim() -> None:
    assert victim(Fault(0.0, "cut", "hours-relay>broker")) == victim(Fault(0.0, "kill_relay", "hours-relay"))


def test_a_plan_that_failed_is_kept_whole(tmp_path: Path) -> None:
    plan = make_plan(7, 10)
    path = keep(plan, tmp_path / "kept")
    assert path.name.startswith("7-")
    assert load(path) == plan
    assert keep(plan, tmp_path / "kept") == path


def test_a_plan_of_an_earlier_release_is_still_read(tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    path.write_text(
        '{"seed": 1, "faults": [{"at_s": 1.5, "kind": "kill_api", "target": "hours-api", "away_s": 0.0, "held": ""}]}'
    )
    assert load(path).faults == [Fault(1.5, "kill_api", "hours-api")]


def test_every_processor_that_loses_its_topic_reads_it() -> None:
    assert all(len(topics) == 1 for topics in READ_BY.values())
    assert len(READ_BY) >= len(ENDINGS)


def test_plans_that_failed_once_are_still_read() -> None:
    kept = sorted(KEPT.glob("*.json"))
    assert kept
    for path in kept:
        plan = load(path)
        assert {fault.card for fault in plan.faults} <= set(EVERY_CARD)
