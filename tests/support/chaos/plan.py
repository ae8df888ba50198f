"""Says what goes wrong in a run, and when: data made from a seed, and kept if the run fails."""

import hashlib
import os
import random
from collections.abc import Iterator, Sequence
from itertools import cycle
from pathlib import Path
from typing import Final, Literal, TypeVar, get_args

import msgspec

from deploy.local.processes import GATEWAY
from deploy.local.servers import SERVICES
from tests.support.chaos.points import POINTS, services_at

FaultKind = Literal[
    "kill_api",
    "kill_processor",
    "kill_relay",
    "kill_database",
    "kill_broker",
    "crash_api",
    "crash_processor",
    "crash_relay",
    "pause_api",
    "pause_processor",
    "pause_relay",
    "full_database",
    "full_broker",
    "slow_database",
    "slow_broker",
    "cut",
    "stall",
    "clock_jump",
    "duplicates",
    "poison",
    "expired_token",
    "overload",
    "truncated_topic",
    "recreated_topic",
]
KINDS: Final[tuple[FaultKind, ...]] = get_args(FaultKind)
T = TypeVar("T")
BROKER: Final = "broker"
CLIENTS: Final = "clients"
"""The target of what the load itself does."""
Card = tuple[FaultKind, str]
"""A kind of fault and, where a process is to kill itself, the point."""
CRASHES: Final[tuple[Card, ...]] = (
    *(("crash_api", point) for point in POINTS["api"]),
    *(("crash_processor", point) for point in POINTS["processor"]),
    *(("crash_relay", point) for point in POINTS["relay"]),
)
FAMILIES: Final[tuple[tuple[int, tuple[Card, ...]], ...]] = (
    (3, CRASHES),
    (1, (("kill_api", ""), ("kill_processor", ""), ("kill_relay", ""))),
    (1, (("kill_database", ""), ("kill_broker", ""))),
    (1, (("pause_processor", ""), ("pause_relay", ""), ("pause_api", ""))),
    (1, (("full_database", ""), ("slow_database", ""), ("full_broker", ""), ("slow_broker", ""))),
    (1, (("cut", ""), ("stall", ""))),
    (1, (("clock_jump", ""), ("expired_token", ""), ("overload", ""))),
    (1, (("duplicates", ""), ("poison", ""))),
)
"""Families of faults. Of every ``BLOCK_FAULTS`` so many are of each, and each family goes through all it has before it
begins again: a hundred faults pass every kind and every point."""
BLOCK_FAULTS: Final = 10
ENDINGS: Final[tuple[FaultKind, ...]] = ("truncated_topic", "recreated_topic")
"""What no platform survives: it comes last, when all else is judged, and the processor must stop."""
EVERY_CARD: Final[tuple[Card, ...]] = (
    *(card for _, cards in FAMILIES for card in cards),
    *((kind, "") for kind in ENDINGS),
)
FIRST_AT_S: Final = 3.0
EVERY_S: Final = 6.0
SESSION_TIMEOUT_S: Final = 10.0
"""Of a processor in its consumer group: who is paused for longer has lost its partitions when it goes on. A relay's
lease is as long, and so is a client's patience with an answer."""
PAUSED_S: Final = (SESSION_TIMEOUT_S + 1.0, SESSION_TIMEOUT_S + 5.0)
AT_ONCE_S: Final = (0.0, 0.0)
AWAY_S: Final[dict[FaultKind, tuple[float, float]]] = {
    "kill_database": (0.2, 6.0),
    "kill_broker": (0.2, 6.0),
    "pause_api": PAUSED_S,
    "pause_processor": PAUSED_S,
    "pause_relay": PAUSED_S,
    "full_database": (2.0, 6.0),
    "full_broker": (2.0, 6.0),
    "slow_database": (4.0, 8.0),
    "slow_broker": (4.0, 8.0),
    "cut": (2.0, 10.0),
    "stall": (2.0, 10.0),
    "clock_jump": (4.0, 10.0),
    "overload": (3.0, 6.0),
}
"""How long it lasts; what is not named is over at once (supervisord restarts a process by itself)."""
HELD_S: Final = 0.4
HELD: Final = 0.7
"""The share of processes that are struck while they wait: by chance alone few would be."""
JUMPS_S: Final = (30, 900)
"""How far a clock jumps, ahead or back."""
AHEAD_S_MAX: Final = 60
"""A relay's jumps no further ahead: were it to die then, its successor would wait for so long for the lease to end."""
PASSINGS: Final[dict[str, tuple[int, int]]] = {"lease_renewed": (1, 3)}
PASSINGS_ELSE: Final = (1, 6)
"""At which passing of a point a process dies, counted from when the fault begins."""
WRITTEN_TO: Final = ("registry", "activities")
"""The services that take commands: their APIs are killed first, those of the others only answer questions."""
RIGHT_CLOCK: Final = "activities-api"
"""It judges by its own time whether a code, a check-in or a sealed batch comes in time, and tells clients so: what they
would have to be told meanwhile is not this load's business."""
READ_BY: Final[dict[str, tuple[str, ...]]] = {
    "activities": ("registry.volunteers",),
    "hours": ("activities.attendance",),
    "assessment": ("hours.entries",),
}
"""A topic of each processor that surely has records after a run."""
SEEDS_MAX: Final = 1 << 31
KEPT: Final = Path(__file__).resolve().parents[2] / "chaos" / "failing_plans"
"""Plans that failed; ``CHAOS_PLAN=path`` runs one again."""


