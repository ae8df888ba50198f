"""Lets Faust bring whole lists of one partition to the door; Faust keeps membership, assignment and lifecycle.

Run by ``run_faust_processor`` inside a process's own event loop. It subclasses Faust's consumer through private names
of faust-streaming 0.15.3 and aiokafka 0.14, so those are pinned and this module is small.
"""

import asyncio
import gc
import logging
import os
import random
import traceback
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import PurePath
from typing import Any, NoReturn

import aiokafka
import faust
from aiokafka import ConsumerRecord
from aiokafka.client import AIOKafkaClient
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from aiokafka.errors import ConsumerStoppedError, IllegalStateError, KafkaError
from aiokafka.structs import OffsetAndMetadata
from aiokafka.structs import TopicPartition as KafkaPartition
from faust.app.base import BootStrategy
from faust.transport.drivers import aiokafka as driver

from services.contracts.operations import Operations
from services.eventing.batch import BatchHandler
from services.eventing.door.logic import BATCH_RECORDS_MAX, Door
from services.eventing.observe import Observer
from services.eventing.parking import PARKED_PER_MINUTE_MAX
from services.eventing.ports import LogError, Ports, TopicPartition
from services.eventing.processor import Engine

EXIT_UNEXPECTED = 75
"""EX_TEMPFAIL: the supervisor starts the process again, and it begins at the stored positions."""
LINGER_MS = 50
FETCH_WAIT_MS = 200
"""How long the broker holds a fetch that has nothing: a partition emptied meanwhile is not asked for earlier."""
PARTITION_FETCH_BYTES_MAX = 1 << 20
METADATA_AGE_MAX_S = 10.0
"""aiokafka repeats no look at the topics that failed: whoever joins while the broker is on its way back sees none, is
given no partition, and looks again only when what it knows is so old."""
COMMIT_INTERVAL_S = 2.0
COMMIT_WITHIN_S = 3.0
IDLE_S = 0.1
STOP_WITHIN_S = 4.5
REACHED_WITHIN_S = 30.0
REACH_AGAIN_S = 0.5
REACH_TIMEOUT_MS = 2_000
COLLECT_AFTER_OBJECTS = 100_000

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class FaustDoorSettings:
    """How a processor reaches the log, and how it fills its batches.

    ``client``: what aiokafka's consumer takes for security (``security_protocol``, ``ssl_context``, ``sasl_mechanism``,
    ``sasl_plain_username``, ``sasl_plain_password``); empty for plain text.
    """

    bootstrap_servers: str
    client: Mapping[str, Any] = field(default_factory=dict)
    batch_records_max: int = BATCH_RECORDS_MAX
    linger_ms: int = LINGER_MS
    """At a trickle, how long a batch waits for more."""
    lanes: int = 1
    """Transactions open at once: more hide a far database's latency and cost CPU."""
    session_timeout_s: float = 10.0
    request_timeout_s: float = 15.0
    parked_per_minute_max: int = PARKED_PER_MINUTE_MAX
    operators: Operations | None = None
    """The service's operations topic, which is consumed with the handler's: what operators ask is done by the owner."""


async def run_faust_processor(
    handler: BatchHandler[Any, Any],
    ports: Ports,
    observer: Observer,
    settings: FaustDoorSettings,
    *,
    stop: asyncio.Event,
    ready: asyncio.Event | None = None,
) -> None:
    """Consumes the handler's topics as a member of the group ``handler.processor`` until ``stop`` is set.

    For the process runner: prepare the store first (``processor.COLLECTIONS`` and ``INDEXES``, the outbox's and the
    handler's), start the HTTP server of ``/metrics`` beside this in the same loop, set ``stop`` on SIGTERM; it then
    returns within 5 seconds. ``ready`` is set while the member holds its positions (or none fell to it) and cleared
    while it does not. Anything unexpected ends the process with exit code 75, from in here: a supervisor starts it
    again. Faust's own web server, signal handlers and log set-up are not used. One call a process.
    """
    if not await reachable(settings, stop):
        return
    app = _app(handler, ports, observer, settings, ready or asyncio.Event())
    starting = asyncio.ensure_future(app.start())
    asked = asyncio.ensure_future(stop.wait())
    ended = asyncio.ensure_future(app.wait_until_stopped())
    await asyncio.wait({starting, asked, ended}, return_when=asyncio.FIRST_COMPLETED)
    if starting.done() and (error := starting.exception()) is not None:
        exit_unexpected(error)
    _spare_the_collector()
    await asyncio.wait({asked, ended}, return_when=asyncio.FIRST_COMPLETED)
    if not asked.done():
        exit_unexpected(app.crash_reason or RuntimeError("Faust stopped by itself"))
    stopping = asyncio.ensure_future(app.stop())
    # Not wait_for: it waits on until the stop has taken note of its cancellation, which Faust may never do.
    await asyncio.wait({stopping}, timeout=STOP_WITHIN_S)
    if not stopping.done():
        _LOG.warning("Faust did not stop within %.1f s: the process ends as it is", STOP_WITHIN_S)
        logging.shutdown()
        os._exit(0)  # what was applied is committed with its position, and the rest comes again
    stopping.result()
    for waiting in (starting, asked, ended):
        waiting.cancel()


