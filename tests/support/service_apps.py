"""Builds the four services' real apps on a store that a test gives."""

from collections.abc import Callable

from fastapi import FastAPI

from services.activities import wiring as activities
from services.assessment import wiring as assessment
from services.eventing.ports import Ports
from services.hours import wiring as hours
from services.registry import wiring as registry
from services.runtime.settings import HttpSettings
from tests.support.memory_store import MemoryStore
from tests.support.ports import make_ports
from tests.support.tokens import http_settings
from tests.support.vaults import MemoryVault

_OTHERS: dict[str, Callable[[Ports, HttpSettings], FastAPI]] = {
    activities.NAME: activities.build_api,
    hours.NAME: hours.build_api,
    assessment.NAME: assessment.build_api,
}
SCOPES = (
    "registry.read",
    "registry.write",
    "volunteers.reveal",
    "activities.read",
    "activities.write",
    "attendance.write",
    "attendance.back_office",
    "stations.code",
    "hours.read",
    "assessment.read",
    "changes.read",
)
"""All there are."""


def app_on(service: str, store: MemoryStore, settings: HttpSettings | None = None) -> FastAPI:
    """The app of one service; by default it trusts ``tests.support.tokens.token``."""
    ports, settings = make_ports(store), settings or http_settings()
    if service == registry.NAME:
        return registry.build_api(ports, settings, vault=MemoryVault())
    return _OTHERS[service](ports, settings)
