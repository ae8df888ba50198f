"""Lets one relay of a service be active at a time, and makes every transaction of an earlier one fail."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import NamedTuple, TypeVar

from services.eventing.ports import (
    Clock,
    CommitUnknownError,
    ConflictError,
    Document,
    Store,
    StoreUnavailableError,
    Transaction,
)
from services.eventing.times import from_text, to_text

T = TypeVar("T")

LEASE = "lease"
COLLECTIONS: tuple[str, ...] = (LEASE, "changes")

LEASE_S = 10.0
RENEW_EVERY_S = 2.0
"""Four more tries before the lease ends."""
RENEW_AGAIN_S = 0.2
RELAY_ID = "relay"
OWNER = "relay"
"""All transactions under the lease run under this name, so that the next leader ends those that a dead or frozen one
left open: their locks would keep it from leading."""

TRANSIENT = (ConflictError, StoreUnavailableError, CommitUnknownError)


class LeaseLostError(Exception):
    """Another relay leads, or this one cannot be sure any more that none does."""


class Fence(NamedTuple):
    """A document that a new leader stamps with its epoch and that every transaction under the lease writes.

    Reading the lease would not do: a stale leader's transaction, begun before the change of leader and committed after
    it, conflicts only over a document that both write. The lease document itself is none of them, for then a renewal
    would conflict with the leader's own work; and work of different kinds has different ones.
    """

    collection: str
    id: str


CHANGES = Fence("changes", "counter")
"""Its ``number`` is the number of the last change: numbering and the check of the epoch are one write."""
DUE = Fence(LEASE, "relay|due")
FENCES = (CHANGES, DUE)


async def acquire(store: Store, wall: Clock, holder: str) -> "LeaseGuard | None":
    """Takes the lease under a new epoch, or returns none while another holder's has not ended.

    ``holder`` names one process at a time. The same name may take its lease again at once, as a restarted process does:
    what is left of its older self has the older epoch. Raises what the store raises.
    """
    asked_at = asyncio.get_running_loop().time()

    async def work(tx: Transaction) -> int | None:
        lease = (await tx.get(LEASE, [RELAY_ID])).get(RELAY_ID)
        if not _is_free(lease, wall, holder):
            return None
        epoch: int = lease["epoch"] + 1 if lease is not None else 1
        await tx.replace(LEASE, [_lease_document(holder, epoch, wall)])
        for fence in FENCES:
            before = (await tx.get(fence.collection, [fence.id])).get(fence.id)
            number = before["number"] if before is not None else 0
            await tx.replace(fence.collection, [{"_id": fence.id, "epoch": epoch, "number": number}])
        return epoch

    if not _is_free((await store.get(LEASE, [RELAY_ID])).get(RELAY_ID), wall, holder):
        return None
    await store.take_over(OWNER)
    epoch = await store.transact(work, owner=OWNER)
    return LeaseGuard(store, wall, holder, epoch, sure_until=asked_at + LEASE_S) if epoch is not None else None


def _is_free(lease: Document | None, wall: Clock, holder: str) -> bool:
    return lease is None or lease["holder"] == holder or from_text(lease["until"]) <= wall.now()


def _lease_document(holder: str, epoch: int, wall: Clock) -> Document:
    return {
        "_id": RELAY_ID,
        "holder": holder,
        "epoch": epoch,
        "until": to_text(wall.now() + timedelta(seconds=LEASE_S)),
    }


class LeaseGuard:
    """One holding of the lease: renews it, says how long it is sure, and stands in the way of stale transactions."""

    def __init__(self, store: Store, wall: Clock, holder: str, epoch: int, *, sure_until: float) -> None:
        self.epoch = epoch
        self._store = store
        self._wall = wall
        self._holder = holder
        self._sure_until = sure_until
        """By the loop's clock, counted from before the request: others count from later, so ours ends first."""

    async def hold(self, tx: Transaction, fence: Fence = DUE, *, advance: int = 1) -> int:
        """Makes a transaction fail if this holder's epoch is over, now or by the time it commits.

        Returns the fence's number before it was moved on by ``advance``. Raises ``LeaseLostError``.
        """
        document = (await tx.get(fence.collection, [fence.id]))[fence.id]
        self.check(document)
        number: int = document["number"]
        await tx.replace(fence.collection, [{**document, "number": number + advance}])
        return number

    async def transact(self, work: Callable[[Transaction], Awaitable[T]]) -> T:
        """Runs due work in a transaction that holds the lease. Raises ``LeaseLostError`` or as ``Store.transact``."""

        async def held(tx: Transaction) -> T:
            await self.hold(tx)
            return await work(tx)

        return await self._store.transact(held, owner=OWNER)

    def check(self, document: Document) -> None:
        """Raises ``LeaseLostError`` if the lease or fence document is of another epoch."""
        if document["epoch"] != self.epoch:
            raise LeaseLostError(f"epoch {self.epoch} is over: {document['epoch']}")

    def assert_sure(self) -> None:
        """Raises ``LeaseLostError`` if the lease may have ended, so that another may lead."""
        if asyncio.get_running_loop().time() >= self._sure_until:
            raise LeaseLostError(f"epoch {self.epoch} was not renewed in time")

    async def keep(self) -> None:
        """Renews the lease for ever. Raises ``LeaseLostError`` at the latest when it may have ended."""
        while True:
            await asyncio.sleep(RENEW_EVERY_S)
            try:
                async with asyncio.timeout_at(self._sure_until):
                    await self._renew()
            except TimeoutError:
                self.assert_sure()
                raise

    async def _renew(self) -> None:
        while True:
            asked_at = asyncio.get_running_loop().time()
            try:
                await self._store.transact(self._extend, owner=OWNER)
            except TRANSIENT:
                await asyncio.sleep(RENEW_AGAIN_S)
            else:
                self._sure_until = asked_at + LEASE_S
                return

    async def _extend(self, tx: Transaction) -> None:
        self.check((await tx.get(LEASE, [RELAY_ID]))[RELAY_ID])
        await tx.replace(LEASE, [_lease_document(self._holder, self.epoch, self._wall)])

    async def release(self) -> None:
        """Ends the lease now, so that another need not wait. Raises ``LeaseLostError`` or what the store raises."""

        async def work(tx: Transaction) -> None:
            lease = (await tx.get(LEASE, [RELAY_ID]))[RELAY_ID]
            self.check(lease)
            await tx.replace(LEASE, [{**lease, "until": to_text(self._wall.now())}])

        self._sure_until = asyncio.get_running_loop().time()
        await self._store.transact(work, owner=OWNER)
