"""Which tokens are believed, and what a caller may do with them."""

import asyncio
import json
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from services.runtime import keys, tokens
from services.runtime.development import ROLES, Grant, development_jwks, development_key, issue, jwks_of, key_id
from services.runtime.keys import Keys, KeysUnavailableError, parse_jwks
from services.runtime.problems import RefusedError
from services.runtime.settings import HttpSettings
from services.runtime.tokens import Authenticator
from tests.support.ports import START, CountedIds, SetClock
from tests.support.tokens import TEST_JWKS, TEST_KEY, http_settings, token

OTHER_KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(1, 33)))


@pytest.fixture
def wall() -> SetClock:
    return SetClock()


@pytest.fixture
def authenticator(wall: SetClock) -> Authenticator:
    return Authenticator(http_settings(), wall)


async def code_of(authenticator: Authenticator, authorization: str | None) -> str:
    with pytest.raises(RefusedError) as caught:
        await authenticator.caller(authorization)
    return caught.value.refusal.code


async def test_a_good_token_stands_for_its_caller(authenticator: Authenticator) -> None:
    caller = await authenticator.caller(f"Bearer {token('a.read', 'b.write', area='340802', subject='P-7')}")
    assert (caller.subject, caller.client, caller.area) == ("P-7", "client-of-P-7", "340802")
    assert caller.scopes == {"a.read", "b.write"}


def unsigned() -> str:
    claims = jwt.decode(token("a.read"), options={"verify_signature": False})
    return jwt.encode(claims, "", algorithm="none", headers={"kid": key_id(TEST_KEY.public_key())})


def signed_with_the_public_key_as_a_secret() -> str:
    """The classic confusion: an HMAC over the published key, hoping the verifier takes the header's word."""
    public = TEST_KEY.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    return token("a.read", key=public, algorithm="HS256")


def with_a_changed_claim() -> str:
    head, _, signature = token("a.read").split(".")
    _, other, _ = token("a.read", area="34").split(".")
    return f"{head}.{other}.{signature}"


@pytest.mark.parametrize(
    ("authorization", "code"),
    [
        (None, "unauthenticated"),
        ("", "token_invalid"),
        ("Basic dXNlcjpwYXNz", "token_invalid"),
        ("Bearer", "token_invalid"),
        ("Bearer nonsense", "token_invalid"),
        ("Bearer " + "x" * 9_000, "token_invalid"),
        ("Bearer " + unsigned(), "token_invalid"),
        ("Bearer " + signed_with_the_public_key_as_a_secret(), "token_invalid"),
        ("Bearer " + with_a_changed_claim(), "token_invalid"),
        ("Bearer " + token("a.read", key=OTHER_KEY), "token_invalid"),
        ("Bearer " + token("a.read", key=OTHER_KEY, key_name="unknown"), "token_invalid"),
        ("Bearer " + token("a.read", claims={"aud": "another"}), "token_invalid"),
        ("Bearer " + token("a.read", claims={"aud": None}), "token_invalid"),
        ("Bearer " + token("a.read", claims={"iss": "https://elsewhere.example"}), "token_invalid"),
        ("Bearer " + token("a.read", claims={"exp": None}), "token_invalid"),
        ("Bearer " + token("a.read", claims={"exp": "tomorrow"}), "token_invalid"),
        ("Bearer " + token("a.read", claims={"sub": None}), "token_invalid"),
        ("Bearer " + token("a.read", claims={"area": None}), "token_invalid"),
        ("Bearer " + token("a.read", claims={"scope": ["a.read"]}), "token_invalid"),
        ("Bearer " + token("a.read", claims={"nbf": int(START.timestamp()) + 3_600}), "token_invalid"),
        ("Bearer " + token("a.read", claims={"iat": int(START.timestamp()) + 3_600}), "token_invalid"),
        ("Bearer " + token("a.read", now=START - timedelta(days=2), lifetime=timedelta(days=1)), "token_expired"),
        *(
            ("Bearer " + token("a.read", area=area), "token_invalid")
            for area in ("3", "340", "34080", "3408020", "34080x", "３４")
        ),
    ],
)
async def test_any_other_token_is_refused(authenticator: Authenticator, authorization: str | None, code: str) -> None:
    assert await code_of(authenticator, authorization) == code


async def test_a_token_that_was_believed_still_expires(authenticator: Authenticator, wall: SetClock) -> None:
    header = f"Bearer {token('a.read', lifetime=timedelta(hours=1))}"
    await authenticator.caller(header)
    wall.move(timedelta(hours=1, seconds=tokens.LEEWAY_S - 1))
    await authenticator.caller(header)
    wall.move(timedelta(seconds=1))
    assert await code_of(authenticator, header) == "token_expired"


async def test_memory_for_believed_tokens_is_bounded(
    authenticator: Authenticator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tokens, "TOKENS_REMEMBERED_MAX", 3)
    for number in range(10):
        await authenticator.caller(f"Bearer {token('a.read', subject=f'P-{number}')}")
    assert len(authenticator._verified) == 3


