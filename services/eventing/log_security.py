"""Says how a client proves to the log who it is, in words that both client libraries take."""

import ssl
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

Protocol = Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]
Mechanism = Literal["SCRAM-SHA-256", "SCRAM-SHA-512"]

ENCRYPTED: Final = frozenset({"SSL", "SASL_SSL"})
NAMED: Final = frozenset({"SASL_PLAINTEXT", "SASL_SSL"})


class LogRefusedError(Exception):
    """The log is not there, not ours to use or not as it must be: no time but an operator mends it.

    The message says in one line what to do, and holds no secret.
    """


class LogUnreachableError(LogRefusedError):
    """No broker answers."""


class LogForbiddenError(LogRefusedError):
    """A broker answers, and does not take our name, our password or what we ask for."""


@dataclass(frozen=True, slots=True)
class LogSecurity:
    """How a client connects; ``ca_file`` holds the authorities it trusts instead of the system's own."""

    protocol: Protocol = "PLAINTEXT"
    mechanism: Mechanism = "SCRAM-SHA-512"
    username: str = ""
    password: str = field(default="", repr=False)
    ca_file: Path | None = None

    def __post_init__(self) -> None:
        if self.protocol in NAMED and not (self.username and self.password):
            raise ValueError(f"{self.protocol} needs KAFKA_USERNAME and KAFKA_PASSWORD")

    def arguments(self) -> dict[str, object]:
        """What the clients of kafka-python and aiokafka alike take.

        Raises ``OSError`` (``ssl.SSLError`` is one) if the authorities cannot be read.
        """
        return {"security_protocol": self.protocol, **self._encryption(), **self._name()}

    def _encryption(self) -> dict[str, object]:
        if self.protocol not in ENCRYPTED:
            return {}
        return {"ssl_context": ssl.create_default_context(cafile=self.ca_file)}

    def _name(self) -> dict[str, object]:
        if self.protocol not in NAMED:
            return {}
        return {
            "sasl_mechanism": self.mechanism,
            "sasl_plain_username": self.username,
            "sasl_plain_password": self.password,
        }
