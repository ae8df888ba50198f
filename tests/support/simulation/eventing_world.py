"""A world of three tiny services, where nothing but eventing can go wrong."""

import asyncio
import hashlib
import random
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import msgspec
from starlette.responses import Response

from services.contracts.hours import TIMEOUTS
from services.contracts.ids import ActorId
from services.contracts.registry import VOLUNTEERS
from services.eventing.facts import derived_id
from services.eventing.ports import Ports
from services.eventing.processor import Engine
from services.eventing.relay.loop import run_relay
from services.runtime.auth import Caller
from services.runtime.commands import Command as RuntimeCommand
from services.runtime.problems import ProblemTable
from tests.support.simulation import plan as plans
from tests.support.simulation import tiny
from tests.support.simulation.auditor import PARKING
from tests.support.simulation.log import SimulatedLogWriter
from tests.support.simulation.plan import Command, Plan
from tests.support.simulation.worker import SimulatedWorker
from tests.support.simulation.world import TRY_AGAIN_S, Consumer, Life, Spec, Unanswered, World

GIVING, ADDING, TOTALS = "giving", "adding", "totals"
SERVICES: Final = (GIVING, ADDING, TOTALS)
KINDS: Final = {GIVING: ("api", "relay"), ADDING: ("relay", "processor"), TOTALS: ("relay", "processor")}
NODES: Final = tuple(f"{name}.{kind}{i}" for name, kinds in KINDS.items() for kind in kinds for i in range(2))
KEYS_MAX: Final = 4
COMMANDS: Final = (6, 26)
COMMANDS_UNTIL_S: Final = 20.0
AMOUNT_MAX: Final = 90
POISONED_SEEDS: Final = 0.4
PROBLEMS: Final = ProblemTable(tiny.PROBLEMS)
CALLER: Final = Caller(ActorId("client"), "client", frozenset(), "*")


CONSUMERS: Final = (Consumer(ADDING, tiny.AddingHandler()), Consumer(TOTALS, tiny.TotalsHandler()))
SETTLED: Final = (200, 422)


class Given(NamedTuple):
    """One amount whose giving was acknowledged."""

    event_id: str
    key: str
    amount: int
    remind: bool


