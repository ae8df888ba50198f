"""No route of any service lets in a token that is not ours, and none does its work without its own scope."""

import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import cache
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from fastapi import FastAPI
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from services.contracts.topics import SERVICES
from services.runtime.development import key_id
from tests.support.asgi import Answer, call
from tests.support.memory_store import MemoryStore
from tests.support.service_apps import SCOPES, app_on
from tests.support.tokens import START, TEST_JWKS, TEST_KEY, bearer, http_settings, token

HOUR = timedelta(hours=1)
OTHER_KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(1, 33)))
RSA_KEY = rsa.generate_private_key(65_537, 2_048)
EC_KEY = ec.generate_private_key(ec.SECP256R1())
JWKS = json.dumps(
    {
        "keys": [
            *json.loads(TEST_JWKS)["keys"],
            {**RSAAlgorithm.to_jwk(RSA_KEY.public_key(), as_dict=True), "kid": "rsa", "alg": "RS256", "use": "sig"},
            {**ECAlgorithm.to_jwk(EC_KEY.public_key(), as_dict=True), "kid": "ec", "alg": "ES256", "use": "sig"},
        ]
    }
)
"""An issuer with three keys, so that they can be swapped."""


def unsigned() -> str:
    claims = jwt.decode(token(*SCOPES), options={"verify_signature": False})
    return jwt.encode(claims, "", algorithm="none", headers={"kid": key_id(TEST_KEY.public_key())})


def signed_with_a_public_key() -> str:
    """The classic confusion: HMAC with what everybody knows, under the name of the real key."""
    public = TEST_KEY.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    return token(*SCOPES, key=public, algorithm="HS256")


def without_signature() -> str:
    return token(*SCOPES).rpartition(".")[0] + "."


BAD: dict[str, Callable[[], str]] = {
    "of another audience": lambda: token(*SCOPES, claims={"aud": "another-platform"}),
    "of another issuer": lambda: token(*SCOPES, claims={"iss": "https://elsewhere.example"}),
    "expired": lambda: token(*SCOPES, now=START - 2 * HOUR, lifetime=HOUR),
    "not valid yet": lambda: token(*SCOPES, claims={"nbf": int((START + HOUR).timestamp())}),
    "issued in the future": lambda: token(*SCOPES, now=START + HOUR),
    "unsigned": unsigned,
    "its signature cut off": without_signature,
    "signed by a stranger under our key's name": lambda: token(*SCOPES, key=OTHER_KEY),
    "signed by a stranger under a name of its own": lambda: token(*SCOPES, key=OTHER_KEY, key_name="stranger"),
    "signed by one of our keys under another's name": lambda: token(
        *SCOPES, key=RSA_KEY, algorithm="RS256", key_name="ec"
    ),
    "signed by our key with another algorithm": lambda: token(*SCOPES, key=RSA_KEY, algorithm="RS512", key_name="rsa"),
    "signed with a published key as a secret": signed_with_a_public_key,
    "without an area": lambda: token(*SCOPES, claims={"area": None}),
    "of an area that is none": lambda: token(*SCOPES, area="340"),
}


STEPS: list[str] = []
"""What the stores were asked to do since a request began."""


@cache
def app_of(service: str) -> FastAPI:
    return app_on(service, MemoryStore(fault=STEPS.append), http_settings(jwt_jwks=JWKS))


async def ask(service: str, method: str, path: str, headers: dict[str, str]) -> tuple[Answer, list[str]]:
    """The answer, and what the store was asked to do for it."""
    STEPS.clear()
    filled = path.replace("{", "").replace("}", "")
    body: dict[str, str] | None = None if method == "GET" else {}
    return await call(app_of(service), method, filled, headers={**headers, "Idempotency-Key": "k"}, body=body), STEPS


def routes() -> Iterator[Any]:
    """Every operation of the four documents, with ids that name nothing."""
    for service in SERVICES:
        document = app_of(service).openapi()
        for path, operations in document["paths"].items():
            for method in operations:
                yield pytest.param(service, method.upper(), path, id=f"{service} {method.upper()} {path}")


@pytest.mark.parametrize(("service", "method", "path"), list(routes()))
async def test_a_token_that_is_not_good_opens_no_route(service: str, method: str, path: str) -> None:
    for name, make in {**BAD, "missing": None}.items():
        headers = {} if make is None else {"Authorization": f"Bearer {make()}"}
        answer, steps = await ask(service, method, path, headers)
        assert answer.status == 401, f"a token {name} was answered {answer.status}"
        assert answer.headers["www-authenticate"].startswith("Bearer")
        assert steps == []


@pytest.mark.parametrize(("service", "method", "path"), list(routes()))
async def test_a_good_token_opens_no_route_whose_scope_it_lacks(service: str, method: str, path: str) -> None:
    answer, steps = await ask(service, method, path, bearer("something.else"))
    assert (answer.status, answer.code) == (403, "scope_missing")
    assert steps == []


@pytest.mark.parametrize("service", SERVICES)
async def test_the_same_tokens_are_good_without_what_is_wrong_with_them(service: str) -> None:
    app = app_on(service, MemoryStore(), http_settings(jwt_jwks=JWKS))
    for key, algorithm, name in ((TEST_KEY, "EdDSA", None), (RSA_KEY, "RS256", "rsa"), (EC_KEY, "ES256", "ec")):
        good = token(*SCOPES, key=key, algorithm=algorithm, key_name=name)
        assert (await call(app, "GET", "/v1/changes", headers={"Authorization": f"Bearer {good}"})).status == 200


OF_A_UNIT = (
    ("registry", "/v1/units/340802"),
    ("registry", "/v1/organisations?unit=340802"),
    ("registry", "/v1/volunteers?unit=340802"),
    ("activities", "/v1/back-office-attendances?unit=340802"),
    ("hours", "/v1/accounts?unit=340802"),
    ("hours", "/v1/units/340802/months/2026-06"),
    ("assessment", "/v1/units/340802/scores/2026-Q2"),
    *((service, "/v1/changes") for service in SERVICES),
)
PROGRAMME = (("activities", "/v1/activities?unit=340802"), ("activities", "/v1/sessions?unit=340802"))
"""What a volunteer, whose area is ``own``, may look at to sign up."""


@pytest.mark.parametrize(
    ("service", "path", "area"),
    [
        *((*each, area) for each in (*OF_A_UNIT, *PROGRAMME) for area in ("3407", "340803", "35")),
        *((*each, "own") for each in OF_A_UNIT),
    ],
)
async def test_a_token_of_another_area_opens_nothing_of_this_one(service: str, path: str, area: str) -> None:
    answer, _ = await ask(service, "GET", path, bearer(*SCOPES, area=area))
    assert (answer.status, answer.code) == (403, "outside_area")
