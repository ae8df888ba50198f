"""Declares the settings of hours."""

from typing import ClassVar

from services.runtime.settings import ServiceSettings


class HoursSettings(ServiceSettings):
    """The environment of the hours processes; nothing beyond what all services have."""

    SERVICE: ClassVar[str] = "HOURS"
