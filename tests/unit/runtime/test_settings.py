"""Settings come typed from the environment; each wrong one is named, without its value."""

from pathlib import Path
from typing import Any, ClassVar

import pytest
from pydantic import ValidationError

from services.runtime.settings import EXIT_WRONG_SETTINGS, HttpSettings, ServiceSettings, load
from tests.support.tokens import TEST_JWKS

GOOD = {
    "ENVIRONMENT": "development",
    "MONGODB_URI": "mongodb://db/",
    "KAFKA_BOOTSTRAP_SERVERS": "one:9092, two:9092",
    "JWT_JWKS": TEST_JWKS,
}
PRODUCTION = {
    **GOOD,
    "ENVIRONMENT": "production",
    "JWT_ISSUER": "https://id.example",
}


class NotesSettings(ServiceSettings):
    """As a service declares its own."""

    SERVICE: ClassVar[str] = "NOTES"

    grace_minutes: int = 15


def loaded(monkeypatch: pytest.MonkeyPatch, **environment: str) -> NotesSettings:
    for name in NotesSettings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    return load(NotesSettings, "notes api")


def test_settings_are_typed(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = loaded(monkeypatch, **GOOD, CORS_ORIGINS="https://a.example,https://b.example", API_PORT="8101")
    assert settings.kafka_bootstrap_servers == ("one:9092", "two:9092")
    assert settings.cors_origins == ("https://a.example", "https://b.example")
    assert (settings.api_port, settings.grace_minutes, settings.database) == (8101, 15, "notes")


def test_a_services_own_variable_wins_over_the_one_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    own = {"NOTES_MONGODB_URI": "mongodb://own/", "NOTES_GRACE_MINUTES": "20", "HOURS_MONGODB_URI": "mongodb://no/"}
    settings = loaded(monkeypatch, **GOOD, **own)
    assert settings.mongodb_uri.get_secret_value() == "mongodb://own/"
    assert settings.grace_minutes == 20


def test_a_settings_text_does_not_show_the_databases_password(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = loaded(monkeypatch, **{**GOOD, "MONGODB_URI": "mongodb://user:hunter2@db/"})
    assert "hunter2" not in repr(settings)


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({**GOOD, "API_PORT": "70000"}, "API_PORT: Input should be less than or equal to 65535"),
        ({**GOOD, "NOTES_GRACE_MINUTES": "hunter2"}, "GRACE_MINUTES: Input should be a valid integer"),
        ({**GOOD, "MONGODB_URI": "hunter2"}, "MONGODB_URI: must begin with mongodb://"),
        ({**GOOD, "DEPLOYMENT_AREA": "340"}, "DEPLOYMENT_AREA: String should match"),
        ({**GOOD, "PROCESSOR_LINGER_MS": "2001"}, "PROCESSOR_LINGER_MS: Input should be less than or equal to 2000"),
        ({**GOOD, "BODY_BYTES_MAX": "0"}, "BODY_BYTES_MAX: Input should be greater"),
        ({k: v for k, v in GOOD.items() if k != "KAFKA_BOOTSTRAP_SERVERS"}, "KAFKA_BOOTSTRAP_SERVERS: Field required"),
        ({k: v for k, v in GOOD.items() if k != "JWT_JWKS"}, "set one of JWT_JWKS"),
        ({**GOOD, "JWT_JWKS_URL": "https://id.example"}, "set one of JWT_JWKS"),
        ({**PRODUCTION, "JWT_ISSUER": "urn:silver-service:development"}, "JWT_ISSUER must name the issuer"),
        ({**PRODUCTION, "CORS_ORIGINS": "*"}, "CORS_ORIGINS must name its origins"),
        ({**PRODUCTION, "DEVELOPMENT_CLOCK_FILE": "/clock"}, "DEVELOPMENT_CLOCK_FILE is for development only"),
    ],
)
def test_a_wrong_setting_ends_the_process_with_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], environment: dict[str, str], said: str
) -> None:
    with pytest.raises(SystemExit) as ended:
        loaded(monkeypatch, **environment)
    assert ended.value.code == EXIT_WRONG_SETTINGS
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("notes api: wrong setting: ")
    assert said in line
    assert "hunter2" not in line


def test_production_takes_good_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    assert loaded(monkeypatch, **PRODUCTION).environment == "production"


@pytest.mark.parametrize(
    "keys", [{"jwt_development_key_file": Path("/key")}, {"jwt_jwks_url": "http://id.example/keys"}]
)
def test_production_refuses_keys_that_anybody_may_have(keys: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        HttpSettings(environment="production", jwt_issuer="https://id.example", **keys)
    HttpSettings(environment="development", **keys)


def test_the_settings_of_a_simulation_do_not_read_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BODY_BYTES_MAX", "7")
    assert HttpSettings(jwt_jwks=TEST_JWKS, environment="development").body_bytes_max == 1024 * 1024
