"""Loads and saves what volunteers were credited, and the notices that wait for them."""

from collections.abc import Iterable, Sequence

import msgspec

from services.eventing.ports import Document, Index, Reads, Transaction
from services.registry.deliveries.rules import Notice, Served

RECORDS = "service_records"
"""Key documents of the processor, by volunteer id: inbox and what was credited."""
NOTICES = "notices"
COLLECTIONS = (RECORDS, NOTICES)
INDEXES = (
    Index(NOTICES, "by_state", (("state", 1), ("raised_at", 1))),
    Index(NOTICES, "by_recipient", (("recipient_id", 1), ("raised_at", 1))),
)
WAITING = "waiting"
"""No sender has taken the notice yet."""


def served_of(document: Document | None) -> Served:
    """What a key document says was credited; nothing where there is none."""
    return msgspec.convert(document, Served) if document is not None and "minutes" in document else Served()


def served_fields(served: Served) -> Document:
    """A record as the fields of its key document."""
    fields: Document = msgspec.to_builtins(served)
    return fields


async def load_served(reads: Reads, volunteers: Iterable[str]) -> dict[str, Served]:
    """What volunteers were credited, by id; those never credited anything are not in the answer."""
    return {key: served_of(document) for key, document in (await reads.get(RECORDS, volunteers)).items()}


async def keep_notices(tx: Transaction, notices: Sequence[Notice]) -> None:
    """Adds notices to be delivered; one that exists aborts the transaction."""
    await tx.insert(NOTICES, [_notice_document(notice) for notice in notices])


def _notice_document(notice: Notice) -> Document:
    document: Document = msgspec.to_builtins(notice)
    document["_id"] = document.pop("notice_id")
    document["state"] = WAITING
    return document
