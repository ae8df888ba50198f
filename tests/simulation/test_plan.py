"""Plans: one seed gives one, they survive being kept, and what fails is made small."""

from pathlib import Path

import msgspec
import pytest

from tests.support.simulation import city, eventing_world
from tests.support.simulation.plan import Command, Fault, Plan, dump, load, shrink
from tests.support.simulation.runs import PLANS, run

pytestmark = pytest.mark.simulation


@pytest.mark.parametrize("world", PLANS)
def test_one_seed_gives_one_plan_and_keeping_it_changes_nothing(world: str, tmp_path: Path) -> None:
    for seed in range(20):
        plan = PLANS[world](seed)
        assert plan == PLANS[world](seed)
        (tmp_path / "plan.json").write_bytes(dump(plan))
        assert load(tmp_path / "plan.json") == plan


def test_seeds_differ() -> None:
    assert len({dump(city.make_plan(seed)) for seed in range(20)}) == 20


def test_a_kept_plan_runs_as_the_seed_did(tmp_path: Path) -> None:
    plan = eventing_world.make_plan(3)
    (tmp_path / "plan.json").write_bytes(dump(plan))
    first, second = run(plan), run(load(tmp_path / "plan.json"))
    assert (first.trace, first.steps, first.violation) == (second.trace, second.steps, second.violation)


def plan_of(faults: int, commands: int) -> Plan:
    made = [Command(f"c{n}", float(n), "give", {}, (f"c{n - 1}",) if n % 4 == 1 else ()) for n in range(commands)]
    some = [Fault("pause", float(n), "node", lasts=1.0) for n in range(faults)]
    return Plan("eventing", 1, 2, tight=False, rates={"drop": 0.1, "slow": 0.1, "lag": 0.1}, faults=some, commands=made)


def test_shrinking_leaves_only_what_it_takes_to_fail() -> None:
    def fails(plan: Plan) -> bool:
        names = {command.id for command in plan.commands}
        return "lag" in plan.rates and any(fault.at == 5 for fault in plan.faults) and {"c3", "c8"} <= names

    smallest, runs = shrink(plan_of(9, 30), fails, runs_max=500)
    assert list(smallest.rates) == ["lag"]
    assert [fault.at for fault in smallest.faults] == [5]
    assert [command.id for command in smallest.commands] == ["c3", "c8"]
    assert runs < 200


def test_shrinking_drops_what_waits_for_a_dropped_command() -> None:
    smallest, _ = shrink(plan_of(0, 12), lambda plan: any(c.id == "c2" for c in plan.commands), runs_max=500)
    assert [command.id for command in smallest.commands] == ["c2"]
    kept, _ = shrink(plan_of(0, 12), lambda plan: any(c.id == "c5" for c in plan.commands), runs_max=500)
    assert [command.id for command in kept.commands] == ["c4", "c5"]


def test_shrinking_stops_at_its_limit() -> None:
    _, runs = shrink(plan_of(9, 30), lambda _: False, runs_max=7)
    assert runs == 7


def test_an_unknown_field_of_a_kept_plan_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "plan.json").write_bytes(b'{"world": "eventing"}')
    with pytest.raises(msgspec.ValidationError):
        load(tmp_path / "plan.json")
