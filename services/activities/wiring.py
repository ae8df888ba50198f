"""Binds the parts of activities to their surroundings; importing it does nothing."""

from collections.abc import Sequence

from fastapi import FastAPI

from services.activities.api import ROUTERS
from services.activities.attendance import store as attendance
from services.activities.backoffice import store as backoffice
from services.activities.batches import store as batches
from services.activities.codes import store as codes
from services.activities.given import STATION_CODE_SECRET
from services.activities.people import store as people
from services.activities.places import store as places
from services.activities.problems import PROBLEMS
from services.activities.processor import CopiesHandler, CopiesState, Copy
from services.activities.programme import store as programme
from services.activities.settings import ActivitiesSettings, secret_of
from services.activities.signups import store as signups
from services.eventing.batch import BatchHandler
from services.eventing.ports import Ports
from services.eventing.relay.due import DueWork
from services.runtime.http import build_app
from services.runtime.service import Service
from services.runtime.settings import HttpSettings

NAME = "activities"
COLLECTIONS = (
    *people.COLLECTIONS,
    *places.COLLECTIONS,
    *programme.COLLECTIONS,
    *signups.COLLECTIONS,
    *attendance.COLLECTIONS,
    *backoffice.COLLECTIONS,
    *batches.COLLECTIONS,
    *codes.COLLECTIONS,
)
INDEXES = (*people.INDEXES, *programme.INDEXES, *signups.INDEXES, *attendance.INDEXES, *backoffice.INDEXES)


def build_api(ports: Ports, settings: HttpSettings) -> FastAPI:
    """The HTTP app."""
    state = {STATION_CODE_SECRET: secret_of(settings)}
    return build_app(service=NAME, ports=ports, settings=settings, problems=PROBLEMS, routers=ROUTERS, state=state)


def build_handler() -> BatchHandler[CopiesState, Copy]:
    """What the processor gives its batches to."""
    return CopiesHandler()


def due_work(ports: Ports) -> Sequence[DueWork]:
    """What the relay does when it is due: nothing yet."""
    del ports
    return ()


SERVICE = Service(
    name=NAME,
    settings=ActivitiesSettings,
    build_api=build_api,
    build_handler=build_handler,
    due_work=due_work,
    collections=COLLECTIONS,
    indexes=INDEXES,
)