def link_name(process: str, server: str) -> str:
    """What the way from a process to what it speaks to is called."""
    return f"{process}>{server}"


LINKS: Final[tuple[tuple[str, str], ...]] = (
    *((f"{service}-{kind}", service) for service in SERVICES for kind in ("api", "processor", "relay")),
    *((f"{service}-{kind}", BROKER) for service in SERVICES for kind in ("processor", "relay")),
    *((GATEWAY, f"{service}-api") for service in SERVICES),
)
"""Every two that speak to each other: processes with their databases and the broker, the gateway with each api."""


class Fault(msgspec.Struct, frozen=True):
    """One thing that goes wrong at ``at_s`` after the load began, to a process, a service's database, a link, the
    broker or the clients.

    ``held``: the broker or database that stands still for ``HELD_S`` before, so that a client is struck while it waits
    for an answer, which the server gives all the same: a commit or an append that nobody hears of. ``point``: where a
    process kills itself, at the so manieth passing. ``jump_s``: how far a clock is wrong.
    """

    at_s: float
    kind: FaultKind
    target: str
    away_s: float = 0.0
    held: str = ""
    point: str = ""
    passing: int = 1
    jump_s: int = 0

    @property
    def card(self) -> Card:
        """The row of the table that it belongs to."""
        return self.kind, self.point

    @property
    def name(self) -> str:
        """What it is called in what a run tells."""
        return f"{self.kind}{f' at {self.point}' if self.point else ''}"


class Plan(msgspec.Struct, frozen=True):
    """One run: the seed of its load, its faults in order, and what ends the platform when all is judged."""

    seed: int
    faults: list[Fault]
    endings: list[Fault] = []


def fresh_seed() -> int:
    """A seed that nobody chose."""
    return int.from_bytes(os.urandom(4), "big") % SEEDS_MAX


def make_plan(seed: int, faults: int) -> Plan:
    """The plan of a seed."""
    rng = random.Random(f"chaos {seed}")
    targets = {card: _targets(rng, card) for card in EVERY_CARD}
    made = [
        _fault(rng, round(FIRST_AT_S + EVERY_S * (number + rng.random()), 2), card, next(targets[card]))
        for number, card in enumerate(_cards(rng, faults))
    ]
    services = rng.sample(sorted(READ_BY), len(ENDINGS))
    endings = [Fault(0.0, kind, f"{service}-processor") for kind, service in zip(ENDINGS, services, strict=True)]
    return Plan(seed, made, endings)


def _fault(rng: random.Random, at_s: float, card: Card, target: str) -> Fault:
    kind, point = card
    return Fault(
        at_s,
        kind,
        target,
        round(rng.uniform(*AWAY_S.get(kind, AT_ONCE_S)), 2),
        held=_held(rng, kind, target),
        point=point,
        passing=rng.randint(*PASSINGS.get(point, PASSINGS_ELSE)) if point else 1,
        jump_s=_jump_s(rng, target) if kind == "clock_jump" else 0,
    )


def _jump_s(rng: random.Random, target: str) -> int:
    jump_s = rng.choice((-1, 1)) * rng.randint(*JUMPS_S)
    return min(jump_s, AHEAD_S_MAX) if target.endswith("-relay") else jump_s


def _held(rng: random.Random, kind: FaultKind, target: str) -> str:
    """The server that a process is made to wait for: its database; for a relay more often the broker."""
    if kind not in {"kill_api", "kill_processor", "kill_relay", "pause_processor"} or rng.random() > HELD:
        return ""
    service = target.partition("-")[0]
    return rng.choice((service, BROKER, BROKER)) if kind == "kill_relay" else service


def _cards(rng: random.Random, faults: int) -> list[Card]:
    decks = [(share, cycle(rng.sample(cards, len(cards)))) for share, cards in FAMILIES]
    drawn: list[Card] = []
    while len(drawn) < faults:
        block = [next(deck) for share, deck in decks for _ in range(share)]
        rng.shuffle(block)
        drawn += block
    return drawn[:faults]


def _targets(rng: random.Random, card: Card) -> Iterator[str]:
    """Whom a kind of fault meets, one service after the other, so that few faults meet many."""
    kind, point = card
    what, _, whom = kind.partition("_")
    if whom == "broker":
        return cycle([BROKER])
    if whom == "database":
        return cycle(_shuffled(rng, SERVICES))
    if what == "crash":
        return cycle([f"{service}-{whom}" for service in _shuffled(rng, services_at(whom, point))])
    if what in {"kill", "pause"}:
        services = _shuffled(rng, SERVICES)
        if whom == "api":
            services.sort(key=lambda service: service not in WRITTEN_TO)
        return cycle([f"{service}-{whom}" for service in services])
    if kind in {"cut", "stall"}:
        return cycle([link_name(*each) for each in _shuffled(rng, LINKS)])
    if kind == "clock_jump":
        processes = {process for process, _ in LINKS} - {GATEWAY, RIGHT_CLOCK}
        return cycle(_shuffled(rng, sorted(processes)))
    if kind == "duplicates":
        return cycle(_shuffled(rng, [topic for topics in READ_BY.values() for topic in topics]))
    return cycle([CLIENTS])


def _shuffled(rng: random.Random, items: Sequence[T]) -> list[T]:
    return rng.sample(items, len(items))


def victim(fault: Fault) -> str:
    """Who must not suffer two faults at a time; of a link the process whose it is."""
    return fault.target.partition(">")[0]


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
