"""Issues tokens for development: a key of this machine, and the roles that people on the platform have."""

import hashlib
import json
import os
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from jwt.algorithms import OKPAlgorithm

from services.eventing.ports import Ids
from services.runtime.areas import OWN
from services.runtime.settings import DEVELOPMENT_AUDIENCE, DEVELOPMENT_ISSUER

KEY_FILE: Final = Path(".local/development-key.pem")
KEY_ID_CHARACTERS: Final = 16

_READS: Final = ("registry.read", "activities.read", "hours.read", "assessment.read")
_WRITES: Final = ("registry.write", "activities.write", "attendance.write")

ROLES: Final[dict[str, tuple[str, ...]]] = {
    "volunteer": ("activities.read", "attendance.write", "hours.read"),
    "leader": (
        "registry.read",
        "activities.read",
        "activities.write",
        "attendance.write",
        "stations.code",
        "hours.read",
    ),
    "clerk": (*_READS, *_WRITES, "attendance.back_office"),
    "second_clerk": (*_READS, *_WRITES, "attendance.back_office"),
    "county": (*_READS, "registry.write", "activities.write", "volunteers.reveal"),
    "city": (*_READS, "registry.write", "volunteers.reveal"),
    "province": ("activities.read", "hours.read", "assessment.read"),
    "integrator": (*_READS, "changes.read"),
    "operator": (*_READS, "changes.read", "operations.parking"),
    "second_operator": (*_READS, "changes.read", "operations.parking"),
    "loader": (
        *_READS,
        *_WRITES,
        "attendance.back_office",
        "stations.code",
        "volunteers.reveal",
        "changes.read",
    ),
}
"""What each development role may do. A real issuer grants scopes by its own rules."""
OWN_ROLES: Final = frozenset({"volunteer"})
"""Who acts for and reads of themselves only, whatever area is asked for."""


def development_key(path: Path) -> Ed25519PrivateKey:
    """This machine's development key; made on first use, readable by its owner only."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        _write_new(path, Ed25519PrivateKey.generate())
    key = serialization.load_pem_private_key(path.read_bytes(), password=None)
    assert isinstance(key, Ed25519PrivateKey), f"{path} is not a development key"
    return key


def _write_new(path: Path, key: Ed25519PrivateKey) -> None:
    """Writes the key unless another process was first: all of them then use that one."""
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    half_made = path.with_name(f"{path.name}.{os.getpid()}")
    half_made.touch(mode=0o600)
    half_made.write_bytes(pem)
    try:
        path.hardlink_to(half_made)
    except FileExistsError:
        pass
    finally:
        half_made.unlink()


def jwks_of(key: Ed25519PublicKey) -> str:
    """A JWKS of one public key, as an issuer would publish it."""
    jwk = OKPAlgorithm.to_jwk(key, as_dict=True)
    return json.dumps({"keys": [{**jwk, "kid": key_id(key), "use": "sig", "alg": "EdDSA"}]})


def key_id(key: Ed25519PublicKey) -> str:
    """The id of a key: the start of the SHA-256 of its public bytes."""
    return hashlib.sha256(key.public_bytes_raw()).hexdigest()[:KEY_ID_CHARACTERS]


def development_jwks(path: Path) -> str:
    """The JWKS of this machine's development key."""
    return jwks_of(development_key(path).public_key())


@dataclass(frozen=True, slots=True)
class Grant:
    """What a development token says: whose it is, what they may do and where, and for whom it is meant."""

    role: str
    area: str
    subject: str
    issuer: str = DEVELOPMENT_ISSUER
    audience: str = DEVELOPMENT_AUDIENCE
    lifetime: timedelta = timedelta(hours=12)


def issue(key: Ed25519PrivateKey, grant: Grant, *, now: datetime, ids: Ids) -> str:
    """The signed token of a grant."""
    claims = {
        "iss": grant.issuer,
        "aud": grant.audience,
        "sub": grant.subject,
        "azp": f"development-{grant.role}",
        "scope": " ".join(ROLES[grant.role]),
        "area": OWN if grant.role in OWN_ROLES else grant.area,
        "iat": int(now.timestamp()),
        "exp": int((now + grant.lifetime).timestamp()),
        "jti": ids.new(),
    }
    return jwt.encode(claims, key, algorithm="EdDSA", headers={"kid": key_id(key.public_key())})
