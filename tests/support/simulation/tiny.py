"""Three services as small as services can be: amounts are given, added up, and added up again."""

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any, Final

from services.contracts.assessment import ScorePublished
from services.contracts.event import Envelope, Event
from services.contracts.hours import NOTICES, TIMEOUTS, AttendanceTimedOut, NoticeRaised
from services.contracts.ids import AttendanceId, EventId, UnitCode, VolunteerId, VolunteerNumber
from services.contracts.registry import VOLUNTEERS, VolunteerUpdated
from services.eventing import outbox, processor
from services.eventing.batch import Origin, Saved
from services.eventing.facts import Fact, derived_id
from services.eventing.outbox import emit
from services.eventing.ports import Document, Index, Ports, Transaction
from services.eventing.relay import lease
from services.eventing.relay.lease import LeaseGuard
from services.eventing.times import to_text
from services.runtime import commands
from services.runtime.commands import Command
from services.runtime.outcomes import Accepted, Outcome, Problem, Refusal

GIVEN: Final = "given"
REMINDERS: Final = "reminders"
ACCOUNTS: Final = "accounts"
ENTRIES: Final = "entries"
PEOPLE: Final = "people"
UNITS: Final = "units"
POISON: Final = 13
"""An amount that cannot be decided."""
REFUSED: Final = 7
"""An amount that is refused."""
REMIND_AFTER_S: Final = 3
REMINDERS_MAX: Final = 20
DAY: Final = date(2026, 7, 1)
PROBLEMS: Final = (Problem("amount_refused", 422, "不接受这个数额"),)

COLLECTIONS: Final = (
    *outbox.COLLECTIONS,
    *lease.COLLECTIONS,
    *processor.COLLECTIONS,
    *commands.COLLECTIONS,
    GIVEN,
    REMINDERS,
    ACCOUNTS,
    ENTRIES,
    PEOPLE,
    UNITS,
)
INDEXES: Final[tuple[Index, ...]] = (*outbox.INDEXES, *processor.INDEXES, *commands.INDEXES)


async def give(tx: Transaction, command: Command, facts: Sequence[Fact], body: Mapping[str, Any]) -> Outcome:
    """Gives amounts to people, all in one transaction, and reminds of it later if asked."""
    if any(amount == REFUSED for _, amount in body["to"]):
        return Refusal("amount_refused")
    await tx.insert(GIVEN, [{"_id": fact.id, "key": fact.data.key} for fact in facts])
    if body.get("remind"):
        due = to_text(command.now + timedelta(seconds=REMIND_AFTER_S))
        await tx.insert(REMINDERS, [{"_id": fact.id, "key": fact.data.key, "due": due} for fact in facts])
    return Accepted({"ids": [fact.id for fact in facts]}, facts)


def given(key: str, amount: int) -> VolunteerUpdated:
    """The event of one amount."""
    return VolunteerUpdated(
        volunteer_id=VolunteerId(key),
        number=VolunteerNumber(str(amount)),
        home_unit=unit_of(key),
        retired_cadre=True,
        age_band="60s",
        channel="online",
        registered_on=DAY,
        state="active",
        teams=(),
    )


def unit_of(key: str) -> UnitCode:
    """One of two units, so that both partitions' transactions announce to the same keys."""
    return UnitCode("340802" if zlib.crc32(key.encode()) % 2 else "340803")


class Reminders:
    """Due work: each reminder is announced once."""

    name = "reminders"

    def __init__(self, ports: Ports) -> None:
        self._ports = ports

    async def run(self, now: datetime, guard: LeaseGuard) -> int:
        row_id = self._ports.ids.new()

        async def work(tx: Transaction) -> int:
            await guard.hold(tx)
            due = await tx.find(REMINDERS, {"due": {"$lte": to_text(now)}}, limit=REMINDERS_MAX)
            if due:
                await tx.delete(REMINDERS, [each["_id"] for each in due])
                await emit(tx, [self._fact(each, now) for each in due], row_id=row_id, at=now)
            return len(due)

        return await self._ports.store.transact(work)

    def _fact(self, reminder: Document, now: datetime) -> Fact:
        data = AttendanceTimedOut(
            volunteer_id=VolunteerId(reminder["key"]), attendance_id=AttendanceId(reminder["_id"]), due_at=now
        )
        return Fact(EventId(derived_id(reminder["_id"], "remind", 0)), data, now)


