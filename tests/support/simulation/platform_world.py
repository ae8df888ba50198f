"""A world of the four real services: their routes, handlers, relays and processors, and a small city's clients."""

import asyncio
import json
import random
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import ClassVar, Final

from services.assessment.facts import store as facts
from services.assessment.scores import store as scores
from services.contracts.event import Event
from services.contracts.ids import EventId
from services.contracts.registry import VOLUNTEERS, VolunteerRegistered
from services.eventing.facts import Fact
from services.eventing.outbox import emit
from services.eventing.ports import AlreadyExistsError, StoreError, Transaction
from services.eventing.processor import Engine
from services.eventing.relay.loop import run_relay
from tests.support.simulation import city
from tests.support.simulation.auditor import PARKING
from tests.support.simulation.city_checks import QUARTERS, CityChecks
from tests.support.simulation.city_clients import CityClients
from tests.support.simulation.city_model import CityModel
from tests.support.simulation.clocks import EPOCH
from tests.support.simulation.documents import Body, Place
from tests.support.simulation.ledger_auditor import ENTRIES, LedgerAuditor
from tests.support.simulation.log import SimulatedLogWriter
from tests.support.simulation.plan import Command, Plan
from tests.support.simulation.platform_apis import WIRINGS
from tests.support.simulation.store import SimulatedStore
from tests.support.simulation.worker import SimulatedWorker
from tests.support.simulation.world import TRY_AGAIN_S, Consumer, Life, Spec, World

HANDLERS: Final = {name: wiring.build_handler() for name, wiring in WIRINGS.items()}
TIME_OUT: Final = timedelta(hours=24)


class Renamed(Event, frozen=True, kw_only=True, gc=False):
    """An event of a newer registry, which nobody here declares."""

    TYPE: ClassVar[str] = "registry.volunteer.renamed.v9"
    TOPIC: ClassVar[str] = VOLUNTEERS
    KEY: ClassVar[str] = "volunteer_id"

    volunteer_id: str


class PlatformWorld(World):
    """Two processes of each of the three kinds for each of the four services."""

    services = city.SERVICES

    def __init__(self, plan: Plan) -> None:
        super().__init__(plan)
        self.model = CityModel()
        self.clients = CityClients(self, self.model)
        self.ledger = LedgerAuditor(self.fail)
        self.poisoned: set[str] = set()
        """People of whom a newer event was announced."""
        self.stores["hours"].on_majority = self._on_hours

    def _on_hours(self, name: str, writes: Mapping[Place, Body | None]) -> None:
        self.auditor.on_majority(name, writes)
        self.ledger.on_majority(writes)

    def append_only(self) -> frozenset[tuple[str, str]]:
        return frozenset({("hours", ENTRIES), ("assessment", "facts")})

    def prepare(self) -> None:
        for name, server in self.stores.items():
            server.prepare(WIRINGS[name].all_collections(), WIRINGS[name].all_indexes())

    def specs(self) -> Sequence[Spec]:
        mains = {"api": None, "relay": self._relay, "processor": self._processor}
        return [Spec(name, name.partition(".")[0], mains[name.partition(".")[2][:-1]]) for name in city.NODES]

    def consumers(self) -> Sequence[Consumer]:
        return [Consumer(name, handler) for name, handler in HANDLERS.items()]

    async def _relay(self, life: Life) -> None:
        due = WIRINGS[life.spec.service].due_work(life.ports)
        writer = SimulatedLogWriter(self.broker, life.name)
        await run_relay(life.ports, writer, self.observer, due, holder=life.name, stop=life.stopping)

    async def _processor(self, life: Life) -> None:
        handler = WIRINGS[life.spec.service].build_handler()
        engine = Engine(handler, life.ports.store, life.ports.wall, self.observer)
        worker = SimulatedWorker(
            engine, self.broker, life.ports, self.observer, member=life.name, stopping=life.stopping
        )
        await worker.run()

    # what clients want

    async def carry_out(self, command: Command) -> None:
        if command.kind == "newer_event":
            await self._newer_event(command)
        else:
            await self.clients.carry_out(command)

    async def _newer_event(self, command: Command) -> None:
        """A newer registry announces something that nobody here knows: the person's history waits from then on."""
        person = command.body["person"]
        data = Renamed(volunteer_id=await self.clients.id_of(person))
        fact = Fact(EventId(f"newer-{command.id}"), data, EPOCH)
        store = SimulatedStore(self.stores["registry"], command.id, random.Random(command.id))
        self.poisoned.add(person)

        async def work(tx: Transaction) -> None:
            await emit(tx, [fact], row_id=command.id, at=EPOCH)

        while True:
            try:
                return await store.transact(work)
            except AlreadyExistsError:
                return None
            except StoreError:
                await asyncio.sleep(TRY_AGAIN_S)

    # the end

    def what_is_due(self) -> str:
        missing, unpublished = self._missing_timeouts(), self._unpublished_scores()
        return f"time-outs {missing}, scores {unpublished}" if missing or unpublished else ""

    def _missing_timeouts(self) -> list[str]:
        """Attendances that nobody was checked out of, whose time is up, and that are not settled."""
        settled = {(e["volunteer_id"], e["session_id"]) for e in self.ledger.entries() if e["kind"] == "settlement"}
        now, ids = EPOCH + timedelta(seconds=self.loop.now), self._ids()
        return [
            f"{each.volunteer.number} at {each.session.number}"
            for each in self.model.attendances()
            if each.left_at is None
            and each.session.ends_at + TIME_OUT < now
            and each.volunteer.number not in self.poisoned
            and (ids[each.volunteer.number], each.session.number) not in settled
        ]

    def _ids(self) -> dict[str, str]:
        """Volunteers' ids by number, as registry has announced them."""
        values = [e.value for e in self.auditor.committed.values() if e.type == VolunteerRegistered.TYPE]
        people = [json.loads(value)["data"] for value in values]
        return {person["number"]: person["volunteer_id"] for person in people}

    def _unpublished_scores(self) -> list[str]:
        """Units and quarters whose facts have moved since their score was looked at."""
        counted: Counter[str] = Counter()
        for row in self.stores["assessment"].now_at_majority(facts.UNIT_VERSIONS).values():
            counted[row["unit"]] += row["facts"]
        published = self.stores["assessment"].now_at_majority(scores.PUBLISHED)
        wanted = {scores.published_id(unit, quarter): n for unit, n in counted.items() for quarter in QUARTERS}
        return [each for each, number in wanted.items() if published.get(each, {}).get("facts") != number]

    async def check(self) -> None:
        for each in self.model.contradictions_at_the_end():
            self.fail("contradiction", each)
        for name, server in self.stores.items():
            for queue in server.now_at_majority(PARKING).values():
                reasons = {record["reason"] for record in queue["records"]}
                if reasons - {"undeclared_type", "behind"} or not self.poisoned:
                    self.fail("parked", f"{name} {queue['_id']}: {reasons} {queue['records'][0]}")
        ledger = self.model.ledger(EPOCH + timedelta(seconds=self.loop.now), self._ids())
        await CityChecks(self, self.clients, self.model, ledger).all_of_it(self.poisoned)
