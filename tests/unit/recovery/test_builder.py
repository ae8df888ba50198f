"""A projection is built again beside the live one, to the same bytes; whatever the live one has wrong is found."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from services.assessment import wiring as assessment_wiring
from services.assessment.facts import store as facts
from services.assessment.facts.handlers import FactsHandler, FactsState
from services.assessment.recovery import PROJECTION as FACTS
from services.contracts.event import Envelope, Event
from services.eventing.batch import Origin, Saved
from services.eventing.generations import live
from services.eventing.outbox import OUTBOX
from services.eventing.ports import Transaction
from services.eventing.positions import PositionMoved
from services.eventing.processor import Engine
from services.hours import wiring as hours_wiring
from services.hours.ledger import store as ledger
from services.hours.ledger.handlers import LedgerHandler, LedgerState
from services.hours.ledger.rules import Change
from services.hours.recovery import PROJECTION as LEDGER
from services.recovery.builder import Builder, Live, NotBuiltError
from services.recovery.compare import Verdict, told
from services.recovery.parity import watch
from services.recovery.projection import Projection
from services.recovery.swap import RETIRED_OFFSET, SwapRefusedError, next_generation, swap
from services.runtime.metrics import Metrics
from tests.support.attendance import at, checked_in, checked_out, session, timed_out
from tests.support.history import MemoryHistory
from tests.support.memory_store import MemoryStore
from tests.support.ports import SetClock
from tests.support.processing import Processing
from tests.support.witness import Witness
from tests.unit.assessment.test_assessment_over_http import entry, person, roll, station, unit


def two_hours(number: int, day: int, volunteer: str = "v1", grade: int = 2) -> tuple[Event, Event]:
    """One whole attendance."""
    facts = session(at(9, day=day), at(11, day=day), number=number)
    came = checked_in(at(9, day=day), facts, volunteer=volunteer, grade=grade)
    return came, checked_out(at(11, day=day), facts, volunteer=volunteer, grade=grade)


MISSED = session(at(9, day=1), at(11, day=1), number=1)
EVENTS: Sequence[Event] = (
    checked_in(at(9, day=1), MISSED),
    *two_hours(2, 2),
    timed_out(MISSED),  # between others of the same account, from another topic
    *two_hours(3, 3),
    *two_hours(4, 3, grade=3),  # overlaps: re-posts the one before
    *two_hours(5, 4, "v2"),
    checked_out(at(10, day=1), MISSED),  # late: takes the settlement back
    person("v1"),
    person("v2"),
)


async def lived(wiring: Any, events: Sequence[Event], handler: Any = None) -> Processing:
    """A processor that took these events one by one, as they were announced."""
    processing = await Processing(wiring).prepare()
    if handler is not None:
        processing.handler = handler
        processing.engine = Engine(handler, processing.store, SetClock(), processing.witness)
    for event in events:
        await processing.take(event)
    return processing


async def built(processing: Processing, projection: Projection, history: MemoryHistory | None = None) -> Builder:
    """A new generation at its beginning, with the right handler whatever the live one has."""
    builder = Builder(
        projection,
        processing.wiring.build_handler(),
        processing.store,
        history or MemoryHistory.of(processing),
        generation="2",
        wall=SetClock(),
        observer=Witness(),
    )

    async def drop(collections: Sequence[str]) -> None:
        for name in collections:
            processing.store.remove(name, *processing.store.documents(name))

    await builder.begin(processing.store, processing.wiring.INDEXES, drop)
    return builder


async def verdict(processing: Processing, projection: Projection, history: MemoryHistory | None = None) -> Verdict:
    return await (await built(processing, projection, history)).round()


async def test_the_ledger_is_rebuilt_to_the_same_bytes_in_the_order_of_its_record() -> None:
    hours = await lived(hours_wiring, EVENTS)
    rows = hours.store.documents(OUTBOX)
    found = await verdict(hours, LEDGER)
    assert found.wrong == 0, told(found)
    assert found.people == 2
    assert hours.store.documents("entries~2") == hours.store.documents(ledger.ENTRIES)
    assert hours.store.documents(OUTBOX) == rows, "a rebuild publishes nothing"


async def test_without_the_record_the_same_ledger_would_come_out_in_another_order() -> None:
    """So the order is not kept by chance."""
    hours = await lived(hours_wiring, EVENTS)
    history = MemoryHistory.of(hours)
    for partition in list(history.log):
        if partition.topic == "hours.entries":
            del history.log[partition]
    for row in hours.store.documents(OUTBOX).values():
        hours.store.put(OUTBOX, {**row, "state": "marked"})
    assert (await verdict(hours, LEDGER, history)).wrong > 0


async def test_what_is_not_published_yet_counts_as_record_too() -> None:
    hours = await lived(hours_wiring, EVENTS)
    history = MemoryHistory()
    history.log.update(hours.log)
    assert (await verdict(hours, LEDGER, history)).wrong == 0


async def test_a_builder_follows_and_compares_at_the_same_offsets() -> None:
    hours = await lived(hours_wiring, EVENTS[:5])
    builder = await built(hours, LEDGER, history := MemoryHistory.of(hours))
    assert (await builder.round()).wrong == 0
    for event in EVENTS[5:]:
        await hours.take(event)
    history.log.update(MemoryHistory.of(hours).log)
    found = await builder.round()
    assert found.wrong == 0, told(found)


class Dropping(LedgerHandler):
    """Loses what one check-out is worth."""

    def decide(self, state: LedgerState, envelope: Envelope[Any], origin: Origin) -> Change:
        change = super().decide(state, envelope, origin)
        return Change(change.account) if change.postings and envelope.data.volunteer_id == "v2" else change


async def test_a_dropped_event_is_found() -> None:
    hours = await lived(hours_wiring, EVENTS, Dropping())
    found = await verdict(hours, LEDGER)
    assert found.people_differing == 1
    lacks = [each for each in found.differences if each.how == "missing"]
    assert {each.collection for each in lacks} == {ledger.ENTRIES, ledger.MONTHS, ledger.LANES}
    assert all(each.unit == "340802" for each in lacks)


class Twice(FactsHandler):
    """Counts minutes twice."""

    async def save(self, tx: Transaction, state: FactsState) -> Saved:
        saved = await super().save(tx, state)
        if state.entries:
            await facts._add_minutes(tx, state.entries, state.part)
        return saved


def facts_events() -> list[Event]:
    return [unit(), roll(300), station(), person("v1"), *(entry(month=month) for month in (7, 8, 9))]


async def test_assessment_is_rebuilt_to_the_same_facts() -> None:
    assessment = await lived(assessment_wiring, facts_events())
    found = await verdict(assessment, FACTS)
    assert found.wrong == 0, told(found)
    assert found.documents > 10


async def test_an_event_counted_twice_is_found_in_its_unit_and_month() -> None:
    assessment = await lived(assessment_wiring, facts_events(), Twice())
    found = await verdict(assessment, FACTS)
    assert [(each.unit, each.month, each.collection) for each in found.differences] == [
        ("340802", month, facts.MINUTES) for month in ("2026-07", "2026-08", "2026-09")
    ]


async def test_events_of_a_key_in_another_order_are_found() -> None:
    first, second = two_hours(3, 3), two_hours(4, 3, grade=3)
    hours = await lived(hours_wiring, [*first, *second])
    other = await lived(hours_wiring, [*second, *first])
    history = MemoryHistory.of(hours)
    history.log.update(other.log)
    found = await verdict(hours, LEDGER, history)
    assert found.wrong > 0
    assert found.people_differing == 1


@pytest.mark.parametrize("collection", LEDGER.collections)
async def test_a_manual_edit_is_found(collection: str) -> None:
    hours = await lived(hours_wiring, EVENTS)
    identity, document = next(iter(hours.store.documents(collection).items()))
    match collection:
        case ledger.ACCOUNTS:
            document["account"] = document["account"].replace('"minutes":[0,0,', '"minutes":[0,0,9')
        case ledger.MONTHS:
            document["minutes"][2] += 1
        case _:
            next(iter(document["months"].values()))["entries"] += 1
    hours.store.put(collection, document)
    found = await verdict(hours, LEDGER)
    assert [(each.collection, each.document, each.how) for each in found.differences] == [
        (collection, identity, "other")
    ]
    assert f"{collection} {identity} in unit 340802" in told(found)[1]


async def test_a_removed_and_an_invented_document_are_found() -> None:
    hours = await lived(hours_wiring, EVENTS)
    identity, document = next(iter(hours.store.documents(ledger.ENTRIES).items()))
    hours.store.remove(ledger.ENTRIES, identity)
    hours.store.put(ledger.ENTRIES, {**document, "_id": "invented", "chain_number": 99})
    found = await verdict(hours, LEDGER)
    assert {(each.document, each.how) for each in found.differences} == {
        (identity, "missing"),
        ("invented", "too many"),
    }


async def test_parity_tells_a_drift_and_its_end() -> None:
    hours = await lived(hours_wiring, EVENTS)
    builder, metrics, stop = await built(hours, LEDGER), Metrics("hours", "parity"), asyncio.Event()
    watching = asyncio.create_task(watch(builder, "hours", metrics, SetClock(), stop, every_s=0.001))

    async def told_as(value: str) -> None:
        async with asyncio.timeout(10):
            line = f'parity_differences{{service="hours"}} {value}'
            while True:
                if line in metrics.text().decode():
                    return
                await asyncio.sleep(0)

    await told_as("0.0")
    (identity, before), *_ = hours.store.documents(ledger.MONTHS).items()
    hours.store.put(ledger.MONTHS, {**before, "minutes": [9, 9, 9, 9]})
    await told_as("1.0")
    hours.store.put(ledger.MONTHS, {**before, "_id": identity})
    await told_as("0.0")
    stop.set()
    await watching


async def test_a_swap_repairs_a_projection_and_the_processor_goes_on_in_it() -> None:
    hours = await lived(hours_wiring, EVENTS[:-2])
    (identity, document), *_ = hours.store.documents(ledger.MONTHS).items()
    hours.store.put(ledger.MONTHS, {**document, "minutes": [9, 9, 9, 9]})
    builder = await built(hours, LEDGER)
    with pytest.raises(SwapRefusedError, match="differ"):
        await swap(builder, LEDGER, hours.store, 2, accept=False)
    await swap(builder, LEDGER, hours.store, 2, accept=True)
    store = await live(hours.store)
    assert (await store.get(ledger.MONTHS, [identity]))[identity] == document
    assert await next_generation(hours.store) == 3
    old = await hours.engine.positions(hours.applied)
    assert {position.next for position in old.values()} == {RETIRED_OFFSET}, "who still works on the old one stops"
    engine = Engine(hours.handler, store, SetClock(), hours.witness)
    await engine.take_over(list(hours.applied))
    assert (await engine.positions(hours.applied)) == hours.applied
    with pytest.raises(PositionMoved):
        await hours.take(two_hours(9, 9)[0])


async def test_a_swap_is_refused_where_records_differ() -> None:
    hours = await lived(hours_wiring, EVENTS, Dropping())
    with pytest.raises(SwapRefusedError, match="records differ"):
        await swap(await built(hours, LEDGER), LEDGER, hours.store, 2, accept=True)


async def test_a_generation_is_taken_up_by_another_process() -> None:
    hours = await lived(hours_wiring, EVENTS[:5])
    assert (await (await built(hours, LEDGER)).round()).wrong == 0
    for event in EVENTS[5:]:
        await hours.take(event)
    again = Builder(
        LEDGER,
        LedgerHandler(),
        hours.store,
        MemoryHistory.of(hours),
        generation="2",
        wall=SetClock(),
        observer=Witness(),
    )
    await again.resume()
    found = await again.round()
    assert found.wrong == 0, told(found)
    nothing = Builder(
        LEDGER, LedgerHandler(), hours.store, MemoryHistory(), generation="9", wall=SetClock(), observer=Witness()
    )
    with pytest.raises(NotBuiltError):
        await nothing.resume()


async def test_a_second_generation_is_built_from_the_first_ones_place() -> None:
    hours = await lived(hours_wiring, EVENTS)
    await swap(await built(hours, LEDGER), LEDGER, hours.store, 2, accept=False)
    store = await live(hours.store)
    builder = Builder(
        LEDGER, LedgerHandler(), store, MemoryHistory.of(hours), generation="3", wall=SetClock(), observer=Witness()
    )
    await builder.begin(hours.store, hours_wiring.INDEXES, nothing_dropped)
    await swap(builder, LEDGER, hours.store, 3, accept=False)
    assert (await live(hours.store)).name(ledger.MONTHS) == "account_months~3"  # type: ignore[attr-defined]


async def nothing_dropped(collections: Sequence[str]) -> None:
    """Nothing is there yet."""


async def test_a_swap_never_leaves_out_what_was_applied_while_it_compared() -> None:
    hours = await lived(hours_wiring, EVENTS[:5])
    builder = await built(hours, LEDGER, history := MemoryHistory.of(hours))
    compared: list[Verdict] = []
    verdict_of = builder.verdict

    async def slowly(live: Live) -> Verdict:
        compared.append(await verdict_of(live))
        if len(compared) == 1:
            await hours.take(EVENTS[5])
            history.log.update(MemoryHistory.of(hours).log)
        return compared[-1]

    builder.verdict = slowly  # type: ignore[method-assign]
    await swap(builder, LEDGER, hours.store, 2, accept=False)
    assert len(compared) == 2
    engine = Engine(hours.handler, await live(hours.store), SetClock(), hours.witness)
    assert await engine.positions(hours.applied) == hours.applied


async def test_who_builds_beside_the_live_one_ends_none_of_its_sessions() -> None:
    class Sessions(MemoryStore):
        async def take_over(self, owner: str) -> None:
            taken.append(owner)
            await super().take_over(owner)

    taken: list[str] = []
    hours = await lived(hours_wiring, EVENTS)
    store = Sessions(hours_wiring.SERVICE.all_indexes(), collections=hours_wiring.SERVICE.all_collections())
    for name in hours_wiring.SERVICE.all_collections():
        store.put(name, *hours.store.documents(name).values())
    hours.store = store
    await verdict(hours, LEDGER)
    assert taken
    assert all(owner.endswith("~2") for owner in taken)
