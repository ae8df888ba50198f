"""Declares the settings of assessment."""

from typing import ClassVar

from services.runtime.settings import ServiceSettings


class AssessmentSettings(ServiceSettings):
    """The environment of the assessment processes; nothing beyond what all services have."""

    SERVICE: ClassVar[str] = "ASSESSMENT"
