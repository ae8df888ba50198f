"""Each bug that the design guards against is planted in the real code, and a seed must find it."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

import pytest

from services.eventing import inbox, outbox, positions
from services.eventing.facts import Fact
from services.eventing.incoming import Incoming
from services.eventing.operations import Operator
from services.eventing.ports import Document, TopicPartition, Transaction
from services.eventing.positions import Position, PositionMoved
from services.eventing.processor import Engine
from services.eventing.relay import lease, loop
from services.eventing.relay.loop import Relay
from services.eventing.relay.order import Row
from services.hours.crediting.rules import Claim
from services.hours.ledger import rules as ledger
from services.runtime import commands
from tests.support.simulation.log import Broker, SimulatedLogWriter
from tests.support.simulation.runs import first_failure, silence
from tests.support.simulation.store_server import StoreServer

pytestmark = pytest.mark.simulation

SEEDS_MAX: Final = 200
Plant = Callable[[pytest.MonkeyPatch], None]


def publish_before_commit(monkeypatch: pytest.MonkeyPatch) -> None:
    """A command's facts reach the log inside the transaction, which may still be aborted."""
    real, begin = outbox.emit, Broker.__init__
    brokers: list[Broker] = []

    def init(self: Broker, *args: Any, **more: Any) -> None:
        begin(self, *args, **more)
        brokers[:] = [self]

    async def emit(tx: Transaction, facts: Sequence[Fact], *, row_id: str, at: Any) -> None:
        await real(tx, facts, row_id=row_id, at=at)
        row = (await tx.get(outbox.OUTBOX, [row_id]))[row_id]
        await SimulatedLogWriter(brokers[0], row_id).append(outbox.messages_of(row))

    monkeypatch.setattr(Broker, "__init__", init)
    monkeypatch.setattr(commands, "emit", emit)


class HighWaterMarkRelay(Relay):
    """Goes on behind the newest row it has seen, not from what is unmarked."""

    mark_at = ""

    async def scan(self) -> list[Row]:
        where = {"state": outbox.UNMARKED, "created_at": {"$gt": self.mark_at}}
        found = await self.ports.store.find(outbox.OUTBOX, where, sort=(("created_at", 1),), limit=200)
        self.mark_at = found[-1]["created_at"] if found else self.mark_at
        return [Row(row["_id"], tuple(row["streams"]), row["bytes"]) for row in found]


class MarkBeforeAckRelay(Relay):
    """Marks what it is about to send."""

    async def send_and_mark(self, guard: lease.LeaseGuard, documents: Sequence[Document]) -> None:
        await self.mark(guard, documents)
        await self.send(documents)


class ScanOrderRelay(Relay):
    """Trusts the order of its scan and looks no predecessor up."""

    async def close(self, rows: list[Row]) -> list[Row]:
        return rows


def _relay(kind: type[Relay]) -> Plant:
    return lambda monkeypatch: monkeypatch.setattr(loop, "Relay", kind)


def position_not_conditional(monkeypatch: pytest.MonkeyPatch) -> None:
    """A batch is applied whatever the stored position says."""

    async def expect(tx: Transaction, each: str, expected: Position) -> None:
        return

    monkeypatch.setattr(positions, "expect", expect)


