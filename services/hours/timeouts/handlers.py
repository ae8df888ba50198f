"""Announces the missed check-outs whose time has run out, once each."""

from collections.abc import Sequence
from datetime import datetime

from services.contracts.hours import AttendanceTimedOut
from services.contracts.ids import AttendanceId, EventId, VolunteerId
from services.eventing.facts import Fact, derived_id
from services.eventing.outbox import emit
from services.eventing.ports import Document, Index, Ports, Transaction
from services.eventing.relay.lease import LeaseGuard
from services.eventing.times import to_text
from services.hours.crediting.rules import minute_of, moment_of
from services.hours.ledger import store as ledger

TIMEOUT_EVENT_RULE = "timeout"
DUE_ACCOUNTS_MAX = 500
"""Accounts looked at at a time; the processor clears them within seconds, the next run sees the rest."""
TIMEOUTS_ANNOUNCED = "timeouts"
"""One document per attendance whose time-out was announced, so that none is announced twice."""
COLLECTIONS = (TIMEOUTS_ANNOUNCED,)
INDEXES: tuple[Index, ...] = ()


class MissedCheckOuts:
    """Due work of the hours relay: a check-in without a check-out times out 24 hours after its session's end."""

    name = "missed_check_outs"

    def __init__(self, ports: Ports) -> None:
        self._ports = ports

    async def run(self, now: datetime, guard: LeaseGuard) -> int:
        """Announces what is due at ``now`` and was not announced yet, in one transaction; how many."""
        row_id = self._ports.ids.new()

        async def announce(tx: Transaction) -> int:
            fresh = await self._fresh(tx, minute_of(now))
            if fresh:
                await tx.insert(TIMEOUTS_ANNOUNCED, [{"_id": e.attendance_id, "at": to_text(now)} for e in fresh])
                await emit(tx, [_fact(event, now) for event in fresh], row_id=row_id, at=now)
            return len(fresh)

        return await guard.transact(announce)

    async def _fresh(self, tx: Transaction, now: int) -> list[AttendanceTimedOut]:
        """Some of what is due and not announced; none only if there is none.

        Goes past accounts whose time-outs were announced and are not applied: those of people whose records are parked
        stay due, and must not stand in the way of all others.
        """
        after = ""
        while True:
            documents = await self._due_documents(now, after)
            due = _due(documents, now)
            known = await tx.get(TIMEOUTS_ANNOUNCED, [event.attendance_id for event in due])
            fresh = [event for event in due if event.attendance_id not in known]
            if fresh or len(documents) < DUE_ACCOUNTS_MAX:
                return fresh
            after = documents[-1]["_id"]

    async def _due_documents(self, now: int, after: str) -> list[Document]:
        where = {"next_due": {"$gt": 0, "$lte": now}, "_id": {"$gt": after}}
        return await self._ports.store.find(ledger.ACCOUNTS, where, limit=DUE_ACCOUNTS_MAX)


def _due(documents: Sequence[Document], now: int) -> list[AttendanceTimedOut]:
    pairs = ((document["_id"], ledger.account_of(document)) for document in documents)
    return [
        AttendanceTimedOut(
            volunteer_id=VolunteerId(volunteer),
            attendance_id=AttendanceId(attendance),
            due_at=moment_of(waiting.due),
        )
        for volunteer, account in pairs
        if account is not None
        for attendance, waiting in sorted(account.open.items())
        if waiting.due <= now
    ]


def _fact(event: AttendanceTimedOut, now: datetime) -> Fact:
    return Fact(EventId(derived_id(event.attendance_id, TIMEOUT_EVENT_RULE, 0)), event, now)
