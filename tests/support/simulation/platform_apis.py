"""Gives the four services' real apps to every world: built once, each request served with its own process's ports."""

import random
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from functools import cache
from typing import Any, Final, TypeVar

from fastapi import FastAPI

from services.activities import wiring as activities
from services.assessment import wiring as assessment
from services.eventing.ports import Document, Ports, Sort, Store, Transaction, Wakeups, Where
from services.hours import wiring as hours
from services.registry import wiring as registry
from services.runtime.service import Service
from tests.support.simulation.loop import current_node
from tests.support.simulation.vault import SimulatedVault
from tests.support.tokens import bearer, http_settings

T = TypeVar("T")

WIRINGS: Final[dict[str, Service[Any]]] = {
    each.SERVICE.name: each.SERVICE for each in (registry, activities, hours, assessment)
}
SCOPES: Final = (
    "registry.read",
    "registry.write",
    "activities.read",
    "activities.write",
    "attendance.write",
    "attendance.back_office",
    "stations.code",
    "hours.read",
    "assessment.read",
    "changes.read",
)


def _ports() -> Ports:
    ports = current_node().ports
    assert ports is not None, "only processes serve requests"
    return ports


class NodeStore:
    """The store of whichever process asks; keeps the port ``Store``."""

    async def get(self, collection: str, ids: Iterable[str]) -> dict[str, Document]:
        return await _ports().store.get(collection, ids)

    async def find(
        self,
        collection: str,
        where: Where,
        *,
        sort: Sort = (("_id", 1),),
        limit: int,
        fields: Sequence[str] | None = None,
    ) -> list[Document]:
        return await _ports().store.find(collection, where, sort=sort, limit=limit, fields=fields)

    async def count(self, collection: str, where: Where) -> int:
        return await _ports().store.count(collection, where)

    async def transact(self, work: Callable[[Transaction], Awaitable[T]], *, owner: str | None = None) -> T:
        return await _ports().store.transact(work, owner=owner)

    async def take_over(self, owner: str) -> None:
        await _ports().store.take_over(owner)

    def wakeups(self, collection: str) -> AbstractAsyncContextManager[Wakeups]:
        return _ports().store.wakeups(collection)

    async def ping(self) -> None:
        await _ports().store.ping()


class AskingClock:
    """The time of whichever process asks; keeps the port ``Clock``."""

    def now(self) -> datetime:
        return _ports().clock.now()


class AskingIds:
    """The ids of whichever process asks; keeps the port ``Ids``."""

    def new(self) -> str:
        return _ports().ids.new()


class AskingRandom(random.Random):
    """The randomness of whichever process asks."""

    def random(self) -> float:
        return _ports().rng.random()

    def getrandbits(self, k: int, /) -> int:
        return _ports().rng.getrandbits(k)


@cache
def app_of(service: str) -> FastAPI:
    """The service's app. It keeps nothing of a request, so that all processes and worlds may share it."""
    store: Store = NodeStore()
    ports = Ports(store=store, clock=AskingClock(), wall=AskingClock(), ids=AskingIds(), rng=AskingRandom())
    if service == registry.NAME:
        return registry.build_api(ports, http_settings(), vault=SimulatedVault())
    return WIRINGS[service].build_api(ports, http_settings())


@cache
def headers_of(subject: str) -> dict[str, str]:
    """The token of somebody who may do everything in the city."""
    return bearer(*SCOPES, area="3408", subject=subject)
