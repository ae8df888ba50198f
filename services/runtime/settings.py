"""Declares the settings that all services share, typed; a service subclasses them."""

from pydantic_settings import BaseSettings, SettingsConfigDict


class HttpSettings(BaseSettings):
    """What an API needs to be told."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore")