async def reachable(settings: FaustDoorSettings, stop: asyncio.Event) -> bool:
    """Waits for a broker that is still starting: Faust itself would give up at once. False: asked to stop.

    Raises ``KafkaError`` if none answers within ``REACHED_WITHIN_S``.
    """
    give_up_at = asyncio.get_running_loop().time() + REACHED_WITHIN_S
    while not stop.is_set():
        client = AIOKafkaClient(
            bootstrap_servers=settings.bootstrap_servers, request_timeout_ms=REACH_TIMEOUT_MS, **settings.client
        )
        try:
            await client.bootstrap()
        except KafkaError as error:
            if asyncio.get_running_loop().time() >= give_up_at:
                raise
            _LOG.warning("no broker answers yet, again in %.1f s: %s", REACH_AGAIN_S, type(error).__name__)
            await asyncio.sleep(REACH_AGAIN_S)
        else:
            return True
        finally:
            await client.close()
    return False


def _spare_the_collector() -> None:
    """Has cycles looked for seldom, and never among what was there at the start: a fifth of an event's cost.

    A batch makes some ten container objects a record that all die without a cycle.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(COLLECT_AFTER_OBJECTS, 20, 20)


def exit_unexpected(error: BaseException) -> NoReturn:
    """Ends the process at once, with where it happened in the log, and no value."""
    _LOG.critical("unexpected, the process ends with %d: %s", EXIT_UNEXPECTED, describe(error))
    logging.shutdown()
    os._exit(EXIT_UNEXPECTED)


def describe(error: BaseException) -> str:
    """An error, its causes and their frames. Messages only of our own and the log's errors: others may hold values."""
    told = []
    each: BaseException | None = error
    while each is not None:
        kind = type(each)
        own = kind.__module__.startswith(("services.", "aiokafka."))
        frames = [f"{PurePath(f.filename).name}:{f.lineno} {f.name}" for f in traceback.extract_tb(each.__traceback__)]
        told.append(f"{kind.__module__}.{kind.__qualname__}{f'({each})' if own else ''} at {' > '.join(frames)}")
        each = each.__cause__ or (None if each.__suppress_context__ else each.__context__)
    return "; because of ".join(told)


@dataclass(frozen=True, slots=True)
class _Setup:
    """What the consumer that Faust makes is to be made with."""

    engine: Engine[Any, Any]
    rng: random.Random
    ports: Ports
    observer: Observer
    settings: FaustDoorSettings
    ready: asyncio.Event


class _ConsumerOnly(BootStrategy):
    """Starts the consumer and what it needs: no producer, no web server."""

    enable_kafka_producer = False
    enable_web = False
    enable_sensors = False


class _App(faust.App):
    """An application that only consumes, and keeps nothing on disk."""

    BootStrategy = _ConsumerOnly

    def _create_directories(self) -> None:
        """Makes none: there are no tables."""


class GroupThread(driver.AIOKafkaConsumerThread):
    """The thread Faust runs aiokafka in, with a consumer of our making."""

    def _create_worker_consumer(self, transport: Any) -> aiokafka.AIOKafkaConsumer:
        assert isinstance(self.consumer, BatchConsumer)
        settings, conf = self.consumer.setup.settings, self.app.conf
        return aiokafka.AIOKafkaConsumer(
            bootstrap_servers=driver.server_list(transport.url, transport.default_port),
            client_id=conf.broker_client_id,
            group_id=conf.id,
            # Range gives equal numbers of all topics to one member, so that one worker owns a key's queue over the
            # processor's topics; Faust's own choice, round robin, does so only by luck.
            partition_assignment_strategy=[RangePartitionAssignor],
            enable_auto_commit=False,
            auto_offset_reset="earliest",  # never a decision: the door seeks, and notices a reset
            max_poll_records=settings.batch_records_max,
            max_poll_interval_ms=int((conf.broker_max_poll_interval or 0) * 1000),
            max_partition_fetch_bytes=PARTITION_FETCH_BYTES_MAX,
            fetch_max_wait_ms=FETCH_WAIT_MS,
            request_timeout_ms=int(settings.request_timeout_s * 1000),
            session_timeout_ms=int(settings.session_timeout_s * 1000),
            rebalance_timeout_ms=int(conf.broker_rebalance_timeout * 1000),
            heartbeat_interval_ms=int(conf.broker_heartbeat_interval * 1000),
            metadata_max_age_ms=conf.consumer_metadata_max_age_ms,
            connections_max_idle_ms=conf.consumer_connections_max_idle_ms,
            **settings.client,
        )


