"""Verifies bearer tokens: signature, issuer, audience and times; says which caller one stands for."""

from datetime import UTC, datetime
from typing import Any, Final

import jwt

from services.contracts.ids import ActorId
from services.eventing.ports import Clock
from services.runtime.areas import EVERYWHERE, OWN, is_units_area
from services.runtime.auth import Caller
from services.runtime.development import development_jwks
from services.runtime.keys import FileKeys, FixedKeys, Keys, KeySource, KeysUnavailableError, UrlKeys
from services.runtime.problems import refused
from services.runtime.settings import HttpSettings

TOKEN_CHARACTERS_MAX: Final = 8_192
TOKENS_REMEMBERED_MAX: Final = 2_048
LEEWAY_S: Final = 30
"""How far the issuer's clock and ours may be apart."""
_REQUIRED: Final = ("iss", "aud", "sub", "exp", "iat", "area", "scope")
_OPTIONS: Final = {
    "require": list(_REQUIRED),
    # PyJWT would read the system's clock; the times are checked here, with the clock given in.
    "verify_exp": False,
    "verify_nbf": False,
    "verify_iat": False,
}


class Authenticator:
    """Turns an ``Authorization`` header into a caller. Expiry is judged by real time, also in development."""

    def __init__(self, settings: HttpSettings, wall: Clock) -> None:
        self.keys = Keys(_source(settings))
        self._issuer, self._audience, self._wall = settings.jwt_issuer, settings.jwt_audience, wall
        self._verified: dict[str, tuple[Caller, float]] = {}
        self._generation = 0

    async def caller(self, authorization: str | None) -> Caller:
        """The caller. Raises ``RefusedError``: unauthenticated, token_invalid, token_expired, try_again."""
        if authorization is None:
            raise refused("unauthenticated")
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer" or not token or len(token) > TOKEN_CHARACTERS_MAX:
            raise refused("token_invalid", "not a bearer token")
        try:
            caller, expires_s = await self._verify(token.strip())
        except KeysUnavailableError as error:
            raise refused("try_again", "the issuer's keys are not to be had") from error
        if self._now_s() >= expires_s + LEEWAY_S:
            raise refused("token_expired")
        return caller

    async def check(self) -> None:
        """For readiness: returns if there are keys to verify with. Raises ``KeysUnavailableError``."""
        await self.keys.refresh()

    async def _verify(self, token: str) -> tuple[Caller, float]:
        await self.keys.refresh()
        if self._generation != self.keys.generation:
            self._generation = self.keys.generation
            self._verified.clear()
        known = self._verified.get(token)
        if known is None:
            known = await self._verify_anew(token)
            if len(self._verified) >= TOKENS_REMEMBERED_MAX:
                del self._verified[next(iter(self._verified))]
            self._verified[token] = known
        return known

    async def _verify_anew(self, token: str) -> tuple[Caller, float]:
        try:
            key = await self.keys.find(str(jwt.get_unverified_header(token).get("kid")))
            if key is None:
                raise refused("token_invalid", "signed with a key that the issuer does not publish")
            claims = jwt.decode(
                token,
                key,
                algorithms=[key.algorithm_name],
                issuer=self._issuer,
                audience=self._audience,
                options=_OPTIONS,  # type: ignore[arg-type] # a plain dict is what it takes
            )
        except jwt.PyJWTError as error:
            raise refused("token_invalid", type(error).__name__) from error
        return self._caller(claims), self._valid_until_s(claims)

    def _valid_until_s(self, claims: dict[str, Any]) -> float:
        times = [claims["exp"], claims["iat"], claims.get("nbf", claims["iat"])]
        if any(isinstance(time, bool) or not isinstance(time, int | float) for time in times):
            raise refused("token_invalid", "times must be numbers")
        expires_s, *starts_s = times
        if max(starts_s) > self._now_s() + LEEWAY_S:
            raise refused("token_invalid", "not valid yet")
        return float(expires_s)

    @staticmethod
    def _caller(claims: dict[str, Any]) -> Caller:
        client = claims.get("azp") or claims.get("client_id") or claims["sub"]
        texts = (claims["sub"], client, claims["scope"], claims["area"])
        if not all(isinstance(text, str) and text for text in texts):
            raise refused("token_invalid", "sub, azp, scope and area must be text")
        subject, client, scope, area = texts
        if area not in (EVERYWHERE, OWN) and not is_units_area(area):
            raise refused("token_invalid", "area must be two, four or six digits, or own")
        return Caller(ActorId(subject), client, frozenset(scope.split()), area)

    def _now_s(self) -> float:
        now: datetime = self._wall.now()
        return now.astimezone(UTC).timestamp()


def _source(settings: HttpSettings) -> KeySource:
    if settings.jwt_jwks is not None:
        return FixedKeys(settings.jwt_jwks)
    if settings.jwt_jwks_file is not None:
        return FileKeys(settings.jwt_jwks_file)
    if settings.jwt_jwks_url is not None:
        return UrlKeys(settings.jwt_jwks_url)
    assert settings.jwt_development_key_file is not None, "settings name one source"
    return FixedKeys(development_jwks(settings.jwt_development_key_file))
