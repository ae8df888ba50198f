"""Holds the public keys that tokens are verified with, and fetches them anew when they have changed."""

import asyncio
import json
from pathlib import Path
from typing import Any, Final, Protocol

import httpx
import jwt
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from services.runtime.logs import logger

ALGORITHMS: Final = ("EdDSA", "RS256", "ES256")
"""Asymmetric only: with a shared secret every service could issue tokens, and ``none`` is no signature."""
RSA_KEY_BITS_MIN: Final = 2048
JWKS_BYTES_MAX: Final = 64 * 1024
JWKS_KEYS_MAX: Final = 32
JWKS_FETCH_TIMEOUT_S: Final = 3.0
JWKS_RELOAD_INTERVAL_S: Final = 30.0
"""An unknown key id makes us ask the issuer at most this often, whatever callers send."""
JWKS_AGE_MAX_S: Final = 600.0
"""After this long the keys are fetched anew, so that a withdrawn one goes."""

_log = logger(__name__)


class KeysUnavailableError(Exception):
    """The issuer's keys could not be had; it is not the token's fault."""


class KeySource(Protocol):
    """Where a JWKS comes from."""

    changes: bool
    """Whether loading again may give something else."""

    async def load(self) -> bytes:
        """The JWKS document. Raises ``KeysUnavailableError``."""
        ...


class FixedKeys:
    """A JWKS that is known from the start."""

    changes = False

    def __init__(self, jwks: str) -> None:
        self._jwks = jwks.encode()

    async def load(self) -> bytes:
        return self._jwks


class FileKeys:
    """A JWKS in a file, which a deployment may replace."""

    changes = True

    def __init__(self, path: Path) -> None:
        self._path = path

    async def load(self) -> bytes:
        return self._read()

    def _read(self) -> bytes:
        try:
            return self._path.read_bytes()
        except OSError as error:
            raise KeysUnavailableError(f"JWKS file {self._path} cannot be read") from error


class UrlKeys:
    """A JWKS that an OIDC issuer publishes."""

    changes = True

    def __init__(self, url: str) -> None:
        self._url = url

    async def load(self) -> bytes:
        try:
            async with httpx.AsyncClient(timeout=JWKS_FETCH_TIMEOUT_S) as client:
                response = await client.get(self._url)
        except httpx.HTTPError as error:
            raise KeysUnavailableError(f"JWKS {self._url} did not answer") from error
        if response.status_code != httpx.codes.OK:
            raise KeysUnavailableError(f"JWKS {self._url} answered {response.status_code}")
        return response.content


class Keys:
    """The usable keys of a source by key id, reloaded when one is unknown or all are old, and not more often."""

    def __init__(self, source: KeySource) -> None:
        self._source = source
        self._keys: dict[str, jwt.PyJWK] = {}
        self._tried_at_s: float | None = None
        self._loading = asyncio.Lock()
        self.generation = 0
        """Grows with each load: what was verified with earlier keys is to be verified again."""

    async def find(self, key_id: str) -> jwt.PyJWK | None:
        """The key of this id, if the issuer has it. Raises ``KeysUnavailableError`` if no keys were ever had."""
        if key_id not in self._keys:
            await self._load(JWKS_RELOAD_INTERVAL_S)
        return self._keys.get(key_id)

    async def refresh(self) -> None:
        """Loads the keys if there are none or they are old. Raises ``KeysUnavailableError`` if there are none."""
        await self._load(JWKS_AGE_MAX_S if self._keys else JWKS_RELOAD_INTERVAL_S)

    async def _load(self, interval_s: float) -> None:
        if self._keys and not self._source.changes:
            return
        async with self._loading:
            now_s = _loop_time_s()
            if self._tried_at_s is None or now_s >= self._tried_at_s + interval_s:
                self._tried_at_s = now_s
                await self._try_load()
        if not self._keys:
            raise KeysUnavailableError("no token keys yet")

    async def _try_load(self) -> None:
        try:
            self._keys = parse_jwks(await self._source.load())
            self.generation += 1
        except KeysUnavailableError as error:
            # With earlier keys at hand, tokens go on being verified; readiness and the log tell of it.
            _log.warning("token keys not reloaded", exc_info=error)


def _loop_time_s() -> float:
    return asyncio.get_running_loop().time()


def parse_jwks(document: bytes) -> dict[str, jwt.PyJWK]:
    """The keys of a JWKS that may verify tokens, by id. Raises ``KeysUnavailableError`` if it is none."""
    try:
        listed = json.loads(document)["keys"] if len(document) <= JWKS_BYTES_MAX else None
    except (ValueError, KeyError, TypeError) as error:
        raise KeysUnavailableError("not a JWKS document") from error
    if not isinstance(listed, list) or len(listed) > JWKS_KEYS_MAX:
        raise KeysUnavailableError("not a JWKS document, or too long a one")
    keys = [_usable(key) for key in listed]
    found = {str(key.key_id): key for key in keys if key is not None and key.key_id}
    if not found:
        raise KeysUnavailableError("the JWKS holds no usable key")
    return found


def _usable(key: Any) -> jwt.PyJWK | None:
    """The key if it is a public one for signatures by an algorithm of ours."""
    if not isinstance(key, dict) or key.get("use", "sig") != "sig" or "d" in key:
        return None
    try:
        parsed = jwt.PyJWK(key)
    except jwt.PyJWTError:
        return None
    if parsed.algorithm_name not in ALGORITHMS:
        return None
    weak = isinstance(parsed.key, RSAPublicKey) and parsed.key.key_size < RSA_KEY_BITS_MIN
    return None if weak else parsed
