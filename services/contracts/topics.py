"""Declares every topic: its owner, key, consumers and partitions."""

from dataclasses import dataclass
from typing import Literal

Service = Literal["registry", "activities", "hours", "assessment"]
SERVICES: tuple[Service, ...] = ("registry", "activities", "hours", "assessment")

PARTITIONS = 8
"""Fixed for ever, and equal for all topics, so that one worker owns a key's queue across a processor's topics."""


@dataclass(frozen=True, slots=True)
class Topic:
    """One topic, one subject, one owner; ``key`` names whose order is kept; kept for ever unless said otherwise."""

    name: str
    owner: Service
    key: str
    consumers: tuple[Service, ...]
    partitions: int = PARTITIONS


def _each(suffix: str, key: str, consumers: tuple[Service, ...] | None) -> tuple[Topic, ...]:
    return tuple(Topic(f"{service}.{suffix}", service, key, consumers or (service,)) for service in SERVICES)


TOPICS: tuple[Topic, ...] = (
    Topic("registry.volunteers", "registry", "volunteer id", ("activities", "hours", "assessment")),
    Topic("registry.organisations", "registry", "organisation id or unit code", ("activities", "hours", "assessment")),
    Topic("activities.activities", "activities", "activity id", ("hours", "assessment")),
    Topic("activities.attendance", "activities", "volunteer id", ("hours", "assessment")),
    Topic("activities.requests", "activities", "request id", ("assessment",)),
    Topic("hours.entries", "hours", "volunteer id", ("activities", "assessment", "registry")),
    Topic("hours.timeouts", "hours", "volunteer id", ("hours",)),
    Topic("hours.objections", "hours", "volunteer id", ("assessment", "registry")),
    Topic("hours.transfers", "hours", "volunteer id", ("hours",)),
    Topic("hours.months", "hours", "unit code", ("assessment",)),
    Topic("hours.certificates", "hours", "volunteer id", ("registry",)),
    Topic("assessment.reports", "assessment", "unit code", ("assessment",)),
    Topic("assessment.scores", "assessment", "unit code", ()),
    *_each("operations", "parked key", None),
    *_each("notices", "recipient id", ("registry",)),
)

BY_NAME = {topic.name: topic for topic in TOPICS}
