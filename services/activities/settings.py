"""Declares the settings of activities."""

from typing import ClassVar, Final, Self

from pydantic import SecretStr, model_validator

from services.runtime.settings import HttpSettings, ServiceSettings

SECRET_CHARACTERS_MIN: Final = 32
_DEVELOPMENT_SECRET: Final = b"development only: stations show codes that anybody can compute"


class ActivitiesSettings(ServiceSettings):
    """The environment of the activities processes."""

    SERVICE: ClassVar[str] = "ACTIVITIES"

    station_code_secret: SecretStr = SecretStr("")
    """All codes of stations and slips are derived from it; may be left out in development only."""

    @model_validator(mode="after")
    def check_secret(self) -> Self:
        """Refuses a secret that could be guessed, and none at all in production."""
        characters = len(self.station_code_secret.get_secret_value())
        if 0 < characters < SECRET_CHARACTERS_MIN:
            raise ValueError(f"STATION_CODE_SECRET needs {SECRET_CHARACTERS_MIN} characters")
        if characters == 0 and self.environment == "production":
            raise ValueError("STATION_CODE_SECRET is needed in production")
        return self


def secret_of(settings: HttpSettings) -> bytes:
    """The secret that codes are derived from; a fixed one where development does without the setting."""
    given = settings.station_code_secret.get_secret_value() if isinstance(settings, ActivitiesSettings) else ""
    if given:
        return given.encode()
    assert settings.environment == "development", "checked when the settings were read"
    return _DEVELOPMENT_SECRET