def no_sequence_check(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever comes is taken as the next."""

    def take(self: inbox.Inboxes, incoming: Iterable[Incoming]) -> list[Incoming]:
        fresh = list(incoming)
        for each in fresh:
            self._last[each.key], self._ids[each.key] = each.sequence, each.event_id
        return fresh

    monkeypatch.setattr(inbox.Inboxes, "take", take)


def parked_is_overtaken(monkeypatch: pytest.MonkeyPatch) -> None:
    """A key's later batches are applied although an earlier record of it waits."""
    real = Engine._sort

    def sort(self: Engine[Any, Any], fresh: Sequence[Incoming], parked: Iterable[str]) -> Any:
        return real(self, fresh, ())

    monkeypatch.setattr(Engine, "_sort", sort)


def redrive_forgets_the_flag(monkeypatch: pytest.MonkeyPatch) -> None:
    """A queue is empty and gone, and its key waits for ever."""
    real = inbox.after_operation
    kept: Any = lambda document, sent, **_: real(document, sent, parked=True)  # noqa: E731 - as short as the bug
    monkeypatch.setattr("services.eventing.processor.after_operation", kept)


def redrive_drains_backwards(monkeypatch: pytest.MonkeyPatch) -> None:
    """What came last is applied first."""
    real = Operator._redrive

    async def redrive(self: Operator, tx: Transaction, queue: Document) -> Any:
        return await real(self, tx, {**queue, "records": queue["records"][::-1]})

    monkeypatch.setattr(Operator, "_redrive", redrive)


def redrive_keeps_what_it_applied(monkeypatch: pytest.MonkeyPatch) -> None:
    """A redrive that ended at a failing record leaves those before it in the queue, to be applied again."""
    real = Operator._keep

    async def keep(self: Operator, tx: Transaction, queue: Document, records: list[Document], *more: Any) -> Any:
        return await real(self, tx, queue, queue["records"] if records and more else records, *more)

    monkeypatch.setattr(Operator, "_keep", keep)


def stale_leader_marks(monkeypatch: pytest.MonkeyPatch) -> None:
    """A relay whose epoch is over does not notice."""
    monkeypatch.setattr(lease.LeaseGuard, "check", lambda self, document: None)


def reads_what_no_majority_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    """The scan sees commits that a failover may take back."""
    monkeypatch.setattr(StoreServer, "_readable", lambda self: self.documents.now)


def position_read_before_the_transaction(monkeypatch: pytest.MonkeyPatch) -> None:
    """The condition on the position is checked on what was read outside of the transaction that writes it."""
    real = Engine.apply

    async def apply(self: Engine[Any, Any], partition: TopicPartition, start: Position, records: Any) -> Position:
        stored = (await self.positions([partition]))[partition]
        if stored != start:
            raise PositionMoved(partition.topic)
        return await real(self, partition, start, records)

    position_not_conditional(monkeypatch)
    monkeypatch.setattr(Engine, "apply", apply)


def overlap_is_paid_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every interval is credited whole, whatever else covers its minutes."""

    def attribute(claims: Sequence[Claim]) -> list[int]:
        return [claim.end - claim.start for claim in claims]

    monkeypatch.setattr(ledger, "attribute", attribute)


def time_out_is_not_taken_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """A late check-out credits its interval, and the settlement stands beside it."""
    monkeypatch.setattr(ledger._Book, "reverse", lambda self, entry: None)


def command_is_not_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    """A command whose answer was lost is carried out again."""
    monkeypatch.setattr(commands.Command, "_id", property(lambda self: self.new_id()))


BUGS: Final[dict[str, tuple[str, Plant]]] = {
    "publish_before_commit": ("eventing", publish_before_commit),
    "high_water_mark": ("eventing", _relay(HighWaterMarkRelay)),
    "mark_before_ack": ("eventing", _relay(MarkBeforeAckRelay)),
    "position_not_conditional": ("eventing", position_not_conditional),
    "no_sequence_check": ("eventing", no_sequence_check),
    "scan_order": ("eventing", _relay(ScanOrderRelay)),
    "parked_is_overtaken": ("eventing", parked_is_overtaken),
    "redrive_forgets_the_flag": ("eventing", redrive_forgets_the_flag),
    "redrive_drains_backwards": ("eventing", redrive_drains_backwards),
    "redrive_keeps_what_it_applied": ("eventing", redrive_keeps_what_it_applied),
    "stale_leader_marks": ("eventing", stale_leader_marks),
    "local_reads": ("eventing", reads_what_no_majority_holds),
    "position_read_before": ("eventing", position_read_before_the_transaction),
    "overlap_is_paid_twice": ("platform", overlap_is_paid_twice),
    "time_out_is_not_taken_back": ("platform", time_out_is_not_taken_back),
    "command_is_not_remembered": ("platform", command_is_not_remembered),
}


@pytest.mark.parametrize("name", BUGS)
def test_a_planted_bug_is_found(
    name: str, monkeypatch: pytest.MonkeyPatch, record_property: Callable[[str, object], None]
) -> None:
    world, plant = BUGS[name]
    plant(monkeypatch)
    with silence():
        found = first_failure(world, range(SEEDS_MAX))
    assert found is not None, f"{SEEDS_MAX} seeds did not find {name}"
    record_property("found_by_seed", found[0] - 1)
    record_property("as", str(found[1].violation))