class GroupReader:
    """Keeps the port ``LogReader`` over Faust's consumer."""

    def __init__(self, consumer: "BatchConsumer") -> None:
        self._consumer = consumer

    def assignment(self) -> frozenset[TopicPartition]:
        return self._consumer.held() if self._consumer.flow_active else frozenset()  # else a rebalance has begun

    async def bounds(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, tuple[int, int]]:
        wanted = [KafkaPartition(*each) for each in partitions]
        try:
            client = self._consumer.client()
            firsts = await self._consumer.in_thread(client.beginning_offsets, wanted)
            ends = await self._consumer.in_thread(client.end_offsets, wanted)
        except KafkaError as error:
            raise LogError(str(error)) from error
        return {TopicPartition(*each): (firsts[each], ends[each]) for each in wanted}

    async def seek(self, positions: Mapping[TopicPartition, int]) -> None:
        if not positions:
            return
        try:
            await self._consumer.in_thread(self._seek, {KafkaPartition(*each): to for each, to in positions.items()})
        except (IllegalStateError, KafkaError) as error:
            raise LogError(str(error)) from error

    async def _seek(self, positions: Mapping[KafkaPartition, int]) -> None:
        for partition, offset in positions.items():
            self._consumer.client().seek(partition, offset)


class BatchConsumer(driver.Consumer):
    """Faust's consumer, whose one loop takes positions from the door and hands it what was fetched."""

    def __init__(self, *args: Any, setup: _Setup, **kwargs: Any) -> None:
        self.setup = setup
        super().__init__(*args, **kwargs)
        settings = setup.settings
        self._reader = GroupReader(self)
        self._door = Door(
            setup.engine,
            self._reader,
            setup.ports.wall,
            setup.rng,
            setup.observer,
            lanes=settings.lanes,
            batch_records_max=settings.batch_records_max,
        )
        self._positions_due = False

    def _new_consumer_thread(self) -> driver.AIOKafkaConsumerThread:
        return GroupThread(self, loop=self.loop, beacon=self.beacon)

    def client(self) -> aiokafka.AIOKafkaConsumer:
        """The consumer itself; belongs to the thread."""
        return self._thread._ensure_consumer()

    def held(self) -> frozenset[TopicPartition]:
        """What this member was assigned last."""
        return frozenset(TopicPartition(each.topic, each.partition) for each in self.assignment())

    async def in_thread(self, function: Callable[..., Any], *args: object) -> Any:
        """Calls a function or coroutine function in the consumer's thread."""
        return await self._thread.call_thread(function, *args)

    # what Faust calls

    async def perform_seek(self) -> None:
        """Called after each rebalance, before records flow: the loop takes the positions first.

        Not here, where Faust would give it ``broker_request_timeout`` and then fail: the store may be away for longer.
        """
        self._positions_due = True

    async def _drain_messages(self, fetcher: Any) -> None:
        try:
            while not (self.should_stop or fetcher.should_stop):
                await self._round()
        except asyncio.CancelledError:  # a stop; the batch in flight is left to wait_empty
            raise
        except ConsumerStoppedError as error:
            if not self.app.should_stop:
                exit_unexpected(error)
        except BaseException as error:  # noqa: BLE001  # the one place that ends the process for what nobody expected
            exit_unexpected(error)

    async def _round(self) -> None:
        if not self.flow_active:
            await self.wait(self.can_resume_flow)  # type: ignore[arg-type]  # takes asyncio's event too
        elif self._positions_due:
            self._positions_due = False
            assigned = self._reader.assignment()
            await self._door.assigned(assigned)
            if self._door.owned == assigned:  # else taking over was given up, and the next assignment decides
                self.setup.ready.set()
        elif not self._door.owned:
            if not self.held():  # nothing fell to this member
                self.setup.ready.set()
            await self.sleep(IDLE_S)
        else:
            fetched = await self.in_thread(self._fetch)
            if fetched and not self._positions_due:
                await self._door.receive({TopicPartition(*each): records for each, records in fetched.items()})

    async def wait_empty(self) -> None:
        """Called before anything starts, before a rebalance, and at the end."""
        self.setup.ready.clear()
        try:
            await self._door.finish()
        except BaseException as error:  # noqa: BLE001  # as in the loop: the batch in flight has failed
            exit_unexpected(error)
        await self.commit()

    async def force_commit(self, topics: Any = None, start_new_transaction: bool = True) -> bool:  # noqa: ARG002, FBT001, FBT002
        """Called every two seconds. Advisory: lag tools see the stored positions; nothing here depends on it."""
        offsets = self._door.uncommitted()
        if not self._door.owned and not offsets:
            return False  # also before the start, when there is no client yet
        self._report_lag()
        mine = self.held()
        wanted = {KafkaPartition(*each): OffsetAndMetadata(to, "") for each, to in offsets.items() if each in mine}
        if not wanted:
            return False
        try:
            await asyncio.wait_for(self.in_thread(self.client().commit, wanted), COMMIT_WITHIN_S)
        except (KafkaError, TimeoutError) as error:  # of a zombie, or in a rebalance
            _LOG.info("committing offsets failed, which costs nothing: %s", type(error).__name__)
            self._door.not_committed(offsets)
            return False
        return True

    async def verify_all_partitions_active(self) -> None:
        """Faust's livelock detector looks for its own streams' acknowledgements, which there are none of: lag tells."""

    def _report_lag(self) -> None:
        client = self.client()
        ends = {each: client.highwater(KafkaPartition(*each)) for each in self._door.owned & self.held()}
        self._door.report_lag({each: end for each, end in ends.items() if end is not None})

    # in the consumer's thread

    async def _fetch(self) -> dict[KafkaPartition, list[ConsumerRecord]]:
        """Up to a batch of each partition; waits up to a second for the first, then lingers if it has caught up."""
        client = self.client()
        if not self.flow_active:  # asked before, begun after a rebalance began: it would wait for its end
            return {}
        if client._closed or client._fetcher._closed:
            raise ConsumerStoppedError
        with client._fetcher._subscriptions.fetch_context():
            fetched: dict[KafkaPartition, list[ConsumerRecord]] = {}
            await self._take(client, fetched)
            if not fetched:
                limit = self.setup.settings.batch_records_max
                fetched.update(await client._fetcher.fetched_records(None, timeout=1.0, max_records=limit))
                await self._take(client, fetched)
            if fetched and all(_caught_up(client, each, records) for each, records in fetched.items()):
                await asyncio.sleep(self.setup.settings.linger_ms / 1000)
                await self._take(client, fetched)
        return fetched

    async def _take(
        self, client: aiokafka.AIOKafkaConsumer, fetched: dict[KafkaPartition, list[ConsumerRecord]]
    ) -> None:
        """Adds what has arrived. aiokafka alone would empty one partition before the next."""
        limit = self.setup.settings.batch_records_max
        for partition in list(client._fetcher._records):
            room = limit - len(fetched.get(partition, ()))
            if room > 0:
                found = await client._fetcher.fetched_records({partition}, timeout=0, max_records=room)
                for each, records in found.items():
                    fetched.setdefault(each, []).extend(records)


