"""Each promise of the ledger that is watched is broken once, and the auditor says so."""

import json
from typing import Any

import pytest

from services.eventing.ports import Document
from tests.support.simulation.documents import stored
from tests.support.simulation.ledger_auditor import GENESIS, LedgerAuditor, hash_of

pytestmark = pytest.mark.simulation


class Ledger:
    """An auditor, and an account whose entries follow each other unless a test says otherwise."""

    def __init__(self) -> None:
        self.failures: list[str] = []
        self.auditor = LedgerAuditor(lambda code, _: self.failures.append(code))
        self.head = GENESIS
        self.number = 0

    def entry(self, minutes: int, **changes: Any) -> Document:
        """The next entry."""
        self.number += 1
        entry = {
            "_id": f"e{self.number}",
            "volunteer_id": "v",
            "attendance_id": "a",
            "session_id": "s",
            "chain_number": self.number,
            "minutes": minutes,
            "grade": 2,
            "kind": "credit",
            "reverses": None,
            "service_date": "2026-07-01",
            "booking_month": "2026-07",
            "recorded_at": f"2026-07-01T00:00:0{self.number}.000000Z",
            "home_unit": "340802",
            "unit_served": "340802",
            "lane": "lane",
            **changes,
        }
        self.head = hash_of(self.head, entry)
        return {**entry, "chain_hash": self.head, **{k: v for k, v in changes.items() if k == "chain_hash"}}

    def post(self, *entries: Document, **others: Document) -> None:
        """One transaction: entries, and a lane or account."""
        writes = {("entries", each["_id"]): stored(each) for each in entries}
        self.auditor.on_majority(writes | {(name, each["_id"]): stored(each) for name, each in others.items()})


def account(minutes: list[int], entries: int, head: str) -> Document:
    return {"_id": "v", "account": json.dumps({"minutes": minutes, "entries": entries, "head": head})}


def test_entries_that_keep_their_promises_pass() -> None:
    ledger = Ledger()
    lane = {"_id": "lane", "months": {"2026-07": {"minutes": [0, 0, 90, 0], "entries": 3}}}
    entries = [ledger.entry(60), ledger.entry(-60, kind="reversal", reverses="e1"), ledger.entry(90)]
    ledger.post(*entries, lanes=lane, accounts=account([0, 0, 90, 0], 3, ledger.head))
    assert ledger.failures == []


def test_an_entry_twice_is_named() -> None:
    ledger = Ledger()
    entry = ledger.entry(60)
    ledger.post(entry)
    ledger.post(entry)
    assert ledger.failures == ["entry_twice"]


@pytest.mark.parametrize(
    ("code", "changes"),
    [
        ("chain_number", {"chain_number": 3}),
        ("chain_hash", {"chain_hash": GENESIS}),
        ("recorded_at", {"recorded_at": "2026-07-01T00:00:00.000000Z"}),
        ("reversal", {"reverses": "other", "kind": "reversal"}),
        ("reversal", {"reverses": "e1", "kind": "reversal", "minutes": -59}),
        ("reversal", {"reverses": "e1", "kind": "reversal", "minutes": -60, "grade": 1}),
    ],
)
def test_an_entry_that_does_not_fit_is_named(code: str, changes: dict[str, Any]) -> None:
    ledger = Ledger()
    ledger.post(ledger.entry(60))
    ledger.post(ledger.entry(**{"minutes": 30, **changes}))
    assert code in ledger.failures


def test_a_second_reversal_is_named() -> None:
    ledger = Ledger()
    ledger.post(ledger.entry(60), *(ledger.entry(-60, kind="reversal", reverses="e1") for _ in range(2)))
    assert "reversal" in ledger.failures


def test_a_lane_that_differs_from_its_entries_is_named() -> None:
    ledger = Ledger()
    lane = {"_id": "lane", "months": {"2026-07": {"minutes": [0, 0, 61, 0], "entries": 1}}}
    ledger.post(ledger.entry(60), lanes=lane)
    assert ledger.failures == ["lane_sum"]


def test_an_account_that_differs_from_its_entries_is_named() -> None:
    ledger = Ledger()
    ledger.post(ledger.entry(60), accounts=account([0, 0, 61, 0], 1, ledger.head))
    assert ledger.failures == ["account_sum"]


def test_more_than_a_day_in_a_day_is_named() -> None:
    ledger = Ledger()
    entries = [ledger.entry(1000), ledger.entry(1000)]
    ledger.post(*entries, accounts=account([0, 0, 2000, 0], 2, ledger.head))
    assert ledger.failures == ["minutes_a_day"]
