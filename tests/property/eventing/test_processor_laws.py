"""Laws of the receiving half: what a processor comes to depends on each key's own history, and on nothing else."""

import asyncio
import itertools
import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.contracts.activities import SignedUp
from services.contracts.event import Event
from services.contracts.ids import ActorId, AttendanceId, UnitCode, VolunteerId
from services.eventing import parking, positions, processor
from services.eventing.door.logic import Door, LogTruncatedError
from services.eventing.inbox import IdentityError, Inboxes, SequenceGapError
from services.eventing.parking import PARKING
from services.eventing.ports import (
    AlreadyExistsError,
    CommitUnknownError,
    ConflictError,
    Document,
    StoreUnavailableError,
)
from tests.support.counting import POISON
from tests.support.engines import Bench, bench
from tests.support.hand_log import HandLog
from tests.support.records import P0, LogRecord, Publisher, check_in

KEYS = ("a", "b", "c")
KINDS = ("check_in", "check_in", "check_in", "of no use", "undecidable", "unreadable")


@dataclass(frozen=True)
class Example:
    """Each key's history as kinds of events, and in which order the log has them: one key a record."""

    histories: dict[str, list[str]]
    order: list[str]


@st.composite
def examples(draw: st.DrawFn) -> Example:
    histories = {key: draw(st.lists(st.sampled_from(KINDS), max_size=5)) for key in KEYS}
    order = [key for key in KEYS for _ in histories[key]]
    return Example(histories, draw(st.permutations(order)))


def event_of(key: str, kind: str) -> Event:
    if kind == "of no use":
        return SignedUp(
            attendance_id=AttendanceId("attendance"),
            volunteer_id=VolunteerId(key),
            home_unit=UnitCode("340803"),
            session=check_in().session,
            entered_by=ActorId("leader"),
        )
    return check_in(key, batch_id=POISON if kind == "undecidable" else None)


def log_of(example: Example) -> list[LogRecord]:
    """The records in the log's order; a key's records have the same ids, sequences and values in any order of keys."""
    queues: dict[str, Iterator[LogRecord]] = {}
    for key, kinds in example.histories.items():
        records = Publisher(key).records([event_of(key, kind) for kind in kinds]) if kinds else []
        spoilt = [replace(r, value=b"{") if kind == "unreadable" else r for r, kind in zip(records, kinds, strict=True)]
        queues[key] = iter(spoilt)
    return [replace(next(queues[key]), offset=offset, timestamp=0) for offset, key in enumerate(example.order)]


def renumbered(records: Sequence[LogRecord]) -> list[LogRecord]:
    return [record.at(offset) for offset, record in enumerate(records)]


async def process(records: Sequence[LogRecord], cuts: Sequence[int] = ()) -> Bench:
    """Applies records in batches that end at ``cuts``."""
    b = bench(parked_per_minute_max=1_000)
    edges = sorted({0, len(records), *(min(cut, len(records)) for cut in cuts)})
    for start, end in itertools.pairwise(edges):
        await b.apply(records[start:end])
    return b


def outcome(b: Bench) -> dict[str, Any]:
    """All that was written but positions; parked records without their places in the log."""
    queues = {each: [unplaced(r) for r in queue["records"]] for each, queue in b.store.documents(PARKING).items()}
    return {**b.projection(), "queues": queues}


def unplaced(record: Document) -> Document:
    return {name: value for name, value in record.items() if name not in {"offset", "path"}}


def check_history(b: Bench, example: Example) -> None:
    """Of each key a prefix is applied and the rest waits, all in order and nothing twice."""
    applied, queues = b.applied(), b.store.documents(PARKING)
    for key, kinds in example.histories.items():
        ids = [f"{key}-{number}" for number, kind in enumerate(kinds, 1) if kind != "of no use"]
        waiting = [record["id"] for record in queues.get(f"counting|{key}", {"records": []})["records"]]
        flawed = next((i for i, kind in enumerate(kinds) if kind in {"undecidable", "unreadable"}), len(kinds))
        good = [f"{key}-{number}" for number, kind in enumerate(kinds[:flawed], 1) if kind == "check_in"]
        assert [each for each in ids if each in applied] == good
        assert good + waiting == ids
        assert b.counts().get(key, 0) == len(good)
    facts = b.projection()["facts"]
    assert len(facts) == len(applied)
    assert len({fact["id"] for fact in facts.values()}) == len(facts)


async def check_laws(example: Example, cuts: Sequence[int], repeats: Sequence[int]) -> None:
    records = log_of(example)
    whole = await process(records)
    check_history(whole, example)
    assert outcome(await process(records, cuts)) == outcome(whole), "batches cut anywhere give the same"
    if records:
        again = [record for i, record in enumerate(records) for record in [record] * (1 + repeats.count(i))]
        late = [records[i] for i in repeats if i < len(records)]
        repeated = await process(renumbered([*again, *late]), cuts)
        assert outcome(repeated) == outcome(whole), "repeats change nothing"
    by_key = Example(example.histories, sorted(example.order))
    assert outcome(await process(log_of(by_key))) == outcome(whole), "only a key's own order counts"


CUTS = st.lists(st.integers(0, 15), max_size=4)
REPEATS = st.lists(st.integers(0, 14), max_size=4)


@given(examples(), CUTS, REPEATS)
@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow])
def test_only_each_keys_own_history_decides(example: Example, cuts: list[int], repeats: list[int]) -> None:
    asyncio.run(check_laws(example, cuts, repeats))


