"""Runs one process of a service until it is asked to stop: api, processor or relay."""

import asyncio
import os
import platform
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, Final, NoReturn

from pymongo.errors import PyMongoError

from services.contracts.topics import BY_NAME, TOPICS, Topic
from services.eventing.generations import live
from services.eventing.log_security import LogRefusedError
from services.eventing.ports import Ports, StoreAdmin, StoreUnavailableError
from services.eventing.relay.lease import LEASE, RELAY_ID
from services.eventing.times import from_text
from services.runtime import logs
from services.runtime.clock import DevelopmentClock, SystemClock
from services.runtime.command_line import command_line
from services.runtime.http import use_metrics, use_stop
from services.runtime.ids import SystemIds, system_randomness
from services.runtime.metrics import Metrics
from services.runtime.mongo import MongoStore
from services.runtime.operations import Check, operations_app
from services.runtime.schema import SCHEMA, check_schema, mark_schema
from services.runtime.service import Kind, Service
from services.runtime.serving import end, run_to_end, serve, stop_on_signals
from services.runtime.settings import ServiceSettings, load
from services.runtime.spans import spans_to
from services.runtime.startup import explained, must_be_free

STARTUP_TIMEOUT_S: Final = 30.0
STARTUP_RETRY_S: Final = 0.5
LEASE_OVERDUE_S: Final = 5.0
"""A lease that ended so long ago and was not taken: this relay does not stand by, it is stuck."""


class NotAssignedError(Exception):
    """The processor holds no positions yet, or gave them up."""


class LeaseOverdueError(Exception):
    """Nobody leads, and this relay has not taken over."""


@dataclass(frozen=True, slots=True)
class Running:
    """A process on its way: who it is, what it has, and how it is asked to stop."""

    service: Service[Any]
    kind: Kind
    settings: ServiceSettings
    metrics: Metrics
    ports: Ports
    stop: asyncio.Event


def run(service: Service[Any], kind: Kind) -> NoReturn:
    """Runs one process to its end.

    The exit code is 0 after SIGTERM or SIGINT, 78 for a wrong setting, one of ``startup``'s for what keeps it from
    starting, else 75.
    """
    settings = load(service.settings, f"{service.name} {kind}")
    metrics = Metrics(service.name, kind)
    logs.configure(service.name, kind, level=settings.log_level, on_refused=metrics.log_fields_refused)
    end(run_to_end(_main(service, kind, settings, metrics)))


async def _main(service: Service[Any], kind: Kind, settings: ServiceSettings, metrics: Metrics) -> None:
    stop = stop_on_signals()
    port = {"api": settings.api_port, "processor": settings.processor_port, "relay": settings.relay_port}[kind]
    must_be_free(settings.host, port, f"{kind.upper()}_PORT")
    async with open_ports(settings, metrics) as (ports, store), spans_to(settings.traces_url, service.name, kind) as to:
        with _explaining(settings):
            # Looking comes before writing: a process that cannot start leaves nothing behind.
            can_start = await log_is_ready(service, kind, settings, stop)
            can_start = can_start and await _database_is_ready(service, settings, store, stop)
        if can_start:
            if kind == "api":  # the other kinds take over what they own
                await store.hold(f"api|{platform.node()}|{settings.api_port}")
            told = replace(ports, store=await live(store), spans=to)
            running = Running(service, kind, settings, metrics, told, stop)
            await {"api": _api, "processor": _processor, "relay": _relay}[kind](running)


@contextmanager
def _explaining(settings: ServiceSettings) -> Iterator[None]:
    """Turns what a start met and an operator can mend into a line that says how."""
    uri = settings.mongodb_uri.get_secret_value()
    try:
        yield
    except (LogRefusedError, StoreUnavailableError, PyMongoError) as error:
        line = explained(error, uri, settings.database, settings.startup_wait_s)
        if line is None:
            raise
        raise line from error


async def log_is_ready(service: Service[Any], kind: Kind, settings: ServiceSettings, stop: asyncio.Event) -> bool:
    """Waits for a broker with the topics of this kind of process; an api needs none. False: asked to stop."""
    if kind == "api":
        return True
    from services.eventing.door.reach import reach  # noqa: PLC0415 - as Faust's door, only where it is needed

    topics = topics_of(service, kind)
    servers, security = settings.kafka_bootstrap_servers, settings.kafka_security
    group = service.build_handler().processor if kind == "processor" else None
    return await reach(servers, security, topics, group=group, within_s=settings.startup_wait_s, stop=stop)


def topics_of(service: Service[Any], kind: Kind) -> tuple[Topic, ...]:
    """The declared topics that a process reads or writes."""
    match kind:
        case "api":
            return ()
        case "processor":
            operated = (service.operators.topic,) if service.operators is not None else ()
            names = (*service.build_handler().topics, *operated)
            return tuple(BY_NAME[name] for name in names if name in BY_NAME)
        case "relay":
            return tuple(topic for topic in TOPICS if topic.owner == service.name)


