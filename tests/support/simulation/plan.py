"""Says what one run is: who does what when, and what goes wrong; a plan is data and is kept whole."""

import random
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final, Literal, get_args

import msgspec

FaultKind = Literal["crash", "stop", "pause", "skew", "cut", "failover", "broker_down", "expel"]
KINDS: Final[tuple[FaultKind, ...]] = get_args(FaultKind)
RATES: Final[dict[str, tuple[float, ...]]] = {
    "drop": (0.005, 0.02, 0.06),
    "slow": (0.02, 0.1),
    "stall": (0.002, 0.01, 0.03),
    "late": (0.01, 0.05, 0.2),
    "lag": (0.1, 0.5),
    "torn": (0.2, 1.0),
    "stale": (0.5, 1.0),
    "missed": (0.2, 1.0),
}
"""Chances that a seed may give to each mishap at every request, append, commit, find or wakeup."""
CALM_SEEDS: Final = 0.5
"""The chance that a seed has a kind of fault or mishap at all: each finds most when few others hide it."""
FAULTS_MAX: Final = 9
FAULTS_UNTIL_S: Final = 25.0
CRASH_STEPS_MAX: Final = 400
FAILOVER_REQUESTS_MAX: Final = 60
BURST_COMMANDS: Final = 8
BURST_S: Final = 0.2
LASTS_S: Final = (0.2, 9.0)
SKEW_MAX_S: Final = 15.0
FOREVER_S: Final = 120.0
"""Virtual time after which a world that is not done has failed."""


class Fault(msgspec.Struct, frozen=True, omit_defaults=True):
    """One thing that goes wrong at ``at`` seconds.

    ``crash``: ``node`` dies after ``steps`` more of its own steps and is back after ``lasts`` seconds; ``stop``: it is
    asked to end, and is back as well; ``pause``: it stands still; ``skew``: its clock is ``by`` seconds off from then
    on; ``cut``: nothing passes between it and ``server``; ``failover``: ``server`` has a new
    primary after ``steps`` more requests; ``broker_down``;
    ``expel``: the broker takes it for dead, which it learns last.
    """

    kind: FaultKind
    at: float
    node: str = ""
    server: str = ""
    lasts: float = 0.0
    by: float = 0.0
    steps: int = 0


class Command(msgspec.Struct, frozen=True, omit_defaults=True):
    """What one client wants at ``at`` seconds, once the commands named in ``after`` are settled."""

    id: str
    at: float
    kind: str
    body: dict[str, Any]
    after: tuple[str, ...] = ()


class Plan(msgspec.Struct, frozen=True):
    """One run, whole."""

    world: str
    seed: int
    partitions: int
    tight: bool
    """Whether batches and pages are so small that their limits are reached."""
    rates: dict[str, float]
    faults: list[Fault]
    commands: list[Command]


def dump(plan: Plan) -> bytes:
    """The plan as JSON, to be kept."""
    return msgspec.json.format(msgspec.json.encode(plan), indent=1) + b"\n"


def load(path: Path) -> Plan:
    """A plan that was kept."""
    return msgspec.json.decode(path.read_bytes(), type=Plan)


def weather(rng: random.Random) -> dict[str, float]:
    """The mishaps of one seed."""
    return {name: rng.choice(rates) for name, rates in RATES.items() if rng.random() < CALM_SEEDS}


