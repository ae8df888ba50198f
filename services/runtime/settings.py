"""Declares the settings that all services share, typed; each service subclasses them."""

import sys
from pathlib import Path
from typing import Annotated, ClassVar, Final, Literal, NoReturn, Self, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    model_validator,
)
from pydantic_settings import BaseSettings, EnvSettingsSource, NoDecode, PydanticBaseSettingsSource, SettingsConfigDict

from services.eventing.log_security import LogSecurity, Mechanism, Protocol
from services.runtime.secret_files import SecretFileError, SecretFileSource

EXIT_WRONG_SETTINGS: Final = 78
"""The process's exit code when a setting is missing or wrong (sysexits.h EX_CONFIG)."""
DEVELOPMENT_ISSUER: Final = "urn:silver-service:development"
DEVELOPMENT_AUDIENCE: Final = "silver-service"
PROCESSOR_LINGER_MS_MAX: Final = 2_000
MEBIBYTE: Final = 1024 * 1024

S = TypeVar("S", bound=BaseSettings)


def _split(value: object) -> object:
    return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value


def _mongodb_uri(value: SecretStr) -> SecretStr:
    if not value.get_secret_value().startswith(("mongodb://", "mongodb+srv://")):
        raise ValueError("must begin with mongodb:// or mongodb+srv://")
    return value


def _addresses(value: tuple[str, ...]) -> tuple[str, ...]:
    for address in value:
        host, _, port = address.rpartition(":")
        if not host or not port.isdecimal() or not 0 < int(port) < 1 << 16:
            raise ValueError("must be like host:port,host:port")
    return value


CommaSeparated = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)]
"""``a,b`` in the environment."""
MongoUri = Annotated[SecretStr, AfterValidator(_mongodb_uri)]
TracesRatio = Annotated[float, Field(ge=0, le=1)]
TracesUrl = Annotated[str | None, Field(pattern=r"^https?://")]
"""An OTLP collector's, like ``http://collector:4318/v1/traces``; none: no traces are recorded, at no cost."""
Port = Annotated[int, Field(ge=0, le=65535)]
"""0: any free one; the process logs which."""


class HttpSettings(BaseModel):
    """What an API needs to be told; a plain model, so that a simulation can make one without an environment.

    Exactly one source of token keys is set: a JWKS itself, a file of it, its URL, or the development key.
    """

    model_config = ConfigDict(frozen=True)

    environment: Literal["development", "production"] = "production"
    """`development` lets in development tokens and a simulated clock; `production` refuses both."""
    body_bytes_max: Annotated[int, Field(ge=1)] = MEBIBYTE
    """The largest request body that is read."""
    requests_per_s: Annotated[int, Field(ge=0)] = 0
    """What one caller (a client, for one person) may ask a second, on average; 0 is no limit."""
    traces_ratio: TracesRatio = 0.01
    """The share of traces beginning here that is recorded, if ``TRACES_URL`` is set; others decide for their own."""
    cors_origins: CommaSeparated = ()
    """The front ends' origins, `https://a,https://b`, whose pages a browser lets ask."""
    jwt_issuer: str = DEVELOPMENT_ISSUER
    """Who must have issued a token (`iss`)."""
    jwt_audience: str = DEVELOPMENT_AUDIENCE
    """Whom a token must be for (`aud`)."""
    jwt_jwks: str | None = None
    """The issuer's public keys themselves."""
    jwt_jwks_file: Path | None = None
    """A file of them."""
    jwt_jwks_url: str | None = None
    """Where the issuer publishes them; https in production."""
    jwt_development_key_file: Path | None = None
    """The private key that `make token` signs with; development only."""
    deployment_area: Annotated[str, Field(pattern=r"^([0-9]{2}|[0-9]{4}|[0-9]{6})$")] = "3408"
    """The area that everything in this deployment lies in; who reads all changes must cover it."""

    @model_validator(mode="after")
    def check_keys(self) -> Self:
        """Refuses no or several sources of keys, and what only development may have."""
        sources = (self.jwt_jwks, self.jwt_jwks_file, self.jwt_jwks_url, self.jwt_development_key_file)
        if sum(source is not None for source in sources) != 1:
            raise ValueError("set one of JWT_JWKS, JWT_JWKS_FILE, JWT_JWKS_URL, JWT_DEVELOPMENT_KEY_FILE")
        if self.environment == "production":
            _refuse(self.jwt_development_key_file is not None, "JWT_DEVELOPMENT_KEY_FILE is for development only")
            _refuse(self.jwt_issuer == DEVELOPMENT_ISSUER, "JWT_ISSUER must name the issuer in production")
            _refuse("*" in self.cors_origins, "CORS_ORIGINS must name its origins in production")
            _refuse(
                self.jwt_jwks_url is not None and not self.jwt_jwks_url.startswith("https://"),
                "JWT_JWKS_URL must begin with https:// in production",
            )
        return self


