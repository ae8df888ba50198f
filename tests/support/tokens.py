"""Makes tokens that an app under test accepts, and the settings that make it accept them."""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from services.runtime.development import jwks_of, key_id
from services.runtime.settings import DEVELOPMENT_AUDIENCE, DEVELOPMENT_ISSUER, HttpSettings

TEST_KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
"""Fixed, so that tokens and traces of a simulation are the same in every run."""
TEST_JWKS = jwks_of(TEST_KEY.public_key())
START = datetime.fromisoformat("2026-07-01T00:00:00+00:00")


def http_settings(**changes: Any) -> HttpSettings:
    """Settings of an app that trusts ``token``."""
    return HttpSettings(**({"environment": "development", "jwt_jwks": TEST_JWKS} | changes))


def token(
    *scopes: str,
    area: str = "3408",
    subject: str = "P-1",
    client: str | None = None,
    now: datetime = START,
    lifetime: timedelta = timedelta(days=400),
    claims: Mapping[str, Any] | None = None,
    key: Any = TEST_KEY,
    algorithm: str = "EdDSA",
    key_name: str | None = None,
) -> str:
    """A token with these scopes; ``claims`` are put over the usual ones, a value of ``None`` takes one away."""
    usual = {
        "iss": DEVELOPMENT_ISSUER,
        "aud": DEVELOPMENT_AUDIENCE,
        "sub": subject,
        "azp": client or f"client-of-{subject}",
        "scope": " ".join(scopes),
        "area": area,
        "iat": int(now.timestamp()),
        "exp": int((now + lifetime).timestamp()),
    }
    said = {name: value for name, value in {**usual, **(claims or {})}.items() if value is not None}
    named = key_id(TEST_KEY.public_key()) if key_name is None else key_name
    return jwt.encode(said, key, algorithm=algorithm, headers={"kid": named})


def bearer(*scopes: str, area: str = "3408", subject: str = "P-1", now: datetime = START) -> dict[str, str]:
    """The header of a caller with these scopes."""
    return {"Authorization": f"Bearer {token(*scopes, area=area, subject=subject, now=now)}"}


def command_headers(scopes: Iterable[str], key: str, *, area: str = "3408", subject: str = "P-1") -> dict[str, str]:
    """The headers of a command: a caller's token, and the idempotency key."""
    return {**bearer(*scopes, area=area, subject=subject), "Idempotency-Key": key}
