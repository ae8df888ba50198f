"""Binds the parts of assessment to their surroundings; importing it does nothing."""

from collections.abc import Sequence

from fastapi import FastAPI

from services.assessment.api import ROUTERS
from services.assessment.facts import store as facts
from services.assessment.facts.handlers import Change, FactsHandler, FactsState
from services.assessment.problems import PROBLEMS
from services.assessment.scores import store as scores
from services.assessment.scores.handlers import ScorePublisher
from services.assessment.settings import AssessmentSettings
from services.eventing.batch import BatchHandler
from services.eventing.ports import Ports
from services.eventing.relay.due import DueWork
from services.runtime.http import build_app
from services.runtime.service import Service
from services.runtime.settings import HttpSettings

NAME = "assessment"
COLLECTIONS = (*facts.COLLECTIONS, *scores.COLLECTIONS)
INDEXES = (*facts.INDEXES, *scores.INDEXES)


def build_api(ports: Ports, settings: HttpSettings) -> FastAPI:
    """The HTTP app."""
    return build_app(service=NAME, ports=ports, settings=settings, problems=PROBLEMS, routers=ROUTERS)


def build_handler() -> BatchHandler[FactsState, Change]:
    """What the processor gives its batches to."""
    return FactsHandler()


def due_work(ports: Ports) -> Sequence[DueWork]:
    """What the relay does when it is due."""
    return (ScorePublisher(ports),)


SERVICE = Service(
    name=NAME,
    settings=AssessmentSettings,
    build_api=build_api,
    build_handler=build_handler,
    due_work=due_work,
    collections=COLLECTIONS,
    indexes=INDEXES,
)
