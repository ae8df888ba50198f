"""Declares the settings of registry."""

from typing import ClassVar

from services.runtime.settings import ServiceSettings


class RegistrySettings(ServiceSettings):
    """The environment of the registry processes."""

    SERVICE: ClassVar[str] = "REGISTRY"
