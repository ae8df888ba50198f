"""Runs a relay: leads under the lease, publishes what is unmarked in order, marks it, does due work."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress

from services.eventing.observe import Observer
from services.eventing.outbox import OUTBOX, messages_of
from services.eventing.ports import Document, LogError, LogWriter, Ports, StoreError
from services.eventing.relay import lease, marking, unmarked
from services.eventing.relay.due import DueWork, do_due_work
from services.eventing.relay.lease import LeaseGuard, LeaseLostError
from services.eventing.relay.order import Row, in_batches, in_publication_order
from services.eventing.relay.waiting import Sampler
from services.eventing.traces import Span, Spans, sampled, step_of
from services.eventing.waiting import write_or_stop

BATCH_EVENTS_MAX = 5_000
BATCH_BYTES_MAX = 8_000_000
POLL_EVERY_S = 5.0
"""The backstop of the wakeups."""
STANDBY_EVERY_S = 1.0
DUE_EVERY_S = 1.0
SAMPLE_EVERY_S = 5.0
BACK_OFF_FIRST_S = 0.05
BACK_OFF_MAX_S = 5.0
STOP_S = 3.0
"""What is in flight gets so long to finish; what is then abandoned is sent again by the next relay."""

TRANSIENT = (*lease.TRANSIENT, LogError)


async def run_relay(
    ports: Ports, writer: LogWriter, observer: Observer, due: Sequence[DueWork], *, holder: str, stop: asyncio.Event
) -> None:
    """Runs one relay of a service until ``stop`` is set; ``holder`` names this process among the service's relays.

    What is neither transient nor the loss of the lease comes out, in an ``ExceptionGroup``, and must end the process.
    """
    await Relay(ports, writer, observer, due, holder=holder, stop=stop).run()


class BackOff:
    """Waits longer from failure to failure, never as long as another process does."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._next_s = BACK_OFF_FIRST_S

    def reset(self) -> None:
        """Begins anew after a success."""
        self._next_s = BACK_OFF_FIRST_S

    async def wait(self) -> None:
        """Waits between half the time and all of it, and doubles the time."""
        wait_s, self._next_s = self._next_s, min(2 * self._next_s, BACK_OFF_MAX_S)
        await asyncio.sleep(wait_s * (0.5 + 0.5 * self._rng.random()))