def _caught_up(client: aiokafka.AIOKafkaConsumer, partition: KafkaPartition, records: list[ConsumerRecord]) -> bool:
    end = client.highwater(partition)
    return end is None or end <= records[-1].offset + 1


def _app(
    handler: BatchHandler[Any, Any],
    ports: Ports,
    observer: Observer,
    settings: FaustDoorSettings,
    ready: asyncio.Event,
) -> faust.App:
    app = _App(
        handler.processor,
        broker=[f"kafka://{each.strip()}" for each in settings.bootstrap_servers.split(",")],
        store="memory://",
        topic_disable_leader=True,
        topic_allow_declare=False,
        stream_wait_empty=True,  # or wait_empty is never called
        broker_max_poll_records=settings.batch_records_max,
        broker_commit_interval=COMMIT_INTERVAL_S,
        consumer_metadata_max_age_ms=int(METADATA_AGE_MAX_S * 1000),
        broker_session_timeout=settings.session_timeout_s,
        broker_heartbeat_interval=settings.session_timeout_s / 5,
        broker_request_timeout=settings.request_timeout_s,
        worker_redirect_stdouts=False,
    )
    engine = Engine(
        handler,
        ports.store,
        ports.wall,
        observer,
        parked_per_minute_max=settings.parked_per_minute_max,
        operators=settings.operators,
        spans=ports.spans,
    )
    setup = _Setup(engine, ports.rng, ports, observer, settings, ready)
    app.transport.Consumer = partial(BatchConsumer, setup=setup)  # type: ignore[misc,assignment]  # meant for this

    @app.agent(
        app.topic(*engine.topics, value_type=bytes, value_serializer="raw", key_type=bytes, key_serializer="raw")
    )
    async def door(stream: Any) -> None:  # only subscribes: the consumer never calls what would fill the stream
        async for _ in stream:
            exit_unexpected(RuntimeError("a record went past the door"))

    return app
