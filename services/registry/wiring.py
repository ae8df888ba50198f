"""Binds the parts of registry to their surroundings; importing it does nothing."""

from collections.abc import Sequence

from fastapi import FastAPI

from services.eventing.batch import BatchHandler
from services.eventing.ports import Ports
from services.eventing.relay.due import DueWork
from services.registry.api import ROUTERS
from services.registry.deliveries import store as deliveries
from services.registry.deliveries.handlers import Change, DeliveriesHandler, DeliveriesState
from services.registry.problems import PROBLEMS
from services.registry.settings import RegistrySettings
from services.runtime.http import build_app
from services.runtime.service import Service
from services.runtime.settings import HttpSettings

NAME = "registry"
COLLECTIONS = (*deliveries.COLLECTIONS,)
INDEXES = (*deliveries.INDEXES,)


def build_api(ports: Ports, settings: HttpSettings) -> FastAPI:
    """The HTTP app."""
    return build_app(service=NAME, ports=ports, settings=settings, problems=PROBLEMS, routers=ROUTERS)


def build_handler() -> BatchHandler[DeliveriesState, Change]:
    """What the processor gives its batches to."""
    return DeliveriesHandler()


def due_work(ports: Ports) -> Sequence[DueWork]:
    """What the relay does when it is due: nothing yet."""
    del ports
    return ()


SERVICE = Service(
    name=NAME,
    settings=RegistrySettings,
    build_api=build_api,
    build_handler=build_handler,
    due_work=due_work,
    collections=COLLECTIONS,
    indexes=INDEXES,
)
