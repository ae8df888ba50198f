"""Declares what backups need to be told: where the databases are and where the files go."""

from pathlib import Path
from typing import Annotated, Final

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from services.contracts.topics import SERVICES
from services.runtime.settings import Port, load, own_then_shared

KEEP_BACKUPS: Final = 14
"""Two weeks of one a day."""
EVERY_HOURS: Final = 24.0


class BackupSettings(BaseSettings):
    """The environment of ``python -m services.recovery``."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore")

    backup_dir: Path
    """Where the databases' files go."""
    backup_keys_dir: Path
    """Where the encryption keys' files go: another disk, other people. Whoever has both can read personal data."""
    backup_every_hours: Annotated[float, Field(gt=0, le=168)] = EVERY_HOURS
    backup_keep: Annotated[int, Field(ge=1, le=1_000)] = KEEP_BACKUPS
    """Backups kept of each service; older ones are removed after a new one has succeeded."""
    backup_services: str = ",".join(SERVICES)
    host: str = "0.0.0.0"  # noqa: S104 - as the services' own
    backup_port: Port = 8000


class _Database(BaseSettings):
    model_config = SettingsConfigDict(frozen=True, extra="ignore")

    mongodb_uri: SecretStr = SecretStr("")
    mongodb_database: str = ""


class DatabaseMissingError(Exception):
    """No address, or none that can be one, is set for a service's database."""


def database_of(service: str) -> tuple[str, str]:
    """A service's database: address and name, from its own variables, else those for all. As ``ServiceSettings``.

    Raises ``DatabaseMissingError``, or ends the process as ``load`` does.
    """
    prefix = f"{service.upper()}_"

    class Database(_Database):
        @classmethod
        def settings_customise_sources(
            cls,
            settings_cls: type[BaseSettings],
            init_settings: PydanticBaseSettingsSource,
            env_settings: PydanticBaseSettingsSource,
            dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - pydantic-settings' signature
            file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            return own_then_shared(settings_cls, prefix, init_settings, env_settings)

    found = load(Database, f"{service} backup")
    uri = found.mongodb_uri.get_secret_value()
    if not uri:
        raise DatabaseMissingError(f"set {prefix}MONGODB_URI or MONGODB_URI, or the same with _FILE")
    if not uri.startswith(("mongodb://", "mongodb+srv://")):
        raise DatabaseMissingError(f"{prefix}MONGODB_URI or MONGODB_URI: must begin with mongodb:// or mongodb+srv://")
    return uri, found.mongodb_database or service
