"""Production has a secret of its own; development may do without."""

import pytest
from pydantic import SecretStr, ValidationError

from services.activities.settings import ActivitiesSettings, secret_of
from tests.support.tokens import TEST_JWKS, http_settings


def settings(secret: str, environment: str = "production") -> ActivitiesSettings:
    return ActivitiesSettings.model_validate(
        {
            "environment": environment,
            "jwt_jwks": TEST_JWKS,
            "jwt_issuer": "https://issuer.example",
            "mongodb_uri": "mongodb://127.0.0.1",
            "kafka_bootstrap_servers": "127.0.0.1:9092",
            "station_code_secret": SecretStr(secret),
        }
    )


def test_codes_are_derived_from_the_given_secret() -> None:
    assert secret_of(settings("s" * 32)) == b"s" * 32


@pytest.mark.parametrize(
    ("secret", "environment"), [("", "production"), ("s" * 31, "production"), ("s", "development")]
)
def test_a_secret_that_is_missing_or_could_be_guessed_is_refused(secret: str, environment: str) -> None:
    with pytest.raises(ValidationError, match="STATION_CODE_SECRET"):
        settings(secret, environment)


def test_development_may_do_without() -> None:
    assert secret_of(settings("", "development")) == secret_of(http_settings())


def test_the_secret_is_not_shown() -> None:
    assert "s" * 32 not in repr(settings("s" * 32))