def times(rng: random.Random, number: int, until_s: float) -> list[float]:
    """When commands are sent: spread out, or in bursts."""
    bursts = [rng.uniform(0, until_s) for _ in range(max(1, number // BURST_COMMANDS))]
    spread = rng.random() < CALM_SEEDS
    at = [rng.uniform(0, until_s) if spread else rng.choice(bursts) + rng.uniform(0, BURST_S) for _ in range(number)]
    return sorted(round(each, 3) for each in at)


def faults(rng: random.Random, nodes: Sequence[str], stores: Sequence[str], broker: str) -> list[Fault]:
    """The faults of one seed."""
    kinds = [kind for kind in KINDS if rng.random() < CALM_SEEDS]
    number = rng.randrange(FAULTS_MAX + 1) if kinds else 0
    made = [_fault(rng, rng.choice(kinds), nodes, stores, broker) for _ in range(number)]
    return sorted(made, key=lambda fault: fault.at)


def _fault(rng: random.Random, kind: FaultKind, nodes: Sequence[str], stores: Sequence[str], broker: str) -> Fault:
    at, lasts = round(rng.uniform(0, FAULTS_UNTIL_S), 3), round(rng.uniform(*LASTS_S), 3)
    node, server = rng.choice(nodes), rng.choice((*stores, broker))
    match kind:
        case "crash":
            # Half of them early in what the node is about to do: most of its work takes few steps.
            steps = rng.randrange(rng.choice((40, CRASH_STEPS_MAX)))
            return Fault(kind, at, node, lasts=lasts, steps=steps)
        case "expel":
            return Fault(kind, at, rng.choice([each for each in nodes if "processor" in each]))
        case "stop" | "pause":
            return Fault(kind, at, node, lasts=lasts)
        case "skew":
            at = at if rng.random() < CALM_SEEDS else 0.0  # as often wrong from the start as suddenly
            return Fault(kind, at, node, by=round(rng.uniform(-SKEW_MAX_S, SKEW_MAX_S), 2))
        case "cut":
            return Fault(kind, at, node, server, lasts=lasts)
        case "failover":
            # A random instant falls between requests that belong together only if it is counted by requests.
            return Fault(kind, at, server=rng.choice(stores), steps=rng.randrange(FAILOVER_REQUESTS_MAX))
        case "broker_down":
            return Fault(kind, at, server=broker, lasts=lasts)


def shrink(plan: Plan, fails: Callable[[Plan], bool], *, runs_max: int) -> tuple[Plan, int]:
    """A smaller plan that still fails in the same way, and how many runs it took: drops parts until none can go."""
    attempts = Attempts(fails, runs_max)
    before = None
    while before != plan and attempts.left:
        before = plan
        for name in sorted(plan.rates):
            rates = {each: rate for each, rate in plan.rates.items() if each != name}
            plan = attempts.better(plan, msgspec.structs.replace(plan, rates=rates))
        for start, end in _cuts(len(plan.faults)):
            kept = plan.faults[:start] + plan.faults[end:]
            plan = attempts.better(plan, msgspec.structs.replace(plan, faults=kept))
        for start, end in _cuts(len(plan.commands)):
            plan = attempts.better(plan, _without_commands(plan, plan.commands[start:end]))
    return plan, runs_max - attempts.left


class Attempts:
    """Tries smaller plans as long as there are runs left."""

    def __init__(self, fails: Callable[[Plan], bool], runs_max: int) -> None:
        self._fails = fails
        self.left = runs_max

    def better(self, plan: Plan, candidate: Plan) -> Plan:
        """The candidate if it is another plan and fails as well, else the plan."""
        if candidate == plan or not self.left:
            return plan
        self.left -= 1
        return candidate if self._fails(candidate) else plan


def _cuts(length: int) -> Iterator[tuple[int, int]]:
    """Ranges to try without: halves, quarters and so on down to single places, each size from the end to the start."""
    size = length // 2 or 1
    while length:
        yield from ((max(0, end - size), end) for end in range(length, 0, -size))
        if size == 1:
            return
        size //= 2


def _without_commands(plan: Plan, dropped: Sequence[Command]) -> Plan:
    """The plan without some commands and without those that wait for them."""
    gone = {command.id for command in dropped}
    kept: list[Command] = []
    for command in plan.commands:
        if command.id not in gone and gone.isdisjoint(command.after):
            kept.append(command)
        else:
            gone.add(command.id)
    return msgspec.structs.replace(plan, commands=kept)
