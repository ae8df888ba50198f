"""Reads secrets from files: ``X_FILE`` in the environment gives the secret setting ``X``."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import SecretStr
from pydantic_settings import BaseSettings, EnvSettingsSource


class SecretFileError(Exception):
    """A file that should hold a secret cannot be read, or the secret is given twice."""


class SecretFileSource(EnvSettingsSource):
    """The secret settings whose files the environment names; what a container's secrets are mounted as."""

    def __init__(self, settings_cls: type[BaseSettings], env_prefix: str = "") -> None:
        super().__init__(settings_cls, env_prefix=env_prefix)

    def __call__(self) -> dict[str, Any]:
        """The values by field. Raises ``SecretFileError``, which names variables and never a value."""
        values = {name: self._secret(name, self.env_vars) for name in secret_settings(self.settings_cls)}
        return {name: value for name, value in values.items() if value is not None}

    def _secret(self, name: str, environment: Mapping[str, str | None]) -> str | None:
        variable = f"{self.env_prefix}{name}"
        path = environment.get(f"{variable}_file".lower())
        if not path:
            return None
        if environment.get(variable.lower()):
            raise SecretFileError(f"{variable.upper()} and {variable.upper()}_FILE are both set: keep one")
        try:
            return Path(path).read_text(encoding="utf-8").strip()
        except OSError as error:
            raise SecretFileError(f"{variable.upper()}_FILE: cannot be read: {error.strerror}") from error
        except UnicodeDecodeError as error:
            raise SecretFileError(f"{variable.upper()}_FILE: is not text") from error


def secret_settings(settings: type[BaseSettings]) -> tuple[str, ...]:
    """The names of the settings that are secrets."""
    return tuple(name for name, field in settings.model_fields.items() if field.annotation is SecretStr)