class EventingWorld(World):
    """Two APIs of the giving service, two relays of each service, two processors each of adding and totals."""

    services = SERVICES

    def __init__(self, plan: Plan) -> None:
        super().__init__(plan)
        self.given: list[Given] = []

    def append_only(self) -> frozenset[tuple[str, str]]:
        return frozenset({(ADDING, tiny.ENTRIES), (GIVING, tiny.GIVEN)})

    def prepare(self) -> None:
        for server in self.stores.values():
            server.prepare(tiny.COLLECTIONS, tiny.INDEXES)

    def specs(self) -> Sequence[Spec]:
        mains = {"api": None, "relay": self._relay, "processor": self._processor}
        return [Spec(name, name.partition(".")[0], mains[name.partition(".")[2][:-1]]) for name in NODES]

    def consumers(self) -> Sequence[Consumer]:
        return CONSUMERS

    async def _relay(self, life: Life) -> None:
        due = [tiny.Reminders(life.ports)] if life.spec.service == GIVING else []
        await run_relay(
            life.ports,
            SimulatedLogWriter(self.broker, life.name),
            self.observer,
            due,
            holder=life.spec.name,
            stop=life.stopping,
        )

    async def _processor(self, life: Life) -> None:
        handler = next(each.handler for each in CONSUMERS if each.service == life.spec.service)
        engine = Engine(handler, life.ports.store, life.ports.wall, self.observer)
        await SimulatedWorker(
            engine, self.broker, life.ports, self.observer, member=life.name, stopping=life.stopping
        ).run()

    async def carry_out(self, command: Command) -> None:
        api = int(command.id[-1]) % 2
        while True:
            api = 1 - api
            try:
                response = await self.ask(f"{GIVING}.api{api}", lambda life: _give(life.ports, command))
            except Unanswered:
                continue
            if response.status_code in SETTLED:
                break
            await asyncio.sleep(TRY_AGAIN_S)
        refused = any(amount == tiny.REFUSED for _, amount in command.body["to"])
        if refused != (response.status_code != SETTLED[0]):
            self.fail("answer", f"{response.status_code} to {command}")
        if not refused:
            ids = msgspec.json.decode(response.body)["ids"]
            for event_id, (key, amount) in zip(ids, command.body["to"], strict=True):
                self.given.append(Given(event_id, key, amount, bool(command.body.get("remind"))))

    def what_is_due(self) -> str:
        return ", ".join(self.stores[GIVING].now_at_majority(tiny.REMINDERS))

    async def check(self) -> None:
        self._check_facts()
        queues = self.stores[ADDING].now_at_majority(PARKING).values()
        waiting = {record["id"] for queue in queues for record in queue["records"]}
        applied = [each for each in self.given if each.event_id not in waiting]
        accounts = self.stores[ADDING].now_at_majority(tiny.ACCOUNTS)
        people = self.stores[TOTALS].now_at_majority(tiny.PEOPLE)
        for key in {each.key for each in self.given}:
            amounts = [each.amount for each in applied if each.key == key]
            for name, documents in (("adding", accounts), ("totals", people)):
                balance = documents.get(key, {}).get("balance", 0)
                if balance != sum(amounts):
                    self.fail("balance", f"{name} {key}: {balance}, given {sum(amounts)}")
            poisoned = any(each.amount == tiny.POISON and each.key == key for each in self.given)
            if poisoned != any(queue["key"] == key for queue in queues):
                self.fail("parked", f"{key}: poisoned {poisoned}")
        entries = self.stores[ADDING].now_at_majority(tiny.ENTRIES)
        events = [event for event in self.auditor.committed.values() if event.topic in tiny.AddingHandler.topics]
        if sorted(entries) != sorted(derived_id(e.id, "add", 0) for e in events if e.id not in waiting):
            self.fail("entries", f"{len(entries)} entries of {len(events)} events")

    def _check_facts(self) -> None:
        """Every acknowledged command announced what it promised, once, and nothing else was announced."""
        committed = self.auditor.committed.values()
        facts = sorted(event.id for event in committed if event.topic == VOLUNTEERS)
        if facts != sorted(each.event_id for each in self.given):
            self.fail("acknowledged", f"{len(facts)} facts for {len(self.given)} acknowledged ones")
        reminders = sorted(event.id for event in committed if event.topic == TIMEOUTS)
        if reminders != sorted(derived_id(each.event_id, "remind", 0) for each in self.given if each.remind):
            self.fail("reminders", f"{len(reminders)} reminders")


async def _give(ports: Ports, wanted: Command) -> Response:
    """What the giving service's route would do with one request."""
    body = msgspec.json.encode(wanted.body)
    command = RuntimeCommand(
        caller=CALLER,
        key=wanted.id,
        now=ports.clock.now(),
        ports=ports,
        traceparent=None,
        if_match=None,
        route="give",
        request_sha256=hashlib.sha256(body).hexdigest(),
        kept_days=7,
        problems=PROBLEMS,
    )
    facts = [command.fact(tiny.given(key, amount)) for key, amount in wanted.body["to"]]
    return await command.run(lambda tx: tiny.give(tx, command, facts, wanted.body))


def make_plan(seed: int) -> Plan:
    """The plan of one seed."""
    rng = random.Random(f"eventing {seed}")
    poisoned = rng.random() < POISONED_SEEDS
    times = plans.times(rng, rng.randint(*COMMANDS), COMMANDS_UNTIL_S)
    commands = [_command(rng, number, at, poisoned=poisoned) for number, at in enumerate(times)]
    return Plan(
        world="eventing",
        seed=seed,
        partitions=rng.choice((1, 2, 2, 3)),
        tight=rng.random() < plans.CALM_SEEDS,
        rates=plans.weather(rng),
        faults=plans.faults(rng, NODES, SERVICES, "broker"),
        commands=commands,
    )


def _command(rng: random.Random, number: int, at: float, *, poisoned: bool) -> Command:
    keys = [f"k{rng.randrange(KEYS_MAX)}" for _ in range(rng.choice((1, 1, 2, 3)))]
    amounts = [rng.randrange(14, AMOUNT_MAX) for _ in keys]
    if poisoned and rng.random() < 0.1:
        amounts[-1] = tiny.POISON
    elif rng.random() < 0.1:
        amounts[0] = tiny.REFUSED
    body: dict[str, Any] = {"to": [list(each) for each in zip(keys, amounts, strict=True)]}
    if rng.random() < 0.2:
        body["remind"] = True
    return Command(f"c{number:02d}", at, "give", body)
