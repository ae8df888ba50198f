"""Loads and saves accounts, their months, entries and lanes in MongoDB documents."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from functools import lru_cache
from typing import Any

import msgspec

from services.contracts.hours import EntryPosted
from services.contracts.ids import GRADES
from services.eventing.ports import Document, Index, Reads, Transaction
from services.hours.ledger.entries import Entry
from services.hours.ledger.rules import Account, Interval, Posting

ACCOUNTS = "accounts"
"""Key documents of the processor, by volunteer id: inbox and account head."""
MONTHS = "account_months"
ENTRIES = "entries"
LANES = "lanes"
COLLECTIONS = (ACCOUNTS, MONTHS, ENTRIES, LANES)
INDEXES = (
    Index(ENTRIES, "by_chain", (("volunteer_id", 1), ("chain_number", 1)), unique=True),
    Index(ACCOUNTS, "by_unit", (("home_unit", 1), ("_id", 1))),
    Index(ACCOUNTS, "by_due", (("next_due", 1), ("_id", 1))),
    Index(LANES, "by_unit", (("unit", 1), ("_id", 1))),
)
LANES_MAX = 4096
"""Lanes of all units: units × source topics × partitions, some hundreds in a city; more is refused, never cut."""
_date = lru_cache(maxsize=4096)(date.fromisoformat)
_ENCODE = msgspec.json.Encoder().encode
_DECODE_ACCOUNT = msgspec.json.Decoder(Account).decode
_DECODE_DAY = msgspec.json.Decoder(tuple[Interval, ...]).decode


def account_of(document: Document) -> Account | None:
    """The account head in a key document; ``None`` where nothing was ever decided for the key."""
    return _DECODE_ACCOUNT(document["account"]) if "account" in document else None


def account_fields(account: Account) -> Document:
    """An account head as the fields of its key document: what is queried, and the head itself as JSON text.

    Text, because it is read and written whole with every event: a third of the cost of nested BSON, and as readable.
    """
    return {"home_unit": account.home_unit, "next_due": account.next_due, "account": _ENCODE(account).decode()}


def month_id(volunteer: str, month: str) -> str:
    """The id of one account's month."""
    return f"{volunteer}|{month}"


def new_month(volunteer: str, month: str) -> Document:
    """A month of an account in which nothing was credited yet."""
    return {
        "_id": month_id(volunteer, month),
        "volunteer_id": volunteer,
        "month": month,
        "minutes": [0] * GRADES,
        "days": {},
    }


def day_intervals(month: Document, day: str) -> tuple[Interval, ...]:
    """The intervals that a stored month holds for one service date; a date is JSON text, as the account head is."""
    stored = month["days"].get(day)
    return _DECODE_DAY(stored) if stored is not None else ()


def put_day(month: Document, day: str, intervals: tuple[Interval, ...]) -> None:
    """Replaces one service date in a stored month."""
    month["days"][day] = _ENCODE(intervals).decode()


def entry_document(posting: Posting) -> Document:
    """One entry as it is inserted."""
    document = msgspec.structs.asdict(posting.entry)
    document["_id"] = document.pop("entry_id")
    document["chain_hash"] = posting.chain_hash
    return document


def entry_of(document: Mapping[str, Any]) -> tuple[Entry, str]:
    """A stored entry and its stored hash."""
    return msgspec.convert({**document, "entry_id": document["_id"]}, Entry), document["chain_hash"]


async def load_months(reads: Reads, ids: Iterable[str]) -> dict[str, Document]:
    """Account-months by id; absent ones are not in the answer."""
    return await reads.get(MONTHS, ids)


async def load_entries(reads: Reads, ids: Iterable[str]) -> dict[str, Entry]:
    """Entries by id."""
    return {key: entry_of(document)[0] for key, document in (await reads.get(ENTRIES, ids)).items()}


async def append_entries(tx: Transaction, postings: Sequence[Posting]) -> None:
    """Adds entries; an entry that exists aborts the transaction: nothing is ever overwritten."""
    await tx.insert(ENTRIES, [entry_document(posting) for posting in postings])


async def post_to_lanes(tx: Transaction, postings: Sequence[Posting]) -> None:
    """Moves the minutes out of their issuing lanes: the other side of the double entry."""
    ids = {posting.entry.lane for posting in postings}
    lanes = await tx.get(LANES, ids)
    for posting in postings:
        entry = posting.entry
        lane = lanes.get(entry.lane)
        if lane is None:
            lane = lanes[entry.lane] = _new_lane(entry)
        month = lane["months"].setdefault(entry.booking_month, {"minutes": [0] * GRADES, "entries": 0})
        month["minutes"][entry.grade] += entry.minutes
        month["entries"] += 1
    await tx.replace(LANES, list(lanes.values()))


def _new_lane(entry: Entry) -> Document:
    return {"_id": entry.lane, "unit": entry.home_unit, "open_month": None, "months": {}}


def published(posting: Posting) -> EntryPosted:
    """The announcement of an entry."""
    entry = posting.entry
    return EntryPosted(
        entry_id=entry.entry_id,
        volunteer_id=entry.volunteer_id,
        kind=entry.kind,
        minutes=entry.minutes,
        grade=entry.grade,
        state=entry.state,
        booking_month=entry.booking_month,
        home_unit=entry.home_unit,
        unit_served=entry.unit_served,
        lane=entry.lane,
        attendance_id=entry.attendance_id,
        session_id=entry.session_id,
        activity_id=entry.activity_id,
        organiser_id=entry.organiser_id,
        station_id=entry.station_id,
        service_type=entry.service_type,
        key_field=entry.key_field,
        reverses=entry.reverses,
        cause=entry.cause,
        rule=entry.rule,
        ordinal=entry.ordinal,
        chain_number=entry.chain_number,
        service_date=_date(entry.service_date),
        recorded_at=posting.recorded_at,
        chain_hash=posting.chain_hash,
    )