FAULTS: dict[str, tuple[str, type[Exception]]] = {
    "conflict": ("replace", ConflictError),
    "unavailable": ("insert", StoreUnavailableError),
    "commit lost": ("commit", CommitUnknownError),
    "commit unknown": ("committed", CommitUnknownError),
    "read fails": ("get", StoreUnavailableError),
}
ACTIONS = ("bring", "bring", "stale", "again", "rival", *FAULTS)


async def live_through(example: Example, actions: Sequence[tuple[str, int]]) -> Bench:
    """Two members of a group read one log, with faults, stale lists and changes of owner on the way."""
    b = bench(partitions=(), parked_per_minute_max=1_000)
    log = HandLog([P0])
    log.append(log_of(example))
    doors = [Door(b.engine, log, b.clock, random.Random(seed), b.witness) for seed in (1, 2)]
    for door in doors:
        await door.assigned({P0})
    for action, amount in [*actions, ("again", 0), *[("bring", 100)] * 3]:
        door = doors[action == "rival"]  # the rival holds the same partition: a zombie, or the new owner
        pending = [FAULTS[action]] if action in FAULTS else []
        b.store.fault = fault_once(pending)
        if action == "again":
            await doors[0].finish()
            await doors[0].assigned({P0})
        elif action == "stale":
            await door.receive({P0: log.records[P0][: amount + 1]})
        else:
            log.at[P0] = max(0, (door.next_offset(P0) or 0) - 1)
            await door.receive({P0: log.fetch(P0, amount + 1)})
    return b


def fault_once(pending: list[tuple[str, type[Exception]]]) -> Callable[[str], None]:
    def fault(step: str) -> None:
        if pending and step == pending[0][0]:
            _, error = pending.pop()
            raise error("planted")

    return fault


async def no_sleep(_: float) -> None:
    """Lets others run and waits for nothing."""


def check_life(example: Example, actions: Sequence[tuple[str, int]]) -> None:
    with patch("services.eventing.door.logic.asyncio.sleep", no_sleep):
        b = asyncio.run(live_through(example, actions))
    check_history(b, example)
    assert b.witness.counts["duplicates"] == 0, "positions alone keep a log without repeats from being applied twice"
    (position,) = b.store.documents(positions.POSITIONS).values()
    assert position["next"] == len(example.order)


SCRIPTS = st.lists(st.tuples(st.sampled_from(ACTIONS), st.integers(0, 6)), max_size=12)


@given(examples(), SCRIPTS)
@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow])
def test_whatever_happens_on_the_way_each_record_counts_once(example: Example, actions: list[tuple[str, int]]) -> None:
    check_life(example, actions)


# A law that nobody has seen fail is not a law: each planted bug must break one.


async def position_not_compared(tx: object, each: str, expected: object) -> None:
    """The transaction is not conditional on the position."""


def takes_repeats(self: Inboxes, incoming: Sequence[Any]) -> list[Any]:
    self._last.update({each.key: each.sequence for each in incoming})
    self._ids.update({each.key: each.event_id for each in incoming})
    return list(incoming)


def parks_only_the_flawed(self: Any, fresh: Sequence[Any], parked: object) -> Any:
    usable, waiting, ignored = real_sort(self, fresh, ())
    behind = [each for each in waiting if each.reason == "behind"]
    return [*usable, *(each.incoming for each in behind)], [w for w in waiting if w.reason != "behind"], ignored


def forgets_the_flag(self: Inboxes, keys: Any, changed: Any, sent: Any) -> list[Document]:
    self.parked.clear()
    return real_documents(self, keys, changed, sent)


def counts_facts_from_one(self: Inboxes, key: str, topic: str) -> int:
    return 0


def queue_in_order_of_discovery(_: Any) -> int:
    return 0


def advances_too_far(tx: Any, each: str, position: positions.Position) -> Any:
    return real_advance(tx, each, replace(position, next=position.next + 1))


real_sort = processor.Engine._sort
real_documents = Inboxes.documents
real_advance = positions.advance

FOUND = (
    AssertionError,
    AlreadyExistsError,
    IdentityError,
    SequenceGapError,
    LogTruncatedError,
    positions.PositionMoved,
)
"""How a bug comes to light: a law is broken, or one of the engine's own checks stops the process."""
PLANTED: dict[str, tuple[Any, str, Any]] = {
    "position not compared": (positions, "expect", position_not_compared),
    "repeats applied": (Inboxes, "take", takes_repeats),
    "only the flawed record parked": (processor.Engine, "_sort", parks_only_the_flawed),
    "parked flag forgotten": (Inboxes, "documents", forgets_the_flag),
    "facts numbered from one": (Inboxes, "sent", counts_facts_from_one),
    "queue in order of discovery": (parking, "_offset", queue_in_order_of_discovery),
    "position too far": (positions, "advance", advances_too_far),
}


@contextmanager
def planted(bug: str) -> Iterator[None]:
    owner, name, wrong = PLANTED[bug]
    with patch.object(owner, name, wrong):
        yield


@pytest.mark.parametrize("bug", PLANTED)
def test_a_planted_bug_breaks_a_law(bug: str) -> None:
    rng = random.Random(bug)

    def tried() -> None:
        for _ in range(100):
            histories = {key: rng.choices(KINDS, k=rng.randrange(6)) for key in KEYS}
            order = [key for key in KEYS for _ in histories[key]]
            rng.shuffle(order)
            example = Example(histories, order)
            numbers = [rng.randrange(15) for _ in range(6)]
            asyncio.run(check_laws(example, numbers[:3], numbers[3:]))
            check_life(example, [(rng.choice(["bring", "rival", "commit unknown"]), n % 4) for n in numbers])

    with planted(bug), pytest.raises(FOUND):
        tried()
    tried()
