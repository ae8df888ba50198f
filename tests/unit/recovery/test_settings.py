"""Backups find each service's database as the service itself does."""

from pathlib import Path

import pytest

from services.recovery.settings import DatabaseMissingError, database_of


def test_a_services_own_address_goes_before_the_one_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MONGODB_URI", "mongodb://all")
    monkeypatch.setenv("HOURS_MONGODB_URI", "mongodb://own")
    monkeypatch.setenv("HOURS_MONGODB_DATABASE", "ledger")
    assert database_of("hours") == ("mongodb://own", "ledger")
    assert database_of("registry") == ("mongodb://all", "registry")


def test_an_address_may_lie_in_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "uri").write_text("mongodb://from-a-file\n")
    monkeypatch.delenv("MONGODB_URI", raising=False)
    monkeypatch.setenv("HOURS_MONGODB_URI_FILE", str(tmp_path / "uri"))
    assert database_of("hours") == ("mongodb://from-a-file", "hours")


def test_no_address_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MONGODB_URI", raising=False)
    with pytest.raises(DatabaseMissingError, match="set HOURS_MONGODB_URI or MONGODB_URI"):
        database_of("hours")


def test_a_wrong_address_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOURS_MONGODB_URI", "a-password")
    with pytest.raises(DatabaseMissingError, match="must begin with") as raised:
        database_of("hours")
    assert "a-password" not in str(raised.value)
