"""Declares the settings of registry."""

from typing import ClassVar, Self

from pydantic import SecretStr, model_validator

from services.runtime.settings import HttpSettings, ServiceSettings
from services.runtime.vault import parse_master_key


class RegistrySettings(ServiceSettings):
    """The environment of the registry processes."""

    SERVICE: ClassVar[str] = "REGISTRY"

    vault_master_key: SecretStr = SecretStr("")
    """Base64 of the 96 bytes under which every person's key is encrypted; only the api needs it."""

    @model_validator(mode="after")
    def check_master_key(self) -> Self:
        """Refuses a key that is none, and none at all in production."""
        if self.vault_master_key.get_secret_value():
            parse_master_key(self.vault_master_key.get_secret_value())
        elif self.environment == "production":
            raise ValueError("VAULT_MASTER_KEY is needed in production")
        return self


def master_key_of(settings: HttpSettings) -> bytes | None:
    """The master key, where the environment gave one."""
    if not isinstance(settings, RegistrySettings) or not settings.vault_master_key.get_secret_value():
        return None
    return parse_master_key(settings.vault_master_key.get_secret_value())
