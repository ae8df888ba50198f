"""Permissions at the log follow from the topics' declaration, and from nothing else."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from services.contracts.topics import Topic
from services.eventing.access_tool import USERS, AccessRefusedError, Grant, app, grant_access, grants, read_passwords

ENTRIES = Topic("hours.entries", "hours", "volunteer id", ("assessment",))


def of(user: str, topics: tuple[Topic, ...] = (ENTRIES,)) -> set[tuple[str, str, str]]:
    return {(each.kind, each.name, each.operation) for each in grants(topics) if each.user == user}


def test_an_owner_writes_and_reads_back_a_consumer_only_reads_and_nobody_else_does_anything() -> None:
    topic = "hours.entries"
    assert of("hours") == {("TOPIC", topic, "WRITE"), ("TOPIC", topic, "READ"), ("GROUP", "hours", "READ")}
    assert of("assessment") == {("TOPIC", topic, "READ"), ("GROUP", "assessment", "READ")}
    assert of("registry") == {("GROUP", "registry", "READ")}
    assert {operation for _, _, operation in of("monitor")} == {"DESCRIBE"}


def test_the_list_of_permissions_is_printed_as_it_is_given() -> None:
    printed = CliRunner().invoke(app, ["show"]).output.splitlines()
    assert "hours write topic hours.entries" in printed
    assert len(printed) == len(grants())
    assert Grant("registry", "TOPIC", "hours.entries", "WRITE") not in grants()


def test_a_missing_password_is_named_with_its_file(tmp_path: Path) -> None:
    for user in USERS[:-1]:
        (tmp_path / f"kafka_{user}_password").write_text("made-up-made-up-made-up\n")
    with pytest.raises(
        AccessRefusedError, match=r"kafka_monitor_password: No such file .* put the password of monitor"
    ):
        read_passwords(tmp_path)
    environment = {"KAFKA_BOOTSTRAP_SERVERS": "b:1", "KAFKA_PASSWORDS_DIR": str(tmp_path)}
    done = CliRunner().invoke(app, ["grant"], env=environment)
    assert (done.exit_code, len(done.output.splitlines())) == (78, 1)


def test_a_password_that_could_be_guessed_is_refused_before_anybody_is_asked() -> None:
    with pytest.raises(AccessRefusedError, match="the password of hours needs 16 characters"):
        grant_access("nobody:1", {"hours": "short"})