class Relay:
    """One relay process. Its steps are methods of their own, each with one promise."""

    def __init__(
        self,
        ports: Ports,
        writer: LogWriter,
        observer: Observer,
        due: Sequence[DueWork],
        *,
        holder: str,
        stop: asyncio.Event,
    ) -> None:
        self.ports = ports
        self.writer = writer
        self.observer = observer
        self.due = due
        self.holder = holder
        self.stop = stop
        self._sampler = Sampler(ports, observer)

    async def run(self) -> None:
        """Stands by, leads and samples until stopped; work in flight is then cut off after ``STOP_S``."""
        working = asyncio.create_task(self._work())
        stopping = asyncio.create_task(self.stop.wait())
        try:
            await asyncio.wait({working, stopping}, return_when=asyncio.FIRST_COMPLETED)
            await asyncio.wait({working}, timeout=STOP_S)
        finally:
            stopping.cancel()
            working.cancel()
            await asyncio.wait({working, stopping})
        if not working.cancelled():
            working.result()

    async def _work(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self.stand_by())
            group.create_task(self.sample_until_stopped())

    async def _pause(self, seconds: float) -> None:
        """Waits, but no longer than until the stop."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self.stop.wait()

    async def _retrying(self, work: Callable[[BackOff], Awaitable[None]]) -> None:
        """Runs ``work`` until the stop, again after every transient failure."""
        back_off = BackOff(self.ports.rng)
        while not self.stop.is_set():
            try:
                await work(back_off)
            except TRANSIENT as error:
                self.observer.retried("relay", type(error).__name__)
                await back_off.wait()

    # the lease

    async def stand_by(self) -> None:
        """Waits for the lease and leads whenever it is had, until the stop."""
        self.observer.relay_state(leading=False)
        await self._retrying(self._stand_by_once)

    async def _stand_by_once(self, back_off: BackOff) -> None:
        guard = await lease.acquire(self.ports.store, self.ports.wall, self.holder)
        back_off.reset()
        if guard is None:
            await self._pause(STANDBY_EVERY_S * (0.5 + 0.5 * self.ports.rng.random()))
            return
        self.observer.relay_state(leading=True)
        try:
            await self.lead(guard)
        finally:
            self.observer.relay_state(leading=False)

    async def lead(self, guard: LeaseGuard) -> None:
        """Works under the lease until it is lost, which cancels what is in flight at once, or until the stop."""
        with suppress(*lease.TRANSIENT):
            try:
                async with asyncio.TaskGroup() as group:
                    keeping = group.create_task(guard.keep())
                    work = {group.create_task(self.publish(guard)), group.create_task(self.do_due(guard))}
                    await asyncio.wait(work)
                    keeping.cancel()
                await guard.release()
            except* LeaseLostError:
                pass

    async def publish(self, guard: LeaseGuard) -> None:
        """Publishes until the stop; after any failure from the first unmarked row again."""

        async def listen(back_off: BackOff) -> None:
            async with self.ports.store.wakeups(OUTBOX) as wakeups:
                while not self.stop.is_set():
                    found = await self.publish_unmarked(guard)
                    back_off.reset()
                    if not found:
                        await write_or_stop(wakeups, self.stop, POLL_EVERY_S)

        await self._retrying(listen)

    # publishing

    async def publish_unmarked(self, guard: LeaseGuard) -> bool:
        """Publishes and marks what one scan finds; returns whether that was anything."""
        rows = self.order(await self.close(await self.scan()))
        for batch in in_batches(rows, events_max=BATCH_EVENTS_MAX, bytes_max=BATCH_BYTES_MAX):
            if self.stop.is_set():
                break
            documents = await unmarked.load(self.ports.store, batch)
            guard.assert_sure()
            if documents:
                await self.send_and_mark(guard, documents)
                self.observer.relay_published(sum(document["count"] for document in documents))
        return bool(rows)

    async def scan(self) -> list[Row]:
        """Finds rows to publish: by state, never by a high-water mark."""
        return await unmarked.scan(self.ports.store)

    async def close(self, rows: list[Row]) -> list[Row]:
        """Adds every unmarked row that must go before them."""
        return await unmarked.with_predecessors(self.ports.store, rows)

    def order(self, rows: list[Row]) -> list[Row]:
        """Puts predecessors first."""
        return in_publication_order(rows)

    async def send_and_mark(self, guard: LeaseGuard, documents: Sequence[Document]) -> None:
        """Marks only what the log has acknowledged."""
        clock = asyncio.get_running_loop().time
        began = clock()
        await self.send(documents)
        if self.ports.spans is not None:
            self.trace(self.ports.spans, documents, clock() - began)
        await self.mark(guard, documents)

    async def send(self, documents: Sequence[Document]) -> None:
        """Appends whole documents in order; returns when all is acknowledged. Raises ``LogError``."""
        await self.writer.append([message for document in documents for message in messages_of(document)])

    def trace(self, spans: Spans, documents: Sequence[Document], seconds: float) -> None:
        """A step for each acknowledged event whose trace is sampled; a record sent again is a step again."""
        ended_at = self.ports.wall.now()
        for document in documents:
            for event in document["events"]:
                came_with = event.get("traceparent")
                if (step := sampled(step_of(came_with, f"publish {event['id']}"))) is not None:
                    attributes: dict[str, str | int] = {
                        "messaging.destination.name": event["topic"],
                        "cloudevents.event_type": event["type"],
                    }
                    name = f"publish {event['type']}"
                    spans.record(Span(name, "producer", step, came_with, ended_at, seconds, attributes))

    async def mark(self, guard: LeaseGuard, documents: Sequence[Document]) -> None:
        """Marks documents in their order. Raises ``LeaseLostError``."""
        await marking.mark(self.ports.store, guard, [document["_id"] for document in documents])

    # what else runs beside

    async def do_due(self, guard: LeaseGuard) -> None:
        """Does due work every second, and at once again while there is some, until the stop."""

        async def tick(back_off: BackOff) -> None:
            done = await do_due_work(self.due, self.ports.clock, guard, self.observer)
            back_off.reset()
            if not done:
                await self._pause(DUE_EVERY_S)

        await self._retrying(tick)

    async def sample_until_stopped(self) -> None:
        """Tells the observer what waits in the service, leading or not: a relay that hangs is seen by the others."""
        while not self.stop.is_set():
            with suppress(StoreError):  # the next sample will tell
                await self._sampler.sample()
            await self._pause(SAMPLE_EVERY_S)
