"""Posts a batch of attendance events to the ledger: load, decide, save."""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from services.contracts.activities import ATTENDANCE, CheckedIn, CheckedOut
from services.contracts.event import Envelope, Event
from services.contracts.hours import ENTRIES, NOTICES, TIMEOUTS, AttendanceTimedOut, NoticeRaised
from services.contracts.ids import AttendanceId, EventId, VolunteerId
from services.contracts.registry import VOLUNTEERS, VolunteerRegistered, VolunteerUpdated
from services.eventing.batch import Origin, Saved
from services.eventing.facts import Fact, derived_id
from services.eventing.ports import Document, Transaction
from services.eventing.traces import step_name, step_of
from services.hours.ledger import store
from services.hours.ledger.entries import Entry
from services.hours.ledger.rules import (
    Account,
    Case,
    Change,
    Interval,
    Posting,
    apply_to_account,
    days_touched,
    decide,
)

NOTICE_RULE = "notice-1"
_NO_DAYS: dict[str, tuple[Interval, ...]] = {}


class LedgerState:
    """What one batch works on: the accounts it touches, the days and entries its decisions may look at."""

    def __init__(self, source: str, accounts: dict[str, Account], traces: dict[str, str] | None = None) -> None:
        self.source = source
        self.traces = traces or {}
        """The trace context of each event that has one, by its id, so that what it causes goes on in its trace."""
        self.accounts = accounts
        self.days: dict[str, dict[str, tuple[Interval, ...]]] = {}
        self.months: dict[str, Document] = {}
        self.entries: dict[str, Entry] = {}
        self.touched: dict[str, None] = {}
        self.days_changed: dict[tuple[str, str], None] = {}
        self.postings: list[Posting] = []
        self.facts: list[Fact] = []


class LedgerHandler:
    """The hours service's use of the events it consumes (protocol: ``BatchHandler``)."""

    processor = "hours"
    topics: tuple[str, ...] = (ATTENDANCE, TIMEOUTS, VOLUNTEERS)
    uses: frozenset[type[Event]] = frozenset(
        {CheckedIn, CheckedOut, AttendanceTimedOut, VolunteerRegistered, VolunteerUpdated}
    )
    counters_in_key = frozenset({ENTRIES, NOTICES})

    def key_collection(self, topic: str) -> str:
        """All topics are keyed by volunteer: one account document holds all of a person's order."""
        assert topic in self.topics
        return store.ACCOUNTS

    async def load(
        self,
        tx: Transaction,
        origin: Origin,
        envelopes: Sequence[Envelope[Any]],
        documents: Mapping[str, Document],
    ) -> LedgerState:
        """Accounts from the key documents; months, and entries that may be re-posted, in one read each."""
        accounts = {}
        for key, document in documents.items():
            if (account := store.account_of(document)) is not None:
                accounts[key] = account
        traces: dict[str, str] = {each.id: each.traceparent for each in envelopes if each.traceparent is not None}
        state = LedgerState(f"{origin.topic}|{origin.partition}", accounts, traces)
        wanted: dict[tuple[str, str], None] = {}
        for envelope in envelopes:
            if (days := days_touched(accounts.get(envelope.subject), envelope)) is not None:
                wanted.update(((envelope.subject, day), None) for day in days)
        if wanted:
            await _load_days(tx, state, wanted)
        return state

    def decide(self, state: LedgerState, envelope: Envelope[Any], origin: Origin) -> Change:
        """One event's postings; pure."""
        del origin
        key = envelope.subject
        case = Case(state.accounts.get(key), state.days.get(key, _NO_DAYS), state.entries, state.source)
        return decide(case, envelope)

    def apply(self, state: LedgerState, change: Change) -> None:
        """Takes the postings into account, days and entries, and stages what is announced."""
        key = change.account
        account = state.accounts.get(key)
        if account is None:
            account = state.accounts[key] = Account(change.home_unit or "")
        apply_to_account(account, change)
        state.touched[key] = None
        if not change.postings:
            return
        for posting in change.postings:
            state.entries[posting.entry.entry_id] = posting.entry
        state.postings += change.postings
        days = state.days.setdefault(key, {})
        for day, intervals in change.days.items():
            days[day] = intervals
            state.days_changed[key, day] = None
        _announce(state, change)

    async def save(self, tx: Transaction, state: LedgerState) -> Saved:
        """Appends the entries, replaces months and lanes, returns the account heads and the facts."""
        if state.postings:
            await store.append_entries(tx, state.postings)
            await store.post_to_lanes(tx, state.postings)
            await tx.replace(store.MONTHS, _changed_months(state))
        documents = {key: store.account_fields(state.accounts[key]) for key in state.touched}
        return Saved(documents, state.facts)

    def minutes_at_stake(self, envelope: Envelope[Any]) -> int:
        """The session's planned minutes, for a check-out that waits."""
        match envelope.data:
            case CheckedOut() as event:
                return max(0, int((event.session.ends_at - event.session.starts_at).total_seconds()) // 60)
            case _:
                return 0


async def _load_days(tx: Transaction, state: LedgerState, wanted: Mapping[tuple[str, str], None]) -> None:
    state.months = await store.load_months(tx, {store.month_id(key, day[:7]) for key, day in wanted})
    in_use: list[str] = []
    for key, day in wanted:
        month = state.months.get(store.month_id(key, day[:7]))
        if month is None or not (intervals := store.day_intervals(month, day)):
            continue
        state.days.setdefault(key, {})[day] = intervals
        in_use += [interval.entry_id for interval in intervals]
    if in_use:
        state.entries = await store.load_entries(tx, in_use)


def _changed_months(state: LedgerState) -> list[Document]:
    changed: dict[str, Document] = {}
    for key, day in state.days_changed:
        identifier = store.month_id(key, day[:7])
        month = state.months.get(identifier)
        if month is None:
            month = state.months[identifier] = store.new_month(key, day[:7])
        store.put_day(month, day, state.days[key][day])
        changed[identifier] = month
    for posting in state.postings:
        entry = posting.entry
        changed[store.month_id(entry.volunteer_id, entry.service_date[:7])]["minutes"][entry.grade] += entry.minutes
    return list(changed.values())


def _announce(state: LedgerState, change: Change) -> None:
    for posting in change.postings:
        event, trace = store.published(posting), _trace(state, posting.entry.cause)
        state.facts.append(Fact(EventId(posting.entry.entry_id), event, posting.recorded_at, trace))
    if change.settled is not None:
        entry = change.settled.entry
        notice = NoticeRaised(
            recipient_id=VolunteerId(entry.volunteer_id),
            notice="check_out_missing_settled",
            attendance_id=AttendanceId(entry.attendance_id),
            service_date=date.fromisoformat(entry.service_date),
            minutes=entry.minutes,
        )
        identity = EventId(derived_id(entry.cause, NOTICE_RULE, entry.ordinal))
        state.facts.append(Fact(identity, notice, change.settled.recorded_at, _trace(state, entry.cause)))


def _trace(state: LedgerState, cause: str) -> str | None:
    return step_of(state.traces.get(cause), step_name(LedgerHandler.processor, cause))
