"""Makes an authority and what it signs for brokers and databases: for trials; a city has its own authority."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import IPv4Address, ip_address
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

VALID: Final = timedelta(days=365)
CLOCKS_DIFFER: Final = timedelta(days=1)
"""How far the clock of whoever checks may be behind."""


@dataclass(frozen=True, slots=True)
class Authority:
    """Who signs: its key, and its certificate, which clients are given."""

    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate

    @classmethod
    def make(cls, now: datetime) -> "Authority":
        """A new one, valid for a year."""
        key = ec.generate_private_key(ec.SECP256R1())
        builder = _certificate("silver-service-authority", _name("silver-service-authority"), key.public_key(), now)
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        return cls(key, builder.sign(key, hashes.SHA256()))

    @property
    def pem(self) -> bytes:
        """The certificate."""
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    def server(self, name: str, hosts: Sequence[str], now: datetime) -> bytes:
        """A server's new key (PKCS 8) with its certificate for these hosts and the authority's behind it, in PEM."""
        key = ec.generate_private_key(ec.SECP256R1())
        names = x509.SubjectAlternativeName([_host(each) for each in hosts])
        builder = _certificate(name, self.certificate.subject, key.public_key(), now)
        signed = builder.add_extension(names, critical=False).sign(self.key, hashes.SHA256())
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return private + signed.public_bytes(serialization.Encoding.PEM) + self.pem


def _certificate(
    name: str, issuer: x509.Name, key: ec.EllipticCurvePublicKey, now: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(_name(name))
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - CLOCKS_DIFFER)
        .not_valid_after(now + VALID)
    )


def _host(text: str) -> x509.GeneralName:
    try:
        address = ip_address(text)
    except ValueError:
        return x509.DNSName(text)
    assert isinstance(address, IPv4Address)
    return x509.IPAddress(address)


def _name(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