async def _database_is_ready(
    service: Service[Any], settings: ServiceSettings, store: MongoStore, stop: asyncio.Event
) -> bool:
    """Waits for the database, refuses an older one, makes what is missing in it. False: asked to stop."""
    if not await reached(lambda: check_schema(store, settings.database), settings.startup_wait_s, stop):
        return False
    if not await prepared(service, store, stop, settings.startup_wait_s):
        return False
    return await reached(lambda: mark_schema(store), settings.startup_wait_s, stop)


@asynccontextmanager
async def open_ports(settings: ServiceSettings, metrics: Metrics) -> AsyncIterator[tuple[Ports, MongoStore]]:
    """The real world: this service's database, clocks, ids and randomness."""
    rng = system_randomness()
    uri = settings.mongodb_uri.get_secret_value()
    with _explaining(settings):
        store = MongoStore.open(
            uri,
            settings.database,
            rng,
            ids_per_query=settings.mongodb_ids_per_query,
            on_retry=metrics.transaction_retried,
        )
    wall = SystemClock()
    simulated = settings.development_clock_file
    clock = DevelopmentClock(simulated) if simulated is not None else wall
    try:
        yield Ports(store=store, clock=clock, wall=wall, ids=SystemIds(), rng=rng), store
    finally:
        await store.close()


async def prepared(
    service: Service[Any], admin: StoreAdmin, stop: asyncio.Event, within_s: float = STARTUP_TIMEOUT_S
) -> bool:
    """Makes collections and indexes exist; a database that is still starting is waited for. False: asked to stop."""
    collections = (SCHEMA, *service.all_collections())
    return await reached(lambda: admin.prepare(collections, service.all_indexes()), within_s, stop)


async def reached(ask: Callable[[], Awaitable[None]], within_s: float, stop: asyncio.Event) -> bool:
    """Asks a database until it answers. False: asked to stop. Raises ``StoreUnavailableError`` when the time is up."""
    give_up_at = asyncio.get_running_loop().time() + within_s
    while not stop.is_set():
        try:
            await ask()
        except StoreUnavailableError:
            if asyncio.get_running_loop().time() >= give_up_at:
                raise
            await asyncio.sleep(STARTUP_RETRY_S)
        else:
            return True
    return False


async def _api(running: Running) -> None:
    app = running.service.build_api(running.ports, running.settings)
    use_metrics(app, running.metrics)
    use_stop(app, running.stop)
    await serve(app, running.settings.host, running.settings.api_port, running.stop)


async def _processor(running: Running) -> None:
    # Imported here, because only this kind of process needs Faust, which takes its time.
    from services.eventing.door.faust_door import FaustDoorSettings, run_faust_processor  # noqa: PLC0415

    ready = asyncio.Event()

    async def assigned() -> None:
        if not ready.is_set():
            raise NotAssignedError("no positions are held")

    handler = running.service.build_handler()
    settings = FaustDoorSettings(
        ",".join(running.settings.kafka_bootstrap_servers),
        client=running.settings.kafka_security.arguments(),
        linger_ms=running.settings.processor_linger_ms,
        operators=running.service.operators,
    )
    work = run_faust_processor(handler, running.ports, running.metrics, settings, stop=running.stop, ready=ready)
    await _beside_operations(running, running.settings.processor_port, [running.ports.store.ping, assigned], work)


async def _relay(running: Running) -> None:
    from services.eventing.relay.kafka_writer import KafkaLogWriter  # noqa: PLC0415
    from services.eventing.relay.loop import run_relay  # noqa: PLC0415

    service, ports, metrics = running.service, running.ports, running.metrics
    writer = KafkaLogWriter(
        ",".join(running.settings.kafka_bootstrap_servers),
        client_id=f"{service.name}-relay",
        settings=running.settings.kafka_security.arguments(),
    )
    holder = f"{platform.node()}-{os.getpid()}-{ports.ids.new()}"
    due = service.due_work(ports)
    for kind in due:  # or nobody sees the first item as an increase
        metrics.due_work_done(kind.name, 0)
    work = run_relay(ports, writer, metrics, due, holder=holder, stop=running.stop)
    try:
        await _beside_operations(running, running.settings.relay_port, [relay_check(ports, metrics)], work)
    finally:
        await writer.close()


def relay_check(ports: Ports, metrics: Metrics) -> Check:
    """The readiness of a relay: it leads, or stands by and sees somebody lead."""

    async def leads_or_stands_by() -> None:
        lease = (await ports.store.get(LEASE, [RELAY_ID])).get(RELAY_ID)
        overdue = timedelta(seconds=LEASE_OVERDUE_S)
        if not metrics.is_leading and (lease is None or from_text(lease["until"]) + overdue < ports.wall.now()):
            raise LeaseOverdueError("nobody leads")

    return leads_or_stands_by


async def _beside_operations(
    running: Running, port: int, checks: Sequence[Check], work: Coroutine[Any, Any, None]
) -> None:
    """Does the work, and meanwhile answers operations; whichever fails ends both."""
    served = asyncio.Event()

    async def worked() -> None:
        try:
            await work
        finally:
            served.set()

    async with asyncio.TaskGroup() as group:
        group.create_task(serve(operations_app(running.metrics, checks), running.settings.host, port, served))
        group.create_task(worked())


def main(service: Service[Any]) -> None:
    """The command line of a service: ``api``, ``processor``, ``relay``, ``parked list``, ``parked show``."""
    command_line(service, run)()
