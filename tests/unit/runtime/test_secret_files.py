"""A secret comes from a file as well as from a variable, and a file that gives none is named."""

from pathlib import Path
from typing import ClassVar

import pytest
from pydantic import SecretStr

from services.runtime.secret_files import secret_settings
from services.runtime.settings import ServiceSettings, load
from tests.support.tokens import TEST_JWKS

GOOD = {"ENVIRONMENT": "development", "KAFKA_BOOTSTRAP_SERVERS": "one:9092", "JWT_JWKS": TEST_JWKS}


class NotesSettings(ServiceSettings):
    """With a secret of its own."""

    SERVICE: ClassVar[str] = "NOTES"

    seal: SecretStr = SecretStr("")


@pytest.fixture
def database(tmp_path: Path) -> Path:
    path = tmp_path / "uri"
    path.write_text("mongodb://notes:hunter2@db/\n")
    return path


def loaded(monkeypatch: pytest.MonkeyPatch, **environment: str) -> NotesSettings:
    for name in NotesSettings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    for name, value in {**GOOD, **environment}.items():
        monkeypatch.setenv(name, value)
    return load(NotesSettings, "notes api")


def test_every_secret_and_nothing_else_may_be_a_file() -> None:
    assert set(secret_settings(NotesSettings)) == {"mongodb_uri", "kafka_password", "seal"}


def test_a_secret_is_read_from_its_file_without_the_line_end(monkeypatch: pytest.MonkeyPatch, database: Path) -> None:
    settings = loaded(monkeypatch, MONGODB_URI_FILE=str(database))
    assert settings.mongodb_uri.get_secret_value() == "mongodb://notes:hunter2@db/"


def test_a_services_own_file_wins_over_the_one_for_all(
    monkeypatch: pytest.MonkeyPatch, database: Path, tmp_path: Path
) -> None:
    (tmp_path / "own").write_text("mongodb://own/")
    settings = loaded(monkeypatch, MONGODB_URI_FILE=str(database), NOTES_MONGODB_URI_FILE=str(tmp_path / "own"))
    assert settings.mongodb_uri.get_secret_value() == "mongodb://own/"


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({"MONGODB_URI_FILE": "/nowhere"}, "MONGODB_URI_FILE: cannot be read: No such file or directory"),
        ({"MONGODB_URI_FILE": "/"}, "MONGODB_URI_FILE: cannot be read: Is a directory"),
        ({"MONGODB_URI_FILE": "/proc/self/exe"}, "MONGODB_URI_FILE: is not text"),
        ({"MONGODB_URI_FILE": "/nowhere", "MONGODB_URI": "mongodb://x/"}, "are both set: keep one"),
    ],
)
def test_a_file_that_gives_no_secret_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], environment: dict[str, str], said: str
) -> None:
    with pytest.raises(SystemExit) as ended:
        loaded(monkeypatch, **environment)
    (line,) = capsys.readouterr().err.splitlines()
    assert (ended.value.code, said in line) == (78, True), line


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({"KAFKA_SECURITY_PROTOCOL": "SASL_SSL"}, "SASL_SSL needs KAFKA_USERNAME and KAFKA_PASSWORD"),
        ({"KAFKA_SECURITY_PROTOCOL": "SSL", "KAFKA_CA_FILE": "/nowhere"}, "KAFKA_CA_FILE: cannot be read"),
        ({"KAFKA_SECURITY_PROTOCOL": "TLS"}, "KAFKA_SECURITY_PROTOCOL: Input should be 'PLAINTEXT'"),
        ({"KAFKA_SASL_MECHANISM": "PLAIN"}, "KAFKA_SASL_MECHANISM: Input should be 'SCRAM-SHA-256' or"),
        ({"KAFKA_BOOTSTRAP_SERVERS": "kafka"}, "KAFKA_BOOTSTRAP_SERVERS: must be like host:port,host:port"),
        ({"KAFKA_BOOTSTRAP_SERVERS": " , "}, "KAFKA_BOOTSTRAP_SERVERS: Value should have at least 1 item"),
    ],
)
def test_a_way_into_the_log_that_cannot_work_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], environment: dict[str, str], said: str
) -> None:
    with pytest.raises(SystemExit):
        loaded(monkeypatch, MONGODB_URI="mongodb://db/", **environment)
    (line,) = capsys.readouterr().err.splitlines()
    assert said in line
