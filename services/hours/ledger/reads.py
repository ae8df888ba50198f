"""Answers questions about accounts, entries and unit months."""

from services.contracts.ids import GRADES
from services.eventing.ports import Document, Reads
from services.hours.ledger import store
from services.hours.ledger.entries import GENESIS, first_misfit
from services.hours.ledger.rules import Account
from services.hours.ledger.views import ByGrade, UnitMonth, Verification
from services.runtime.areas import bounds_of, list_by_unit
from services.runtime.cursors import number_after, row_after
from services.runtime.pages import PageRequest

VERIFY_ENTRIES = 1_000
"""Entries read at a time while a chain is walked, so that memory stays flat."""


async def get_account(reads: Reads, volunteer: str) -> Account | None:
    """A volunteer's account head; ``None`` if neither registered nor ever served."""
    document = (await reads.get(store.ACCOUNTS, [volunteer])).get(volunteer)
    account = store.account_of(document) if document is not None else None
    return account if account is not None and account.home_unit else None


async def list_accounts(reads: Reads, area: str, unit: str | None, page: PageRequest) -> list[tuple[str, Account]]:
    """At most one more than a page of accounts of an area, by unit and volunteer id. Raises ``cursor_invalid``."""
    within = unit or area
    after, order = row_after(page, within), ("home_unit", "_id")
    found = await list_by_unit(reads, store.ACCOUNTS, within, after, page.limit + 1, order=order)
    pairs = ((document["_id"], store.account_of(document)) for document in found)
    return [(volunteer, account) for volunteer, account in pairs if account is not None]


async def list_entries(reads: Reads, volunteer: str, month: str | None, page: PageRequest) -> list[Document]:
    """At most one more than a page of an account's entries, oldest first."""
    where: dict[str, object] = {"volunteer_id": volunteer, "chain_number": {"$gt": number_after(page)}}
    if month is not None:
        where["booking_month"] = month
    return await reads.find(store.ENTRIES, where, sort=(("volunteer_id", 1), ("chain_number", 1)), limit=page.limit + 1)


async def verify_account(reads: Reads, volunteer: str, account: Account) -> Verification:
    """Walks a chain from its start up to the head that ``account`` shows, and adds up its minutes."""
    number, head, minutes = 0, GENESIS, [0] * GRADES
    misfit: str | None = None
    while misfit is None and number < account.entries:
        where = {"volunteer_id": volunteer, "chain_number": {"$gt": number, "$lte": account.entries}}
        order = (("volunteer_id", 1), ("chain_number", 1))
        documents = await reads.find(store.ENTRIES, where, sort=order, limit=VERIFY_ENTRIES)
        if not documents:
            break
        pairs = [store.entry_of(document) for document in documents]
        misfit = first_misfit(pairs, head=head, number=number)
        for entry, _ in pairs:
            minutes[entry.grade] += entry.minutes
        number, head = number + len(pairs), pairs[-1][1]
    holds = misfit is None and (number, head, minutes) == (account.entries, account.head, account.minutes)
    return Verification(volunteer_id=volunteer, holds=holds, entries=number, first_misfit=misfit)


async def unit_months(reads: Reads, area: str, month: str) -> list[UnitMonth]:
    """The month of every unit of an area whose lanes issued anything in it, by unit code."""
    order = (("unit", 1), ("_id", 1))
    lanes = await reads.find(store.LANES, {"unit": bounds_of(area)}, sort=order, limit=store.LANES_MAX)
    assert len(lanes) < store.LANES_MAX, "more lanes than one answer can add up"
    totals: dict[str, tuple[list[int], int]] = {}
    for lane in lanes:
        if (part := lane["months"].get(month)) is not None:
            minutes, entries = totals.get(lane["unit"], ([0] * GRADES, 0))
            added = [one + other for one, other in zip(minutes, part["minutes"], strict=True)]
            totals[lane["unit"]] = added, entries + part["entries"]
    return [
        UnitMonth(unit=unit, month=month, minutes=sum(minutes), by_grade=ByGrade.of(minutes), entries=entries)
        for unit, (minutes, entries) in sorted(totals.items())
    ]
