"""A world of three tiny services, where nothing but eventing can go wrong."""

import asyncio
import hashlib
import random
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import msgspec
from starlette.responses import Response

from services.contracts import operations
from services.contracts.codec import decode
from services.contracts.hours import TIMEOUTS
from services.contracts.ids import ActorId, EventId
from services.contracts.registry import VOLUNTEERS
from services.eventing.facts import derived_id
from services.eventing.operations import EXECUTED_RULE, REQUESTS, refusal_at, request_document
from services.eventing.parking import parked_id
from services.eventing.ports import Ports, Transaction
from services.eventing.processor import Engine
from services.eventing.relay.loop import run_relay
from services.runtime.auth import Caller
from services.runtime.commands import Command as RuntimeCommand
from services.runtime.outcomes import Accepted, Outcome, Refusal
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


OPERATIONS: Final = operations.OPERATIONS["hours"]
CONSUMERS: Final = (Consumer(ADDING, tiny.AddingHandler(), OPERATIONS), Consumer(TOTALS, tiny.TotalsHandler()))
MENDED: Final = 12
"""What an operator puts in for an amount that cannot be decided."""
MENDS: Final = (1, 5)
MENDS_UNTIL_S: Final = 28.0
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
        consumer = next(each for each in CONSUMERS if each.service == life.spec.service)
        engine = Engine(
            consumer.handler, life.ports.store, life.ports.wall, self.observer, operators=consumer.operators
        )
        await SimulatedWorker(
            engine, self.broker, life.ports, self.observer, member=life.name, stopping=life.stopping
        ).run()

    async def carry_out(self, command: Command) -> None:
        if command.kind == "mend":
            await self._mend(command)
        else:
            await self._give(command)

    async def _mend(self, command: Command) -> None:
        """An operator asks something of a key's queue, if there is one."""
        api = int(command.id[-1]) % 2
        while True:
            api = 1 - api
            try:
                response = await self.ask(f"{ADDING}.relay{api}", lambda life: _mend(life.ports, command))
            except Unanswered:
                continue
            if response.status_code in (*SETTLED, 404):
                self.coverage[f"mend_{response.status_code}"] += 1
                return
            await asyncio.sleep(TRY_AGAIN_S)

    async def _give(self, command: Command) -> None:
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
        mended, discarded = self._check_operations()
        applied = [each for each in self.given if each.event_id not in waiting | discarded]
        accounts = self.stores[ADDING].now_at_majority(tiny.ACCOUNTS)
        people = self.stores[TOTALS].now_at_majority(tiny.PEOPLE)
        for key in {each.key for each in self.given}:
            amounts = [MENDED if each.event_id in mended else each.amount for each in applied if each.key == key]
            for name, documents in (("adding", accounts), ("totals", people)):
                balance = documents.get(key, {}).get("balance", 0)
                if balance != sum(amounts):
                    self.fail("balance", f"{name} {key}: {balance}, given {sum(amounts)}")
            poison = {each.event_id for each in self.given if each.amount == tiny.POISON and each.key == key}
            parked = any(queue["key"] == key for queue in queues)
            if (parked and not poison) or (not parked and poison - mended - discarded):
                self.fail("parked", f"{key}: {len(poison)} poisoned, parked {parked}")
        entries = self.stores[ADDING].now_at_majority(tiny.ENTRIES)
        events = [event for event in self.auditor.committed.values() if event.topic in tiny.AddingHandler.topics]
        if sorted(entries) != sorted(derived_id(e.id, "add", 0) for e in events if e.id not in waiting | discarded):
            self.fail("entries", f"{len(entries)} entries of {len(events)} events")
        for stream, told in self.auditor.streams.items():
            if stream[0] in tiny.AddingHandler.topics:
                ids = [derived_id(event.id, "add", 0) for event in told]
                numbers = [entries[each]["number"] for each in ids if each in entries]
                if numbers != sorted(numbers):
                    self.fail("order", f"{stream} was applied as {numbers}")

    def _check_operations(self) -> tuple[set[str], set[str]]:
        """Every request was executed, once; the events that were mended, and those that were discarded."""
        asked: list[str] = []
        mended: set[str] = set()
        discarded: set[str] = set()
        ended: list[str] = []
        for event in self.auditor.committed.values():
            if event.type == OPERATIONS.requested.TYPE:
                asked.append(derived_id(event.id, EXECUTED_RULE, 0))
            elif event.type == OPERATIONS.executed.TYPE:
                ended.append(event.id)
                data = decode(event.type, event.value).data
                self.coverage[f"{data.action}_{data.outcome}"] += 1
                if data.outcome == "done" and data.action != "redrive":
                    (mended if data.action == "repair" else discarded).add(data.record.event_id)
        if sorted(asked) != sorted(ended):
            self.fail("operations", f"{len(ended)} of {len(asked)} requests were executed")
        return mended, discarded

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
    command = _runtime_command(ports, wanted)
    facts = [command.fact(tiny.given(key, amount)) for key, amount in wanted.body["to"]]
    return await command.run(lambda tx: tiny.give(tx, command, facts, wanted.body))


