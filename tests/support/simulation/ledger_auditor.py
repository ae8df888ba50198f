"""Follows the hours ledger entry by entry: each once, chained, reversed at most once, and sums that agree."""

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from services.eventing.ports import Document
from tests.support.simulation.documents import Body, Place

ENTRIES: Final = "entries"
LANES: Final = "lanes"
ACCOUNTS: Final = "accounts"
GENESIS: Final = "0" * 64


@dataclass(slots=True)
class Chain:
    """One account as its entries say."""

    number: int = 0
    head: str = GENESIS
    recorded_at: str = ""
    minutes: list[int] = field(default_factory=lambda: [0] * 4)
    days: Counter[str] = field(default_factory=Counter)


class LedgerAuditor:
    """Sees every commit of the hours service. ``fail`` takes the code of a promise and what was seen."""

    def __init__(self, fail: Callable[[str, str], None]) -> None:
        self._fail = fail
        self._entries: dict[str, Document] = {}
        self._reversed: set[str] = set()
        self._lanes: dict[tuple[str, str], list[int]] = {}
        self.chains: dict[str, Chain] = {}

    def entries(self) -> list[Document]:
        """All entries so far, in the order they became durable."""
        return list(self._entries.values())

    def on_majority(self, writes: Mapping[Place, Body | None]) -> None:
        """One transaction has become durable."""
        views = {place: body.view for place, body in writes.items() if body is not None}
        entries = [view for (collection, _), view in views.items() if collection == ENTRIES]
        for entry in sorted(entries, key=lambda each: (each["volunteer_id"], each["chain_number"])):
            self._take(entry)
        for (collection, each), view in views.items():
            if collection == LANES:
                self._check_lane(each, view)
            elif collection == ACCOUNTS and "account" in view:
                self._check_account(each, json.loads(view["account"]))

    def _take(self, entry: Document) -> None:
        each, chain = entry["_id"], self.chains.setdefault(entry["volunteer_id"], Chain())
        if each in self._entries:
            return self._fail("entry_twice", each)
        if entry["chain_number"] != chain.number + 1:
            return self._fail("chain_number", f"{each}: {entry['chain_number']} after {chain.number}")
        chain.number, chain.head = entry["chain_number"], hash_of(chain.head, entry)
        if entry["chain_hash"] != chain.head:
            return self._fail("chain_hash", each)
        if entry["recorded_at"] <= chain.recorded_at:
            return self._fail("recorded_at", f"{each}: {entry['recorded_at']} after {chain.recorded_at}")
        chain.recorded_at = entry["recorded_at"]
        self._entries[each] = entry
        if entry["reverses"] is not None:
            self._check_reversal(entry)
        chain.minutes[entry["grade"]] += entry["minutes"]
        chain.days[entry["service_date"]] += entry["minutes"]
        lane = self._lanes.setdefault((entry["lane"], entry["booking_month"]), [0] * 5)
        lane[entry["grade"]] += entry["minutes"]
        lane[4] += 1
        return None

    def _check_reversal(self, entry: Document) -> None:
        target = self._entries.get(entry["reverses"])
        same = ("volunteer_id", "attendance_id", "grade", "service_date", "home_unit", "unit_served", "session_id")
        if target is None or entry["reverses"] in self._reversed or target["kind"] == "reversal":
            self._fail("reversal", f"{entry['_id']} of {entry['reverses']}")
        elif entry["minutes"] != -target["minutes"] or any(entry[name] != target[name] for name in same):
            self._fail("reversal", f"{entry['_id']} differs from {entry['reverses']}")
        self._reversed.add(entry["reverses"])

    def _check_lane(self, each: str, lane: Document) -> None:
        for month, part in lane["months"].items():
            if [*part["minutes"], part["entries"]] != self._lanes.get((each, month)):
                self._fail("lane_sum", f"{each} {month}: {part}, entries say {self._lanes.get((each, month))}")

    def _check_account(self, volunteer: str, account: Mapping[str, Any]) -> None:
        chain = self.chains.get(volunteer, Chain())
        if (account["minutes"], account["entries"], account["head"]) != (chain.minutes, chain.number, chain.head):
            self._fail("account_sum", f"{volunteer}: {account['minutes']}, entries say {chain.minutes}")
        if min(chain.minutes) < 0:
            self._fail("minutes_negative", f"{volunteer}: {chain.minutes}")
        if any(not 0 <= minutes <= 24 * 60 for minutes in chain.days.values()):
            self._fail("minutes_a_day", f"{volunteer}: {chain.days}")


def hash_of(previous: str, entry: Document) -> str:
    """The hash that the ledger promises: over the one before and the entry's canonical JSON (RFC 8785)."""
    said = {("entry_id" if name == "_id" else name): value for name, value in entry.items() if name != "chain_hash"}
    canonical = json.dumps(said, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256((previous + canonical).encode()).hexdigest()
