"""Executes one database's requests: snapshot transactions, first writer wins, majority commits, failover."""

import asyncio
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from services.eventing.ports import AlreadyExistsError, Document, Index, StoreError
from tests.support.simulation.documents import Body, Documents, Place, UniqueKey, fetched, stored
from tests.support.simulation.network import Network, ResetError, Server
from tests.support.simulation.requests import AbortedError, Call, Open, Query, Seen, comes_after, only, ordered

TRANSACTION_LIFETIME_S = 12.0
"""A transaction that is open longer is aborted, as MongoDB does after a minute; until then its locks hold."""
ELECTION_S = (0.5, 4.0)
REPLICATION_S = (0.0005, 0.004)
SLOW_REPLICATION_MAX_S = 1.5
WAKEUP_S = (0.001, 0.02)
TORN_DOCUMENTS = (1, 6)
"""How many documents a torn scan reads before it looks at a later state."""
STALE_S = (0.005, 0.5)
STALE_COMMITS = (1, 6)
READABLE_AGAIN_S = 0.01
TRIM_COMMITS = 64


class StoreServer(Server):
    """One replica set. ``on_majority`` hears of every commit's writes once no failover can take it back, in order."""

    def __init__(self, network: Network, name: str) -> None:
        super().__init__(network, name)
        self.documents = Documents()
        self.on_majority: Callable[[str, Mapping[Place, Body | None]], None] | None = None
        self.listeners: dict[str, list[Callable[[], None]]] = {}
        self._sessions: dict[str, Open] = {}
        self._owners: dict[str, list[str]] = {}
        self._locks: dict[Place, Open] = {}
        self._claims: dict[UniqueKey, Open] = {}
        self._above: list[Open] = []
        """Commits above the majority point, in order."""
        self._stale_until_s = 0.0
        self._stale_at = 0
        self._waiting: list[tuple[int, asyncio.Future[int]]] = []

    # requests

    def prepare(self, collections: Sequence[str], indexes: Sequence[Index]) -> None:
        """Creates what is missing."""
        self.documents.prepare(collections, indexes)

    def ping(self) -> None:
        """Answers."""

    def record(self, owner: str, session: str) -> list[str]:
        """Puts a session on the owner's record; all that stand there, in order."""
        recorded = self._owners.setdefault(owner, [])
        recorded.append(session)
        return list(recorded)

    def kill(self, owner: str, sessions: Sequence[str]) -> None:
        """Aborts what these sessions have open and strikes them off the owner's record. Fences nobody."""
        for session in sessions:
            if session in self._sessions:
                self._abort(self._sessions[session])
        self._owners[owner] = [each for each in self._owners[owner] if each not in sessions]

    def read(self, after: int, collection: str, ids: Sequence[str]) -> "asyncio.Future[Seen]":
        """What a majority holds, not before commit ``after``; if torn, the second half as of a later instant."""
        half = len(ids) // 2 if len(ids) > 1 and self.network.chance("torn") else len(ids)
        answer: asyncio.Future[Seen] = self.loop.create_future()
        self._when_readable(after, self._read_on, collection, ids[:half], ids[half:], {}, answer)
        return answer

    def read_in(self, call: Call, collection: str, ids: Sequence[str]) -> dict[str, Document]:
        """What the transaction sees."""
        transaction = self._transaction(call)
        return self._get(collection, ids, transaction.snapshot, transaction.writes)

    def find_in(self, call: Call, query: Query) -> list[Document]:
        """A find in the transaction's snapshot."""
        transaction = self._transaction(call)
        return self._find(query, transaction.snapshot, transaction.writes)

    def find(self, after: int, query: Query) -> "asyncio.Future[Seen]":
        """A find of what a majority holds, not before commit ``after``; if torn, each part as of a later instant."""
        self._known(query.collection)
        answer: asyncio.Future[Seen] = self.loop.create_future()
        if self.network.chance("torn"):
            self._when_readable(after, self._tear, query, [], answer)
        else:
            self._when_readable(after, self._find_whole, query, answer)
        return answer

    def insert(self, call: Call, collection: str, bodies: Sequence[Body]) -> None:
        """Adds new documents."""
        transaction = self._transaction(call)
        for body in bodies:
            place = (collection, body.view["_id"])
            if self._sees(transaction, place) is not None:
                self._abort(transaction)
                raise AlreadyExistsError(f"{collection}: the id exists")
            self._write(transaction, place, body)

    def replace(self, call: Call, collection: str, bodies: Sequence[Body]) -> None:
        """Writes whole documents."""
        transaction = self._transaction(call)
        for body in bodies:
            self._write(transaction, (collection, body.view["_id"]), body)

    def update(self, call: Call, collection: str, changes: Mapping[str, Mapping[str, Any]], upsert: bool) -> None:
        """Sets top-level fields."""
        transaction = self._transaction(call)
        for each, change in changes.items():
            assert not any("." in name or name.startswith("$") or name == "_id" for name in change)
            before = self._sees(transaction, (collection, each))
            if before is None and not upsert:
                self._abort(transaction)
                raise StoreError(f"{collection}: update of a document that does not exist")
            view = {} if before is None else before.view
            self._write(transaction, (collection, each), stored({"_id": each, **view, **change}))

    def delete(self, call: Call, collection: str, ids: Sequence[str]) -> None:
        """Removes documents."""
        transaction = self._transaction(call)
        for each in ids:
            if self._sees(transaction, (collection, each)) is not None:
                self._write(transaction, (collection, each), None)

    def abort(self, call: Call) -> None:
        """Ends a transaction without its writes."""
        current = self._sessions.get(call.session)
        if current is not None and current.number == call.number:
            self._abort(current)

    def commit(self, call: Call) -> "asyncio.Future[int]":
        """Commits, also for the second time, and answers with its number when a majority holds it, or what it read."""
        transaction = self._transaction(call)
        if transaction.state == "open":
            self._release(transaction)
            transaction.state = "committed"
            transaction.committed_at = transaction.snapshot
            if transaction.writes:
                transaction.committed_at = self.documents.commit(transaction.writes)
                self._above.append(transaction)
                self.loop.note(b"%s commit %d" % (self.node.tag, transaction.committed_at))
                self.node.call_later(self._replication_s(), self._replicated, transaction)
        answer: asyncio.Future[int] = self.loop.create_future()
        if transaction.committed_at <= self.documents.majority:
            answer.set_result(transaction.committed_at)
        else:
            self._waiting.append((transaction.committed_at, answer))
        return answer

    # what befalls it

    def fail_over(self) -> None:
        """A new primary without what only the old one had; nobody answers during the election."""
        self.network.counts["rolled_back"] += len(self._above)
        low, high = ELECTION_S
        self.down_until_s = self.loop.now + low + self.loop.rng.random() * (high - low)
        for transaction in self._sessions.values():
            if transaction.state == "open":
                self._abort(transaction)
            elif transaction.committed_at > self.documents.majority:  # also if it only read what is taken back
                transaction.state = "aborted"
        self._above.clear()
        self.documents.roll_back()
        waiting, self._waiting = self._waiting, []
        for _, answer in waiting:
            answer.set_exception(ResetError("the primary stepped down"))
        if self.network.chance("stale"):
            low, high = STALE_S
            self._stale_until_s = self.down_until_s + low + self.loop.rng.random() * (high - low)
            self._stale_at = max(0, self.documents.majority - self.loop.rng.randint(*STALE_COMMITS))

    def now_at_majority(self, collection: str) -> dict[str, Document]:
        """Everything a majority holds of a collection, by id, for the auditor; not a request. Nobody may change it."""
        found = self.documents.select(collection, {}, self.documents.majority, {})
        return {body.view["_id"]: body.view for body in found}

    # inside

    def _readable(self) -> int:
        """The commit that reads outside transactions see.

        A new primary learns only with its own first majority commit how far the old one had come: until then it may
        serve what a majority held a while ago.
        """
        return self._stale_at if self.loop.now < self._stale_until_s else self.documents.majority

    def _when_readable(self, after: int, function: Callable[..., None], *arguments: Any) -> None:
        """Answers once reads see the commit that the client has seen already."""
        if self._readable() >= after:
            function(*arguments)
        else:
            self.node.call_later(READABLE_AGAIN_S, self._when_readable, after, function, *arguments)

    def _read_on(
        self,
        collection: str,
        ids: Sequence[str],
        later: Sequence[str],
        found: dict[str, Document],
        answer: "asyncio.Future[Seen]",
    ) -> None:
        found = {**found, **self._get(collection, ids, self._readable(), {})}
        if later:
            self.node.call_later(self.network.delay_s(), self._read_on, collection, later, (), found, answer)
        elif not answer.done():
            answer.set_result(Seen(self._readable(), found))

    def _find_whole(self, query: Query, answer: "asyncio.Future[Seen]") -> None:
        answer.set_result(Seen(self._readable(), self._find(query, self._readable(), {})))

    def _transaction(self, call: Call) -> Open:
        current = self._sessions.get(call.session)
        if current is not None and current.number == call.number:
            if current.state == "open" and current.ends_at_s < self.loop.now:
                self._abort(current)
            if current.state == "aborted":
                raise AbortedError("no such transaction")
            return current
        if not call.first or (current is not None and current.number > call.number):
            raise AbortedError("no such transaction, or an older one of its session")
        if current is not None and current.state == "open":
            self._abort(current)
        ends_at_s = self.loop.now + TRANSACTION_LIFETIME_S
        begun = Open(call.session, call.number, self.documents.now, ends_at_s)
        self._sessions[call.session] = begun
        return begun

    def _abort(self, transaction: Open) -> None:
        if transaction.state == "open":
            transaction.state = "aborted"
            self._release(transaction)

    def _release(self, transaction: Open) -> None:
        for place in transaction.writes:
            del self._locks[place]
        for key in transaction.claims:
            self._claims.pop(key, None)

    def _conflict(self, transaction: Open, why: str) -> AbortedError:
        self.network.counts["conflict"] += 1
        self._abort(transaction)
        return AbortedError(why)

    def _holder(self, transaction: Open, holder: Open | None) -> Open | None:
        """The other transaction that holds a lock, unless it has outlived its time."""
        if holder is None or holder is transaction:
            return None
        if holder.ends_at_s < self.loop.now:
            self._abort(holder)
            return None
        return holder

    def _known(self, collection: str) -> None:
        assert collection in self.documents.collections, f"{collection} was not prepared"

    def _sees(self, transaction: Open, place: Place) -> Body | None:
        self._known(place[0])
        if place in transaction.writes:
            return transaction.writes[place]
        return self.documents.at(place, transaction.snapshot)

    def _write(self, transaction: Open, place: Place, body: Body | None) -> None:
        self._known(place[0])
        held = self._holder(transaction, self._locks.get(place))
        if held is not None or self.documents.changed_since(place, transaction.snapshot):
            raise self._conflict(transaction, f"{place[0]}: another transaction wrote this document first")
        if place in transaction.writes:
            for key in [key for key, claimant in transaction.claims.items() if claimant == place]:
                del transaction.claims[key], self._claims[key]
        for key in self.documents.claims(place[0], body):
            self._claim(transaction, place, key)
        self._locks[place] = transaction
        transaction.writes[place] = body

    def _claim(self, transaction: Open, place: Place, key: UniqueKey) -> None:
        if self._holder(transaction, self._claims.get(key)) is not None:
            raise self._conflict(transaction, f"{place[0]}: another transaction claimed this unique value first")
        since, holder = self.documents.holders.get(key, (0, None))
        rewritten = holder is not None and (place[0], holder) in transaction.writes
        if since > transaction.snapshot and holder != place[1]:
            raise self._conflict(transaction, f"{place[0]}: another transaction changed this unique value first")
        if key in transaction.claims or (holder not in {None, place[1]} and not rewritten):
            self._abort(transaction)
            raise AlreadyExistsError(f"{place[0]}: a unique value of {key[1]} exists")
        self._claims[key] = transaction
        transaction.claims[key] = place

    def _get(
        self, collection: str, ids: Iterable[str], point: int, own: Mapping[Place, Body | None]
    ) -> dict[str, Document]:
        self._known(collection)
        found: dict[str, Document] = {}
        for each in ids:
            place = (collection, each)
            body = own[place] if place in own else self.documents.at(place, point)
            if body is not None:
                found[each] = fetched(body)
        return found

    def _find(self, query: Query, point: int, own: Mapping[Place, Body | None]) -> list[Document]:
        self._known(query.collection)
        bodies = self.documents.select(query.collection, query.where, point, own)
        return [only(fetched(body), query.fields) for body in ordered(bodies, query)]

    def _tear(self, query: Query, found: list[Body], answer: "asyncio.Future[Seen]") -> None:
        """Reads on behind what was found, as of now, and comes back later for the rest."""
        size = self.loop.rng.randint(*TORN_DOCUMENTS)
        bodies = self.documents.select(query.collection, query.where, self._readable(), {})
        whole = Query(query.collection, query.where, query.sort, sys.maxsize, query.fields)
        behind = [body for body in ordered(bodies, whole) if not found or comes_after(body, found[-1], query.sort)]
        found.extend(behind[: min(size, query.limit - len(found))])
        if len(found) < query.limit and len(behind) > size:
            self.node.call_later(self.network.delay_s(), self._tear, query, found, answer)
        elif not answer.done():
            answer.set_result(Seen(self._readable(), [only(fetched(body), query.fields) for body in found]))

    def _replicated(self, transaction: Open) -> None:
        """Moves the majority point: what stands below it, stands."""
        if transaction.state != "committed":
            return
        while self._above and self._above[0].committed_at <= transaction.committed_at:
            done = self._above.pop(0)
            self.documents.majority = done.committed_at
            self._stale_until_s = 0.0
            if self.on_majority is not None:
                self.on_majority(self.node.name, done.writes)
            for collection in {place[0] for place in done.writes}:
                self._wake(collection)
        ready = [waiting for waiting in self._waiting if waiting[0] <= self.documents.majority]
        self._waiting = [each for each in self._waiting if each[0] > self.documents.majority]
        for at, answer in ready:
            answer.set_result(at)
        if self.documents.majority % TRIM_COMMITS == 0:
            self._trim()

    def _wake(self, collection: str) -> None:
        for listener in self.listeners.get(collection, ()):
            if not self.network.chance("missed"):
                low, high = WAKEUP_S
                self.node.call_later(low + self.loop.rng.random() * (high - low), listener)

    def _trim(self) -> None:
        alive = [each for each in self._sessions.values() if each.state == "open"]
        self.documents.trim(min([self.documents.majority - STALE_COMMITS[1], *(each.snapshot for each in alive)]))

    def _replication_s(self) -> float:
        low, high = REPLICATION_S
        if self.network.chance("lag"):
            high = SLOW_REPLICATION_MAX_S
        return low + self.loop.rng.random() * (high - low)