def _runtime_command(ports: Ports, wanted: Command) -> RuntimeCommand:
    body = msgspec.json.encode(wanted.body)
    return RuntimeCommand(
        caller=CALLER,
        key=wanted.id,
        now=ports.clock.now(),
        ports=ports,
        traceparent=None,
        if_match=None,
        route=wanted.kind,
        request_sha256=hashlib.sha256(body).hexdigest(),
        kept_days=7,
        problems=PROBLEMS,
    )


async def _mend(ports: Ports, wanted: Command) -> Response:
    """What the adding service's routes for operators would do with one request."""
    command = _runtime_command(ports, wanted)
    request_id, key, action = command.new_id(), wanted.body["key"], wanted.body["action"]
    each = parked_id("adding", key)

    async def work(tx: Transaction) -> Outcome:
        queue = (await tx.get(PARKING, [each])).get(each)
        if queue is None or (action != "redrive" and refusal_at(queue, 0) is not None):
            return Refusal("not_found")
        first = queue["records"][0]
        place = {name: first[name] for name in ("topic", "partition", "offset")}
        asked = OPERATIONS.requested(
            request_id=request_id,
            parked_id=each,
            parked_key=key,
            action=action,
            record=None if action == "redrive" else operations.ParkedRecord(**place, event_id=EventId(first["id"])),
            corrected=_mended(first["value"]) if action == "repair" else None,
            reason_code="trial_record",
            requested_by=ActorId("operator"),
            confirmed_by=ActorId("another") if action == "discard" else None,
        )
        kept = request_document(asked, "requested", requested_at=command.now)
        await tx.replace(REQUESTS, [kept])
        return Accepted({}, [command.fact(asked)])

    return await command.run(work)


def _mended(value: bytes) -> str:
    return value.decode().replace(f'"number":"{tiny.POISON}"', f'"number":"{MENDED}"')


def _mends(rng: random.Random, commands: Sequence[Command]) -> list[Command]:
    """What operators do: each looks at one key, some time after something was given that cannot be decided."""
    poisoned = [each for each in commands if any(amount == tiny.POISON for _, amount in each.body["to"])]
    made: list[Command] = []
    for _ in range(rng.randint(*MENDS) if poisoned else 0):
        cause = rng.choice(poisoned)
        key = next(key for key, amount in cause.body["to"] if amount == tiny.POISON)
        at = rng.uniform(cause.at, MENDS_UNTIL_S)
        for action in rng.choice((("repair", "redrive"), ("discard", "redrive"), ("redrive",), ("discard",))):
            at = round(at + rng.uniform(0.0, 3.0), 3)
            made.append(Command(f"m{len(made):02d}", at, "mend", {"key": key, "action": action}, (cause.id,)))
    return made


def make_plan(seed: int) -> Plan:
    """The plan of one seed."""
    rng = random.Random(f"eventing {seed}")
    poisoned = rng.random() < POISONED_SEEDS
    times = plans.times(rng, rng.randint(*COMMANDS), COMMANDS_UNTIL_S)
    commands = [_command(rng, number, at, poisoned=poisoned) for number, at in enumerate(times)]
    commands += _mends(random.Random(f"mends {seed}"), commands) if poisoned else []
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
