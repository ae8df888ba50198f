"""Trial secrets are made once, are all there, and fit each other."""

from pathlib import Path

from cryptography import x509
from typer import Typer
from typer.testing import CliRunner

from deploy.trial_secrets import hosts_of, main, secret_names, write_secrets
from services.contracts.topics import SERVICES
from services.runtime.vault import parse_master_key


def test_what_is_there_stays_and_what_is_missing_is_made(tmp_path: Path) -> None:
    folder = tmp_path / "secrets"
    made = write_secrets(folder, "mongodb-1:27017")
    assert set(made) == set(secret_names()) == {path.name for path in folder.iterdir()}
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    (folder / "kafka_hours_password").unlink()
    assert write_secrets(folder, "mongodb-1:27017") == ["kafka_hours_password"]
    after = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert {name for name in before if before[name] != after[name]} == {"kafka_hours_password"}
    assert len(set(after.values())) == len(after)


def test_certificates_are_made_together_because_one_authority_signs_them(tmp_path: Path) -> None:
    write_secrets(tmp_path, "mongodb-1:27017")
    (tmp_path / "mongodb_certificate").unlink()
    assert set(write_secrets(tmp_path, "x:1")) == {"authority", "kafka_certificate", "mongodb_certificate"}
    authority = x509.load_pem_x509_certificate((tmp_path / "authority").read_bytes())
    for name in ("kafka", "mongodb"):
        certificate, above = x509.load_pem_x509_certificates((tmp_path / f"{name}_certificate").read_bytes())
        certificate.verify_directly_issued_by(authority)
        assert above == authority
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        assert {f"{name}-1", f"{name}-3", f"{name}-0.{name}", f"{name}-2.{name}"} <= set(
            names.get_values_for_type(x509.DNSName)
        )
        assert len(hosts_of(name)) == len(names)


def test_an_address_holds_the_password_that_the_user_is_given(tmp_path: Path) -> None:
    write_secrets(tmp_path, "mongodb-1:27017,mongodb-2:27017")
    for service in SERVICES:
        password = (tmp_path / f"mongodb_{service}_password").read_text()
        uri = (tmp_path / f"mongodb_uri_{service}").read_text()
        assert uri.startswith(f"mongodb://{service}:{password}@mongodb-1:27017,mongodb-2:27017/{service}?")
    assert parse_master_key((tmp_path / "registry_vault_master_key").read_text())


def test_the_command_says_what_it_made(tmp_path: Path) -> None:
    app = Typer()
    app.command()(main)
    done = CliRunner().invoke(app, ["--into", str(tmp_path / "secrets")])
    assert done.output.strip() == f"{len(secret_names())} secrets made in {tmp_path / 'secrets'}, 0 were there"
