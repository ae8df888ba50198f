"""The master key of the vault: 96 random bytes, never optional in production."""

import base64
import random
from typing import Any

import pytest
from pydantic import ValidationError

from services.registry.settings import RegistrySettings, master_key_of
from tests.support.tokens import TEST_JWKS, http_settings

KEY = random.Random(1).randbytes(96)


def settings(**said: Any) -> RegistrySettings:
    """Settings of a registry process in development."""
    usual = {
        "environment": "development",
        "jwt_jwks": TEST_JWKS,
        "mongodb_uri": "mongodb://127.0.0.1:1/",
        "kafka_bootstrap_servers": "127.0.0.1:2",
    }
    return RegistrySettings(**(usual | said))


def test_a_key_is_read_from_base64() -> None:
    assert master_key_of(settings(vault_master_key=base64.b64encode(KEY).decode())) == KEY


def test_development_does_without_a_key_and_then_has_no_vault() -> None:
    assert master_key_of(settings()) is None
    assert master_key_of(http_settings()) is None


@pytest.mark.parametrize(
    "key", ["not base64!", base64.b64encode(KEY[:95]).decode(), base64.b64encode(b"k" * 96).decode()]
)
def test_a_key_that_is_none_is_refused_without_being_repeated(key: str) -> None:
    with pytest.raises(ValidationError) as refused:
        settings(vault_master_key=key)
    assert key not in str([error["msg"] for error in refused.value.errors(include_input=False)])


def test_production_needs_a_key() -> None:
    with pytest.raises(ValidationError, match="VAULT_MASTER_KEY is needed in production"):
        settings(environment="production", jwt_issuer="https://issuer.example")