@pytest.mark.parametrize(
    ("area", "inside", "outside"),
    [
        ("34", ("340802", "341000", "3408", "34"), ("350000", "3", "")),
        ("3408", ("340802", "340800", "3408"), ("340702", "34")),
        ("340802", ("340802",), ("340800", "340803", "3408", "34")),
        ("*", ("340802", "110000"), ()),
    ],
)
async def test_an_area_covers_what_lies_in_it(
    authenticator: Authenticator, area: str, inside: tuple[str, ...], outside: tuple[str, ...]
) -> None:
    caller = await authenticator.caller(f"Bearer {token('a.read', area=area)}")
    assert all(caller.covers(unit) for unit in inside)
    assert not any(caller.covers(unit) for unit in outside)


# keys


def jwk(**parts: Any) -> dict[str, Any]:
    return {"use": "sig", **parts}


def rsa_jwk(bits: int) -> tuple[Any, dict[str, Any]]:
    key = rsa.generate_private_key(65_537, bits)
    return key, jwk(kid=f"rsa-{bits}", alg="RS256", **RSAAlgorithm.to_jwk(key.public_key(), as_dict=True))


async def test_the_three_kinds_of_keys_that_issuers_use_are_taken(wall: SetClock) -> None:
    rsa_key, rsa_public = rsa_jwk(2_048)
    ec_key = ec.generate_private_key(ec.SECP256R1())
    ec_public = jwk(kid="ec", alg="ES256", **ECAlgorithm.to_jwk(ec_key.public_key(), as_dict=True))
    ed_public = json.loads(TEST_JWKS)["keys"][0]
    jwks = json.dumps({"keys": [rsa_public, ec_public, ed_public]})
    authenticator = Authenticator(http_settings(jwt_jwks=jwks), wall)
    for key, algorithm, name in ((rsa_key, "RS256", "rsa-2048"), (ec_key, "ES256", "ec"), (TEST_KEY, "EdDSA", None)):
        header = f"Bearer {token('a.read', key=key, algorithm=algorithm, key_name=name)}"
        assert (await authenticator.caller(header)).subject == "P-1"


async def test_a_key_is_used_with_its_own_algorithm_only(wall: SetClock) -> None:
    rsa_key, rsa_public = rsa_jwk(2_048)
    authenticator = Authenticator(http_settings(jwt_jwks=json.dumps({"keys": [rsa_public]})), wall)
    header = f"Bearer {token('a.read', key=rsa_key, algorithm='PS256', key_name='rsa-2048')}"
    assert await code_of(authenticator, header) == "token_invalid"


def test_weak_private_secret_and_foreign_keys_are_not_taken() -> None:
    good = json.loads(TEST_JWKS)["keys"][0]
    weak = rsa_jwk(1_024)[1]
    secret = jwk(
        kid="secret",
        kty="oct",
        k="AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow",
    )
    encryption = {**good, "kid": "enc", "use": "enc"}
    private = {**good, "kid": "private", "d": "AAAA"}
    nameless = {name: value for name, value in good.items() if name != "kid"}
    document = {"keys": [weak, secret, encryption, private, nameless, {"kty": "unheard-of"}, "x", good]}
    assert list(parse_jwks(json.dumps(document).encode())) == [good["kid"]]


@pytest.mark.parametrize(
    "document",
    [b"", b"[]", b"{}", b'{"keys": {}}', b'{"keys": []}', b'{"keys": [' + b"1," * 40 + b"1]}", b" " * 70_000],
)
def test_what_is_no_jwks_is_said_to_be_none(document: bytes) -> None:
    with pytest.raises(KeysUnavailableError):
        parse_jwks(document)


class Issuer:
    """A JWKS that changes, and may be away."""

    changes = True

    def __init__(self, *documents: str | None) -> None:
        self.documents = list(documents)
        self.asked = 0

    async def load(self) -> bytes:
        self.asked += 1
        document = self.documents[min(self.asked, len(self.documents)) - 1]
        if document is None:
            raise KeysUnavailableError("away")
        return document.encode()


