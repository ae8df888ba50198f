"""Says what goes wrong in a run, and when: data made from a seed, and kept if the run fails."""

import hashlib
import os
import random
from collections.abc import Iterator
from itertools import cycle
from pathlib import Path
from typing import Final, Literal, get_args

import msgspec

from deploy.local.servers import SERVICES

FaultKind = Literal["kill_api", "kill_processor", "kill_relay", "kill_database", "kill_broker", "pause_processor"]
KINDS: Final[tuple[FaultKind, ...]] = get_args(FaultKind)
BLOCK_FAULTS: Final = 10
"""Of so many faults one each is of every kind; the rest are of ``MORE``, for a broker or a pause is felt for long."""
MORE: Final[tuple[FaultKind, ...]] = (
    "kill_api",
    "kill_processor",
    "kill_processor",
    "kill_relay",
    "kill_relay",
    "kill_database",
)
BROKER: Final = "broker"
FIRST_AT_S: Final = 3.0
EVERY_S: Final = 6.0
SESSION_TIMEOUT_S: Final = 10.0
"""Of a processor in its consumer group: who is paused for longer has lost its partitions when it goes on."""
AWAY_S: Final[dict[FaultKind, tuple[float, float]]] = {
    "kill_api": (0.0, 0.0),
    "kill_processor": (0.0, 0.0),
    "kill_relay": (0.0, 0.0),
    "kill_database": (0.2, 6.0),
    "kill_broker": (0.2, 6.0),
    "pause_processor": (SESSION_TIMEOUT_S + 1.0, SESSION_TIMEOUT_S + 5.0),
}
"""How long a server stays dead before it is started again, and a process paused; supervisord restarts at once."""
HELD_S: Final = 0.4
HELD: Final = 0.7
"""The share of processes that are struck while they wait: by chance alone few would be."""
WRITTEN_TO: Final = ("registry", "activities")
"""The services that take commands: their APIs are killed first, those of the others only answer questions."""
SEEDS_MAX: Final = 1 << 31
KEPT: Final = Path(__file__).resolve().parents[2] / "chaos" / "failing_plans"
"""Plans that failed; ``CHAOS_PLAN=path`` runs one again."""


class Fault(msgspec.Struct, frozen=True):
    """One thing that goes wrong at ``at_s`` after the load began, to a process, a service's database or the broker.

    ``held``: the broker or database that stands still for ``HELD_S`` before, so that a client is struck while it waits
    for an answer, which the server gives all the same: a commit or an append that nobody hears of.
    """

    at_s: float
    kind: FaultKind
    target: str
    away_s: float
    held: str = ""


class Plan(msgspec.Struct, frozen=True):
    """One run: the seed of its load, and its faults in order."""

    seed: int
    faults: list[Fault]


def fresh_seed() -> int:
    """A seed that nobody chose."""
    return int.from_bytes(os.urandom(4), "big") % SEEDS_MAX


def make_plan(seed: int, faults: int) -> Plan:
    """The plan of a seed."""
    rng = random.Random(f"chaos {seed}")
    targets = {kind: _targets(rng, kind) for kind in KINDS}
    made = []
    for number, kind in enumerate(_kinds(rng, faults)):
        at_s, away_s, target = (
            FIRST_AT_S + EVERY_S * (number + rng.random()),
            rng.uniform(*AWAY_S[kind]),
            next(targets[kind]),
        )
        made.append(Fault(round(at_s, 2), kind, target, round(away_s, 2), _held(rng, kind, target)))
    return Plan(seed, made)


def _held(rng: random.Random, kind: FaultKind, target: str) -> str:
    """The server that a process is made to wait for: its database; for a relay more often the broker."""
    service, dash, _ = target.partition("-")
    if not dash or rng.random() > HELD:
        return ""
    return rng.choice((service, BROKER, BROKER)) if kind == "kill_relay" else service


def _kinds(rng: random.Random, faults: int) -> list[FaultKind]:
    kinds: list[FaultKind] = []
    while len(kinds) < faults:
        block = [*KINDS, *(rng.choice(MORE) for _ in range(BLOCK_FAULTS - len(KINDS)))]
        rng.shuffle(block)
        kinds += block
    return kinds[:faults]


def _targets(rng: random.Random, kind: FaultKind) -> Iterator[str]:
    """Whom a kind of fault meets, one service after the other, so that few faults meet many."""
    if kind == "kill_broker":
        return cycle([BROKER])
    services = rng.sample(SERVICES, len(SERVICES))
    if kind == "kill_api":
        services.sort(key=lambda service: service not in WRITTEN_TO)
    if kind == "kill_database":
        return cycle(services)
    return cycle([f"{service}-{kind.partition('_')[2]}" for service in services])


def dump(plan: Plan) -> bytes:
    """The plan as JSON, to be kept."""
    return msgspec.json.format(msgspec.json.encode(plan), indent=1) + b"\n"


def load(path: Path) -> Plan:
    """A plan that was kept. Raises ``msgspec.ValidationError`` for anything else."""
    return msgspec.json.decode(path.read_bytes(), type=Plan)


def keep(plan: Plan, folder: Path = KEPT) -> Path:
    """Keeps a plan that failed; where it is."""
    text = dump(plan)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{plan.seed}-{hashlib.sha256(text).hexdigest()[:8]}.json"
    path.write_bytes(text)
    return path
