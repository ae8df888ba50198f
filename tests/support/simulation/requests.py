"""Says what is asked of a simulated database, and puts what a query finds in its order."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Final, Literal, NamedTuple

from services.eventing.ports import Document, Sort, Where
from tests.support.memory_store import _sort_key, select
from tests.support.simulation.documents import Body, Place, UniqueKey

BY_ID: Final[Sort] = (("_id", 1),)


class AbortedError(Exception):
    """The server aborted the transaction or never heard of it: the whole of it may be tried again."""


@dataclass(eq=False, slots=True)
class Open:
    """One transaction at the server. Its snapshot is taken by its first request."""

    session: str
    number: int
    snapshot: int
    ends_at_s: float
    state: Literal["open", "committed", "aborted"] = "open"
    writes: dict[Place, Body | None] = field(default_factory=dict)
    claims: dict[UniqueKey, Place] = field(default_factory=dict)
    committed_at: int = 0


@dataclass(frozen=True, slots=True)
class Call:
    """What every request in a transaction says of itself; ``first`` is MongoDB's startTransaction."""

    session: str
    number: int
    first: bool


@dataclass(frozen=True, slots=True)
class Query:
    """A find."""

    collection: str
    where: Where
    sort: Sort
    limit: int
    fields: tuple[str, ...] | None


class Seen(NamedTuple):
    """An answer to a read outside transactions, and the commit as of which it was given."""

    at: int
    found: Any


def ordered(bodies: Iterable[Body], query: Query) -> list[Body]:
    if tuple(query.sort) == BY_ID:
        return list(islice(bodies, query.limit))
    by_id = {body.view["_id"]: body for body in bodies}
    views = (body.view for body in by_id.values())
    return [by_id[view["_id"]] for view in select(views, {}, sort=query.sort, limit=query.limit, fields=None)]


def comes_after(body: Body, other: Body, sort: Sort) -> bool:
    """Whether a document stands behind another one in the order of a query; ties by id."""
    for name, direction in sort:
        mine, others = _sort_key(body.view, name, direction), _sort_key(other.view, name, direction)
        if mine != others:
            return mine > others if direction > 0 else mine < others
    return bool(body.view["_id"] > other.view["_id"])


def only(document: Document, fields: tuple[str, ...] | None) -> Document:
    """The document with the named top-level fields, and its id."""
    return document if fields is None else {k: v for k, v in document.items() if k == "_id" or k in fields}
