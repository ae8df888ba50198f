"""Announces the missed check-outs whose time has run out, once each."""

from datetime import datetime

from services.contracts.hours import AttendanceTimedOut
from services.contracts.ids import AttendanceId, EventId, VolunteerId
from services.eventing.facts import Fact, derived_id
from services.eventing.outbox import emit
from services.eventing.ports import Index, Ports, Transaction
from services.eventing.relay.lease import LeaseGuard
from services.eventing.times import to_text
from services.hours.crediting.rules import minute_of, moment_of
from services.hours.ledger import store as ledger
from services.hours.ledger.rules import Account

TIMEOUT_EVENT_RULE = "timeout"
DUE_ACCOUNTS_MAX = 500
"""Accounts looked at in one run; the processor clears them within seconds, the next run sees the rest."""
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
            due = _due(await self._due_accounts(minute_of(now)), minute_of(now))
            known = await tx.get(TIMEOUTS_ANNOUNCED, [event.attendance_id for event in due])
            fresh = [event for event in due if event.attendance_id not in known]
            if fresh:
                await tx.insert(TIMEOUTS_ANNOUNCED, [{"_id": e.attendance_id, "at": to_text(now)} for e in fresh])
                await emit(tx, [_fact(event, now) for event in fresh], row_id=row_id, at=now)
            return len(fresh)

        return await guard.transact(announce)

    async def _due_accounts(self, now: int) -> list[tuple[str, Account]]:
        where = {"next_due": {"$gt": 0, "$lte": now}}
        order = (("next_due", 1), ("_id", 1))
        documents = await self._ports.store.find(ledger.ACCOUNTS, where, sort=order, limit=DUE_ACCOUNTS_MAX)
        pairs = ((document["_id"], ledger.account_of(document)) for document in documents)
        return [(volunteer, account) for volunteer, account in pairs if account is not None]


def _due(accounts: list[tuple[str, Account]], now: int) -> list[AttendanceTimedOut]:
    return [
        AttendanceTimedOut(
            volunteer_id=VolunteerId(volunteer),
            attendance_id=AttendanceId(attendance),
            due_at=moment_of(waiting.due),
        )
        for volunteer, account in accounts
        for attendance, waiting in sorted(account.open.items())
        if waiting.due <= now
    ]


def _fact(event: AttendanceTimedOut, now: datetime) -> Fact:
    return Fact(EventId(derived_id(event.attendance_id, TIMEOUT_EVENT_RULE, 0)), event, now)