@dataclass(slots=True)
class Sums:
    """What one batch works on."""

    documents: dict[str, Document]
    entries: list[Document] = field(default_factory=list)
    facts: list[Fact] = field(default_factory=list)
    changed: dict[str, None] = field(default_factory=dict)
    units: dict[str, Document] = field(default_factory=dict)


class AddingHandler:
    """Adds up what a person was given and announces each amount; the counters stand in the person's account."""

    processor = "adding"
    topics: tuple[str, ...] = (VOLUNTEERS, TIMEOUTS)
    uses: frozenset[type[Event]] = frozenset({VolunteerUpdated, AttendanceTimedOut})
    counters_in_key = frozenset({NOTICES})

    def key_collection(self, topic: str) -> str:
        return ACCOUNTS

    async def load(
        self, tx: Transaction, origin: Origin, envelopes: Sequence[Envelope[Any]], documents: Mapping[str, Document]
    ) -> Sums:
        return Sums(_accounts(documents))

    def decide(self, state: Sums, envelope: Envelope[Any], origin: Origin) -> tuple[str, int, Envelope[Any]]:
        match envelope.data:
            case VolunteerUpdated() as event:
                if int(event.number) == POISON:
                    raise ValueError("poison")
                return event.volunteer_id, int(event.number), envelope
            case _:
                return envelope.subject, 0, envelope

    def apply(self, state: Sums, change: tuple[str, int, Envelope[Any]]) -> None:
        key, amount, envelope = change
        account = state.documents.setdefault(key, {"balance": 0, "events": 0})
        account["balance"] += amount
        account["events"] += 1
        state.changed[key] = None
        entry_id = derived_id(envelope.id, "add", 0)
        state.entries.append({"_id": entry_id, "key": key, "amount": amount, "number": account["events"]})
        if amount:
            state.facts.append(Fact(EventId(entry_id), _notice(key, envelope.id, amount), envelope.time))

    async def save(self, tx: Transaction, state: Sums) -> Saved:
        if state.entries:
            await tx.insert(ENTRIES, state.entries)
        return Saved({key: state.documents[key] for key in state.changed}, state.facts)

    def minutes_at_stake(self, envelope: Envelope[Any]) -> int:
        return 1


class TotalsHandler:
    """Adds up what was announced, and announces a unit's number of changes; the counters stand in ``streams``."""

    processor = "totals"
    topics: tuple[str, ...] = (NOTICES,)
    uses: frozenset[type[Event]] = frozenset({NoticeRaised})
    counters_in_key: frozenset[str] = frozenset()

    def key_collection(self, topic: str) -> str:
        return PEOPLE

    async def load(
        self, tx: Transaction, origin: Origin, envelopes: Sequence[Envelope[Any]], documents: Mapping[str, Document]
    ) -> Sums:
        units = dict.fromkeys(unit_of(envelope.subject) for envelope in envelopes)
        return Sums(_accounts(documents), units=await tx.get(UNITS, units))

    def decide(self, state: Sums, envelope: Envelope[Any], origin: Origin) -> Envelope[Any]:
        return envelope

    def apply(self, state: Sums, change: Envelope[Any]) -> None:
        key, unit = change.subject, unit_of(change.subject)
        person = state.documents.setdefault(key, {"balance": 0, "events": 0})
        person["balance"] += change.data.minutes
        person["events"] += 1
        state.changed[key] = None
        counted = state.units.setdefault(unit, {"_id": unit, "n": 0})
        counted["n"] += 1
        score = ScorePublished(
            unit=unit, period="2026-Q3", rule_set="tiny", revision=counted["n"], points="0/1", indicators=()
        )
        state.facts.append(Fact(EventId(derived_id(change.id, "score", 0)), score, change.time))

    async def save(self, tx: Transaction, state: Sums) -> Saved:
        await tx.replace(UNITS, list(state.units.values()))
        return Saved({key: state.documents[key] for key in state.changed}, state.facts)

    def minutes_at_stake(self, envelope: Envelope[Any]) -> int:
        return 1


def _accounts(documents: Mapping[str, Document]) -> dict[str, Document]:
    """The handler's own fields of key documents that have any."""
    return {
        key: {"balance": document["balance"], "events": document["events"]}
        for key, document in documents.items()
        if "balance" in document
    }


def _notice(key: str, cause: str, amount: int) -> NoticeRaised:
    return NoticeRaised(
        recipient_id=VolunteerId(key),
        notice="check_out_missing_settled",
        attendance_id=AttendanceId(cause),
        service_date=DAY,
        minutes=amount,
    )
