"""Gives and takes tickets: what a browser, which sends no bearer header with an event stream, shows instead, once."""

import hashlib
from datetime import timedelta
from typing import Final

from services.contracts.ids import ActorId
from services.eventing.ports import Document, Index, Ports, Transaction
from services.runtime.auth import Caller

TICKETS: Final = "event_tickets"
COLLECTIONS: Final = (TICKETS,)
INDEXES: Final = (Index(TICKETS, "expires_at", (("expires_at", 1),), expire_after_s=0),)
TICKET_S: Final = 30
"""A ticket stands in an address, which others may see: it is good for one use, soon."""
TICKET_CHARACTERS: Final = 64


async def give(ports: Ports, caller: Caller, authorization: str) -> str:
    """A ticket that stands for the caller. Only its hash is kept.

    Made of the caller's own token, whose signature nobody else knows, and an id, so that no two are alike.
    """
    ticket = hashlib.sha256(f"{authorization}\x1f{ports.ids.new()}".encode()).hexdigest()
    document: Document = {
        "_id": _id_of(ticket),
        "subject": caller.subject,
        "client": caller.client,
        "scopes": sorted(caller.scopes),
        "area": caller.area,
        "expires_at": ports.wall.now() + timedelta(seconds=TICKET_S),
    }

    async def keep(tx: Transaction) -> None:
        await tx.insert(TICKETS, [document])

    await ports.store.transact(keep)
    return ticket


async def take(ports: Ports, ticket: str) -> Caller | None:
    """The caller that a ticket stands for, the first time it is shown and in time."""
    identifier, now = _id_of(ticket), ports.wall.now()

    async def use(tx: Transaction) -> Document | None:
        known = (await tx.get(TICKETS, [identifier])).get(identifier)
        if known is not None:
            await tx.delete(TICKETS, [identifier])
        return known

    document = await ports.store.transact(use)
    if document is None or document["expires_at"] <= now:
        return None
    return Caller(ActorId(document["subject"]), document["client"], frozenset(document["scopes"]), document["area"])


def _id_of(ticket: str) -> str:
    return hashlib.sha256(ticket.encode()).hexdigest()
