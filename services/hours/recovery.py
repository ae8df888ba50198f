"""Says what of hours can be rebuilt, compared and restored."""

import json
from collections.abc import Callable, Iterable
from typing import Any

from services.contracts.event import Envelope
from services.contracts.hours import ENTRIES, AttendanceTimedOut, EntryPosted
from services.eventing.inbox import INBOX
from services.eventing.ports import Document, Transaction
from services.eventing.times import to_text
from services.hours.ledger import store
from services.hours.timeouts.handlers import TIMEOUTS_ANNOUNCED
from services.recovery.projection import Projection, Row
from services.recovery.recovery import Recovery


def causes_of(envelope: Envelope[Any]) -> Iterable[tuple[str, str]]:
    """An entry names what made it: entries in their order say in which order an account's events were decided."""
    match envelope.data:
        case EntryPosted() as event:
            return ((event.volunteer_id, event.cause),)
        case _:
            return ()


def row_of(collection: str, document: Document, home: Callable[[str], str]) -> Row:
    """What is compared of a document of the ledger."""
    match collection:
        case store.ACCOUNTS:
            account = json.loads(document["account"]) if "account" in document else None
            content = {"account": account, "received": document[INBOX]["last"], "sent": document[INBOX]["sent"]}
            return Row(document.get("home_unit", ""), "", document["_id"], content)
        case store.MONTHS:
            volunteer, month = document["volunteer_id"], document["month"]
            return Row(home(volunteer), month, volunteer, [document["minutes"], document["days"]])
        case store.ENTRIES:
            content = {name: value for name, value in document.items() if name != "_id"}
            return Row(document["home_unit"], document["service_date"][:7], document["volunteer_id"], content)
        case store.LANES:
            return Row(document["unit"], "", None, [document["open_month"], document["months"]])
        case _:
            raise AssertionError(collection)


def home_of(document: Document) -> str:
    """The unit of an account."""
    unit: str = document.get("home_unit", "")
    return unit


PROJECTION = Projection(
    collections=(store.ACCOUNTS, store.MONTHS, store.LANES),
    records=(store.ENTRIES,),
    row_of=row_of,
    own_topic=ENTRIES,
    causes_of=causes_of,
    homes=store.ACCOUNTS,
    home_of=home_of,
)


async def take_back(tx: Transaction, envelope: Envelope[Any]) -> None:
    """Remembers that a time-out was announced; all else that hours announces comes back by deciding again."""
    match envelope.data:
        case AttendanceTimedOut() as event:
            announced = {"_id": event.attendance_id, "at": to_text(envelope.time)}
            await tx.replace(TIMEOUTS_ANNOUNCED, [announced])
        case _:
            return


RECOVERY = Recovery(take_back, {"kept answers": "there are none yet: hours takes no commands"}, PROJECTION)
