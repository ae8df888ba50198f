"""Binds the parts of hours to their surroundings; importing it does nothing."""

from collections.abc import Sequence

from fastapi import FastAPI

from services.eventing.batch import BatchHandler
from services.eventing.ports import Ports
from services.eventing.relay.due import DueWork
from services.hours.api import ROUTERS
from services.hours.ledger import store as ledger
from services.hours.ledger.handlers import LedgerHandler, LedgerState
from services.hours.ledger.rules import Change
from services.hours.problems import PROBLEMS
from services.hours.settings import HoursSettings
from services.hours.timeouts import handlers as timeouts
from services.runtime.http import build_app
from services.runtime.service import Service
from services.runtime.settings import HttpSettings

NAME = "hours"
COLLECTIONS = (*ledger.COLLECTIONS, *timeouts.COLLECTIONS)
INDEXES = (*ledger.INDEXES, *timeouts.INDEXES)


def build_api(ports: Ports, settings: HttpSettings) -> FastAPI:
    """The HTTP app."""
    return build_app(service=NAME, ports=ports, settings=settings, problems=PROBLEMS, routers=ROUTERS)


def build_handler() -> BatchHandler[LedgerState, Change]:
    """What the processor gives its batches to."""
    return LedgerHandler()


def due_work(ports: Ports) -> Sequence[DueWork]:
    """What the relay does when it is due."""
    return (timeouts.MissedCheckOuts(ports),)


SERVICE = Service(
    name=NAME,
    settings=HoursSettings,
    build_api=build_api,
    build_handler=build_handler,
    due_work=due_work,
    collections=COLLECTIONS,
    indexes=INDEXES,
)
