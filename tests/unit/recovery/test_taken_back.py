"""What own topics hold beyond a backup comes back: same documents, same sequences, nothing announced twice."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from services.activities import recovery as activities_recovery
from services.activities import wiring as activities_wiring
from services.assessment import recovery as assessment_recovery
from services.assessment import wiring as assessment_wiring
from services.assessment.scores import store as scores
from services.contracts.activities import ActivityPublished, CheckedIn, CheckedOut, SessionPublished, SignedUp
from services.contracts.assessment import ScorePublished
from services.contracts.codec import decode
from services.contracts.documents import examples
from services.contracts.event import Event
from services.contracts.hours import EntryPosted
from services.contracts.registry import OrganisationRegistered, RollRecorded, UnitRegistered, VolunteerRegistered
from services.eventing import changes
from services.eventing.facts import Fact
from services.eventing.outbox import MARKED, OUTBOX, STREAMS, UNMARKED, emit
from services.eventing.relay.lease import CHANGES, FENCES, LEASE, RELAY_ID, acquire
from services.eventing.relay.marking import mark
from services.hours import recovery as hours_recovery
from services.hours import wiring as hours_wiring
from services.hours.ledger import store as ledger
from services.hours.timeouts.handlers import TIMEOUTS_ANNOUNCED
from services.recovery.files import Manifest
from services.recovery.restore import EPOCH_JUMP, TakenBack
from services.recovery.tail import TailBrokenError
from services.registry import recovery as registry_recovery
from services.registry import wiring as registry_wiring
from tests.support.history import MemoryHistory
from tests.support.memory_store import MemoryStore
from tests.support.ports import SetClock
from tests.support.processing import Processing, partition_of
from tests.support.records import Publisher, as_record
from tests.support.witness import Witness
from tests.unit.recovery.test_builder import EVENTS, lived

LONG_AGO = datetime(2026, 6, 1, tzinfo=UTC)


def manifest(taken_at: datetime = LONG_AGO) -> Manifest:
    return Manifest(
        format=1,
        schema_version=1,
        service="any",
        part="data",
        taken_at=taken_at,
        seconds=0,
        collections={},
        positions={},
        changes=0,
    )


def copy_of(store: MemoryStore, service: Any) -> MemoryStore:
    """A backup that was loaded into an empty database."""
    copy = MemoryStore(service.all_indexes(), collections=service.all_collections())
    for name in service.all_collections():
        copy.put(name, *store.documents(name).values())
    return copy


def taken_back(store: MemoryStore, history: MemoryHistory, wiring: Any, recovery: Any) -> TakenBack:
    return TakenBack(wiring.SERVICE, recovery.RECOVERY, store, history, wall=SetClock(), observer=Witness())


async def test_the_ledger_comes_back_to_the_same_bytes_and_announces_nothing() -> None:
    hours = await lived(hours_wiring, EVENTS[:4])
    restored = copy_of(hours.store, hours_wiring.SERVICE)
    before = len(restored.documents(OUTBOX))
    for event in EVENTS[4:]:
        await hours.take(event)
    history = MemoryHistory.of(hours)
    events, decided = await taken_back(restored, history, hours_wiring, hours_recovery).run(manifest())
    assert events == decided + 1, "the time-out was announced by due work"
    for name in (ledger.ENTRIES, ledger.MONTHS, ledger.LANES):
        assert restored.documents(name) == hours.store.documents(name), name
    rows = restored.documents(OUTBOX)
    assert len(rows) > before
    assert {row["state"] for row in rows.values()} == {MARKED}
    numbers = sorted((row["change_from"], row["change_to"]) for row in rows.values())
    assert [first for first, _ in numbers] == [1, *(last + 1 for _, last in numbers[:-1])], "no gap in the feed"


async def test_the_processor_takes_up_where_the_record_ends() -> None:
    hours = await lived(hours_wiring, EVENTS[:4])
    restored = copy_of(hours.store, hours_wiring.SERVICE)
    for event in EVENTS[4:8]:
        await hours.take(event)
    history = MemoryHistory.of(hours)
    for event in EVENTS[8:]:  # announced, and applied by nobody yet
        for message in hours.publisher.messages([event]):
            partition = partition_of(message.topic, message.key)
            history.log[partition].append(as_record(message, partition, len(history.log[partition])))
    await taken_back(restored, history, hours_wiring, hours_recovery).run(manifest())
    again = Processing(hours_wiring, restored)
    again.log.update({each: records for each, records in history.log.items() if each.topic in again.handler.topics})
    await again.take_messages([])
    entries = restored.documents(ledger.ENTRIES)
    assert entries.keys() > hours.store.documents(ledger.ENTRIES).keys()
    fresh = [row for row in restored.documents(OUTBOX).values() if row["state"] == UNMARKED]
    announced = [event["sequence"] for row in fresh for event in row["events"] if event["key"] == "v1"]
    sent = hours.store.documents(ledger.ACCOUNTS)["v1"]["inbox"]["sent"]
    last = sent["hours.entries"]
    assert min(announced) == last + 1, "sequences go on where the topic ends"


async def test_a_record_that_was_mended_after_the_backup_is_left_to_the_processor() -> None:
    hours = await Processing(hours_wiring).prepare()
    messages = hours.publisher.messages(EVENTS[:1])
    (broken,) = messages
    await hours.take_messages([replace(broken, value=b"{")])
    restored = copy_of(hours.store, hours_wiring.SERVICE)
    assert restored.documents(ledger.ACCOUNTS)["v1"]["inbox"]["parked"]
    await hours.take(*EVENTS[1:3])
    history = MemoryHistory.of(hours)
    mended = msgspec.structs.replace(
        example(EntryPosted), volunteer_id="v1", cause=dict(broken.headers)["ce_id"].decode()
    )
    for message in Publisher("mended").messages([mended]):
        partition = partition_of(message.topic, message.key)
        history.log[partition].append(as_record(message, partition, len(history.log[partition])))
    await taken_back(restored, history, hours_wiring, hours_recovery).run(manifest())
    assert restored.documents(ledger.ENTRIES) == {}, "the operations topic brings it back"


async def test_rows_that_were_published_after_the_backup_are_marked() -> None:
    hours = await lived(hours_wiring, EVENTS)
    restored = copy_of(hours.store, hours_wiring.SERVICE)
    history = MemoryHistory.of(hours)
    lost_row = next(name for name, row in restored.documents(OUTBOX).items() if row["events"][0]["key"] == "v2")
    for partition in list(history.log):
        if partition.topic == "hours.entries":
            history.log[partition] = [r for r in history.log[partition] if r.key != b"v2"]
    await taken_back(restored, history, hours_wiring, hours_recovery).run(manifest())
    states = {name: row["state"] for name, row in restored.documents(OUTBOX).items()}
    assert states.pop(lost_row) == UNMARKED, "what no topic holds is published by the relay"
    assert set(states.values()) == {MARKED}


async def test_a_cursor_of_what_was_lost_is_unknown_and_an_older_one_goes_on() -> None:
    hours = await lived(hours_wiring, EVENTS)
    await hours.store.prepare(hours_wiring.SERVICE.all_collections(), ())
    guard = await acquire(hours.store, SetClock(), "relay-1")
    assert guard is not None
    first, *later = hours.store.documents(OUTBOX)
    await mark(hours.store, guard, [first])
    restored = copy_of(hours.store, hours_wiring.SERVICE)
    await mark(hours.store, guard, later)
    before = (await changes.read_changes(hours.store, None, 1)).next
    lost = (await changes.read_changes(hours.store, None, 200)).next
    await taken_back(restored, MemoryHistory.of(hours), hours_wiring, hours_recovery).run(manifest())
    assert (await changes.read_changes(restored, before, 200)).items
    with pytest.raises(changes.CursorUnknownError):
        await changes.read_changes(restored, lost, 200)
    epochs = {restored.documents(each.collection)[each.id]["epoch"] for each in FENCES}
    assert epochs == {restored.documents(LEASE)[RELAY_ID]["epoch"]} == {guard.epoch + EPOCH_JUMP}
    assert restored.documents(CHANGES.collection)[CHANGES.id]["number"] == int(lost.split(".")[1]) + 1, "the time-out"
    assert await acquire(restored, SetClock(), "relay-2") is not None, "a relay may lead at once"


async def published(*events: Event) -> MemoryHistory:
    """A log that holds these events."""
    history = MemoryHistory()
    for message in Publisher().messages(events):
        partition = partition_of(message.topic, message.key)
        history.log[partition].append(as_record(message, partition, len(history.log[partition])))
    return history


def example(kind: type[Event]) -> Any:
    return decode(kind.TYPE, examples(kind)[-1]).data


async def restored_from(events: Sequence[Event], wiring: Any, recovery: Any) -> MemoryStore:
    """An empty database, with what topics hold."""
    store = MemoryStore(wiring.SERVICE.all_indexes(), collections=wiring.SERVICE.all_collections())
    await taken_back(store, await published(*events), wiring, recovery).run(manifest())
    return store


async def test_registry_gets_back_all_but_what_is_personal() -> None:
    events = [example(kind) for kind in (UnitRegistered, RollRecorded, OrganisationRegistered, VolunteerRegistered)]
    store = await restored_from(events, registry_wiring, registry_recovery)
    unit, _, organisation, volunteer = events
    assert store.documents("units")[unit.unit]["rows"][0]["name"] == unit.name
    assert store.documents("organisations")[organisation.organisation_id]["unit"] == organisation.unit
    document = store.documents("volunteers")[volunteer.volunteer_id]
    assert (document["number"], document["personal"]) == (volunteer.number, {})
    assert store.documents("volunteer_claims")[f"number|{volunteer.number}"]["volunteer_id"] == volunteer.volunteer_id
    assert store.documents(STREAMS)[f"registry.volunteers|{volunteer.volunteer_id}"]["n"] == 1


async def test_activities_get_back_what_was_offered_and_who_came() -> None:

    offered = example(SessionPublished)
    kinds = (SignedUp, CheckedIn, CheckedOut)
    came = [msgspec.structs.replace(example(kind), session=offered.session, attendance_id="at-1") for kind in kinds]
    came = [msgspec.structs.replace(each, volunteer_id="v-1") for each in came]
    events = [example(ActivityPublished), offered, *came]
    store = await restored_from(events, activities_wiring, activities_recovery)
    session = store.documents("sessions")[offered.session.session_id]
    assert (session["published"], session["places_taken"]) == (True, 1)
    attendance = store.documents("attendances")["at-1"]
    assert attendance["check_in"]
    assert attendance["check_out"]
    assert store.documents(STREAMS)["activities.attendance|v-1"]["n"] == 3


async def test_an_end_without_its_beginning_is_passed_over() -> None:
    store = await restored_from([example(CheckedOut), example(SignedUp)], activities_wiring, activities_recovery)
    assert store.documents("attendances") == {}
    assert store.documents("sign_ups") == {}


async def test_assessment_goes_on_with_the_next_revision() -> None:
    score = example(ScorePublished)
    store = await restored_from([score], assessment_wiring, assessment_recovery)
    row = store.documents(scores.PUBLISHED)[scores.published_id(score.unit, score.period)]
    assert row["revision"] == score.revision


async def test_an_announced_time_out_is_not_announced_again() -> None:
    hours = Processing(hours_wiring)
    timed = EVENTS[3]
    store = await restored_from([timed], hours_wiring, hours_recovery)
    assert list(store.documents(TIMEOUTS_ANNOUNCED)) == [timed.attendance_id]  # type: ignore[attr-defined]
    assert hours.handler.processor == "hours"


async def test_what_others_put_into_an_own_topic_is_not_announced_and_sequences_go_on_behind_it() -> None:
    history = await published(example(UnitRegistered))
    ((partition, (record,)),) = history.log.items()
    history.log[partition] = [replace(record, value=b"{")]
    service = registry_wiring.SERVICE
    store = MemoryStore(service.all_indexes(), collections=service.all_collections())
    await taken_back(store, history, registry_wiring, registry_recovery).run(manifest())
    assert store.documents(OUTBOX) == {}
    assert [head["n"] for head in store.documents(STREAMS).values()] == [1]


async def test_a_topic_that_lacks_what_lies_between_is_refused() -> None:
    history = await published(example(UnitRegistered), example(UnitRegistered))
    for partition, records in history.log.items():
        history.log[partition] = [record.at(offset) for offset, record in enumerate(records[1:])]
    service = registry_wiring.SERVICE
    store = MemoryStore(service.all_indexes(), collections=service.all_collections())
    with pytest.raises(TailBrokenError, match="truncated"):
        await taken_back(store, history, registry_wiring, registry_recovery).run(manifest())


async def test_a_topic_with_another_history_is_refused() -> None:
    service = registry_wiring.SERVICE
    store = MemoryStore(service.all_indexes(), collections=service.all_collections())
    fact = Fact("another-id", example(UnitRegistered), LONG_AGO)  # type: ignore[arg-type]
    await store.transact(lambda tx: emit(tx, [fact], row_id="row", at=LONG_AGO))
    with pytest.raises(TailBrokenError, match="another event"):
        await taken_back(store, await published(example(UnitRegistered)), registry_wiring, registry_recovery).run(
            manifest()
        )
