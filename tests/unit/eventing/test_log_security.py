"""A client's way into the log has what its protocol needs, or is refused, and does not show its password."""

import ssl
from pathlib import Path

import pytest

from deploy.certificates import Authority
from services.eventing.log_security import LogSecurity, Protocol
from tests.support.ports import START


def authority(folder: Path) -> Path:
    path = folder / "authority"
    path.write_bytes(Authority.make(START).pem)
    return path


def test_plain_text_needs_nothing() -> None:
    assert LogSecurity().arguments() == {"security_protocol": "PLAINTEXT"}


def test_a_name_over_tls_gives_both_libraries_what_they_take(tmp_path: Path) -> None:
    arguments = LogSecurity("SASL_SSL", "SCRAM-SHA-256", "hours", "made up", authority(tmp_path)).arguments()
    context = arguments.pop("ssl_context")
    assert isinstance(context, ssl.SSLContext)
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)
    assert len(context.get_ca_certs()) == 1
    assert arguments == {
        "security_protocol": "SASL_SSL",
        "sasl_mechanism": "SCRAM-SHA-256",
        "sasl_plain_username": "hours",
        "sasl_plain_password": "made up",
    }


@pytest.mark.parametrize("protocol", ["SASL_SSL", "SASL_PLAINTEXT"])
@pytest.mark.parametrize(("username", "password"), [("", "made up"), ("hours", "")])
def test_a_protocol_with_names_needs_both(protocol: Protocol, username: str, password: str) -> None:
    with pytest.raises(ValueError, match="needs KAFKA_USERNAME and KAFKA_PASSWORD"):
        LogSecurity(protocol, "SCRAM-SHA-512", username, password)


def test_authorities_that_are_none_are_refused(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file"):
        LogSecurity("SSL", ca_file=tmp_path / "nothing").arguments()
    (tmp_path / "empty").touch()
    with pytest.raises(ssl.SSLError):
        LogSecurity("SSL", ca_file=tmp_path / "empty").arguments()


def test_the_password_is_not_shown() -> None:
    assert "made up" not in repr(LogSecurity("SASL_PLAINTEXT", "SCRAM-SHA-512", "hours", "made up"))