class LoopTime:
    """Stands for the loop's clock."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1_000.0
        monkeypatch.setattr(keys, "_loop_time_s", lambda: self.now)


@pytest.fixture
def loop_time(monkeypatch: pytest.MonkeyPatch) -> LoopTime:
    return LoopTime(monkeypatch)


FIRST_ID, OTHER_ID = key_id(TEST_KEY.public_key()), key_id(OTHER_KEY.public_key())
OTHER_JWKS = jwks_of(OTHER_KEY.public_key())


async def test_an_unknown_key_makes_us_ask_again_but_not_more_often_than_allowed(loop_time: LoopTime) -> None:
    issuer = Issuer(TEST_JWKS, TEST_JWKS, OTHER_JWKS)
    known = Keys(issuer)
    assert await known.find(FIRST_ID) is not None
    for _ in range(50):
        assert await known.find("made-up") is None
    assert issuer.asked == 1
    loop_time.now += keys.JWKS_RELOAD_INTERVAL_S
    assert await known.find("made-up") is None
    assert issuer.asked == 2
    loop_time.now += keys.JWKS_RELOAD_INTERVAL_S
    assert await known.find(OTHER_ID) is not None


async def test_a_withdrawn_key_goes_when_the_keys_are_old(loop_time: LoopTime) -> None:
    known = Keys(Issuer(TEST_JWKS, OTHER_JWKS))
    assert await known.find(FIRST_ID) is not None
    loop_time.now += keys.JWKS_AGE_MAX_S
    await known.refresh()
    assert await known.find(FIRST_ID) is None


async def test_an_issuer_that_is_away_later_does_not_matter_and_at_first_means_try_again(loop_time: LoopTime) -> None:
    later = Keys(Issuer(TEST_JWKS, None))
    await later.refresh()
    loop_time.now += keys.JWKS_AGE_MAX_S
    await later.refresh()
    assert await later.find(FIRST_ID) is not None
    at_first = Keys(Issuer(None, None, TEST_JWKS))
    for _ in range(3):
        with pytest.raises(KeysUnavailableError):
            await at_first.refresh()
    loop_time.now += keys.JWKS_RELOAD_INTERVAL_S
    with pytest.raises(KeysUnavailableError):
        await at_first.refresh()
    loop_time.now += keys.JWKS_RELOAD_INTERVAL_S
    await at_first.refresh()


async def test_a_token_believed_under_earlier_keys_is_verified_anew(
    tmp_path: Path, wall: SetClock, loop_time: LoopTime
) -> None:
    file = tmp_path / "jwks.json"
    file.write_text(TEST_JWKS)
    authenticator = Authenticator(HttpSettings(jwt_jwks_file=file, environment="development"), wall)
    header = f"Bearer {token('a.read')}"
    await authenticator.caller(header)
    file.write_text(OTHER_JWKS)
    await authenticator.caller(header)
    loop_time.now += keys.JWKS_AGE_MAX_S
    assert await code_of(authenticator, header) == "token_invalid"


async def test_without_any_keys_the_client_is_told_to_try_again(tmp_path: Path, wall: SetClock) -> None:
    missing = HttpSettings(jwt_jwks_file=tmp_path / "missing.json", environment="development")
    authenticator = Authenticator(missing, wall)
    assert await code_of(authenticator, f"Bearer {token('a.read')}") == "try_again"
    with pytest.raises(KeysUnavailableError):
        await authenticator.check()


@pytest.mark.parametrize(
    ("answer", "usable"),
    [
        (httpx.Response(200, text=TEST_JWKS), True),
        (httpx.Response(200, text="<html>sign in</html>"), False),
        (httpx.Response(302, headers={"location": "https://elsewhere.example"}), False),
        (httpx.Response(503, text=TEST_JWKS), False),
        (httpx.ConnectError("refused"), False),
    ],
)
async def test_keys_are_fetched_from_the_issuers_address(
    monkeypatch: pytest.MonkeyPatch, wall: SetClock, answer: httpx.Response | Exception, usable: bool
) -> None:
    asked: list[str] = []

    def issuer(request: httpx.Request) -> httpx.Response:
        asked.append(str(request.url))
        if isinstance(answer, Exception):
            raise answer
        return answer

    client = partial(httpx.AsyncClient, transport=httpx.MockTransport(issuer))
    monkeypatch.setattr("services.runtime.keys.httpx.AsyncClient", client)
    settings = HttpSettings(jwt_jwks_url="https://id.example/keys", environment="development")
    authenticator = Authenticator(settings, wall)
    header = f"Bearer {token('a.read')}"
    if usable:
        assert (await authenticator.caller(header)).subject == "P-1"
    else:
        assert await code_of(authenticator, header) == "try_again"
    await asyncio.gather(*(authenticator.keys.find("made-up") for _ in range(20)), return_exceptions=True)
    assert asked == ["https://id.example/keys"]


# development


def test_the_development_key_is_made_once_and_for_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "below" / "key.pem"
    first = development_jwks(path)
    assert development_jwks(path) == first
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(path.parent.iterdir()) == [path]
    assert '"d"' not in first


@pytest.mark.parametrize("role", ROLES)
async def test_a_development_token_is_believed_where_its_key_is(role: str, tmp_path: Path, wall: SetClock) -> None:
    path = tmp_path / "key.pem"
    settings = HttpSettings(jwt_development_key_file=path, environment="development")
    made = issue(development_key(path), Grant(role, "340802", "C-1"), now=START, ids=CountedIds())
    caller = await Authenticator(settings, wall).caller(f"Bearer {made}")
    assert (caller.subject, caller.area) == ("C-1", "own" if role == "volunteer" else "340802")
    assert caller.scopes == set(ROLES[role])


def test_two_clerks_are_two_clients_and_only_the_loader_may_do_everything() -> None:
    everything = {scope for scopes in ROLES.values() for scope in scopes}
    assert set(ROLES["loader"]) == everything - {"operations.parking"}
    assert [
        role for role, scopes in ROLES.items() if "attendance.back_office" in scopes and "stations.code" in scopes
    ] == ["loader"]
    assert {role for role, scopes in ROLES.items() if "operations.parking" in scopes} == {"operator", "second_operator"}
    assert "volunteers.reveal" not in ROLES["volunteer"]
    assert "attendance.back_office" in ROLES["second_clerk"]
