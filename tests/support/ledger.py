"""Drives the hours ledger's rules by hand: one account after one event after another, without a store."""

from collections.abc import Iterable
from typing import Any

from services.contracts.event import Envelope
from services.hours.ledger.entries import Entry, first_misfit
from services.hours.ledger.rules import Account, Case, Change, Interval, Posting, apply_to_account, decide


class Book:
    """One volunteer's account in memory."""

    def __init__(self, source: str = "activities.attendance|3") -> None:
        self.account: Account | None = None
        self.days: dict[str, tuple[Interval, ...]] = {}
        self.entries: dict[str, Entry] = {}
        self.postings: list[Posting] = []
        self.source = source

    def take(self, envelope: Envelope[Any]) -> Change:
        """Decides one event and applies it."""
        change = decide(Case(self.account, self.days, self.entries, self.source), envelope)
        if self.account is None:
            self.account = Account(change.home_unit or "")
        apply_to_account(self.account, change)
        self.days.update(change.days)
        self.entries.update((posting.entry.entry_id, posting.entry) for posting in change.postings)
        self.postings += change.postings
        return change

    def take_all(self, envelopes: Iterable[Envelope[Any]]) -> "Book":
        """Takes events in order."""
        for envelope in envelopes:
            self.take(envelope)
        return self

    def balance(self) -> list[int]:
        """Settled minutes by grade."""
        return self.account.minutes if self.account is not None else [0, 0, 0, 0]

    def by_attendance(self) -> dict[tuple[str, str], tuple[int, int]]:
        """What each attendance is credited on each date: minutes and grade of its current entry."""
        return {
            (day, interval.attendance_id): (interval.minutes, interval.grade)
            for day, intervals in self.days.items()
            for interval in intervals
        }

    def chain_holds(self) -> bool:
        """Whether the entries, as posted, form a chain."""
        return first_misfit((posting.entry, posting.chain_hash) for posting in self.postings) is None