class KafkaSettings(BaseSettings):
    """Where the brokers are, and who we are to them."""

    kafka_bootstrap_servers: Annotated[CommaSeparated, Field(min_length=1), AfterValidator(_addresses)]
    """Some of the brokers, `host:port,host:port`; the others are learnt from them."""
    kafka_security_protocol: Protocol = "PLAINTEXT"
    """How the brokers are spoken to; ``SASL_SSL`` (name, password, encrypted) is what a deployment uses."""
    kafka_sasl_mechanism: Mechanism = "SCRAM-SHA-512"
    """How the password is proved without being sent."""
    kafka_username: str = ""
    """The service's own user: what it may read and write is granted to that name."""
    kafka_password: SecretStr = SecretStr("")
    """Of that user."""
    kafka_ca_file: Path | None = None
    """Certificates (PEM) of the authorities that sign the brokers'; left out, the system's own."""

    @model_validator(mode="after")
    def check_security(self) -> Self:
        """Refuses a protocol without the name, password or authorities that it needs."""
        try:
            self.kafka_security.arguments()
        except OSError as error:
            raise ValueError(f"KAFKA_CA_FILE: cannot be read as certificates: {error.strerror}") from None
        return self

    @property
    def kafka_security(self) -> LogSecurity:
        """How to prove to the brokers who we are."""
        return LogSecurity(
            self.kafka_security_protocol,
            self.kafka_sasl_mechanism,
            self.kafka_username,
            self.kafka_password.get_secret_value(),
            self.kafka_ca_file,
        )


def own_then_shared(
    settings_cls: type[BaseSettings],
    prefix: str,
    given: PydanticBaseSettingsSource,
    environment: PydanticBaseSettingsSource,
) -> tuple[PydanticBaseSettingsSource, ...]:
    """What is given, then the variables and files whose names begin with ``prefix``, then those for all."""
    own = EnvSettingsSource(settings_cls, env_prefix=prefix), SecretFileSource(settings_cls, prefix)
    return given, *own, environment, SecretFileSource(settings_cls)


class ServiceSettings(HttpSettings, KafkaSettings):
    """Every setting of a service's three processes; ``HOURS_X`` overrides ``X`` for the service hours.

    A secret may be given as a file instead: ``X_FILE`` names it.
    """

    model_config = SettingsConfigDict(frozen=True, extra="ignore")

    SERVICE: ClassVar[str]

    mongodb_uri: MongoUri
    """The replica set, with user, password and TLS options where it asks for them."""
    mongodb_database: str = ""
    """Empty: the service's name."""
    startup_wait_s: Annotated[float, Field(ge=0, le=600)] = 30.0
    """How long a process waits for a broker or a database that is still starting."""
    requests_per_s: Annotated[int, Field(ge=0)] = 50
    traces_url: TracesUrl = None
    """Where recorded traces are sent (OTLP over HTTP); none: nowhere."""
    host: str = "0.0.0.0"  # noqa: S104 - a container's only network; a laptop's run says 127.0.0.1
    """The address that a process listens on."""
    api_port: Port = 8000
    """Of the api's HTTP."""
    processor_port: Port = 8000
    """Of the processor's health and metrics."""
    relay_port: Port = 8000
    """Of the relay's health and metrics."""
    mongodb_ids_per_query: Annotated[int, Field(ge=1, le=1_000)] = 250
    """The most that one query asks for by id. The development stand-in takes quadratic time: there it is smaller."""
    processor_linger_ms: Annotated[int, Field(ge=0, le=PROCESSOR_LINGER_MS_MAX)] = 50
    """At a trickle, how long a processor's batch waits for more: less is sooner, more costs less per event."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """The least that is logged."""
    development_clock_file: Path | None = None
    """Simulated business time, shared by all processes; development only."""

    @model_validator(mode="after")
    def check_clock(self) -> Self:
        """Refuses simulated time where people live in real time."""
        _refuse(
            self.environment == "production" and self.development_clock_file is not None,
            "DEVELOPMENT_CLOCK_FILE is for development only",
        )
        return self

    @property
    def database(self) -> str:
        """The name of the service's own database."""
        return self.mongodb_database or self.SERVICE.lower()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - pydantic-settings' signature
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """What is given, then the service's own variable, then the one for all."""
        return own_then_shared(settings_cls, f"{cls.SERVICE}_", init_settings, env_settings)


def load(settings: type[S], name: str) -> S:
    """The settings from the environment. If one is wrong: one line on stderr, without its value, and exit 78."""
    try:
        return settings()
    except ValidationError as error:
        wrong = "; ".join(_line(problem["loc"], problem["msg"]) for problem in error.errors(include_input=False))
        _exit_wrong(name, wrong)
    except SecretFileError as error:
        _exit_wrong(name, str(error))


def _exit_wrong(name: str, wrong: str) -> NoReturn:
    sys.stderr.write(f"{name}: wrong setting: {wrong}\n")
    sys.stderr.flush()
    raise SystemExit(EXIT_WRONG_SETTINGS)


def _line(location: tuple[int | str, ...], message: str) -> str:
    name = f"{str(location[0]).upper()}: " if location else ""
    return name + message.removeprefix("Value error, ")


def _refuse(wrong: bool, message: str) -> None:  # noqa: FBT001 - reads as a sentence
    if wrong:
        raise ValueError(message)
