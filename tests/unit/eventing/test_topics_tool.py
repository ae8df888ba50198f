"""The topic tool names what is wrong with a cluster's topics."""

import re
from pathlib import Path

import pytest
from kafka.errors import KafkaTimeoutError
from typer.testing import CliRunner

from services.contracts.topics import TOPICS, Topic
from services.eventing import topics_tool
from services.eventing.topics_tool import KEPT_FOR_EVER, FoundTopic, TopicsRefusedError, faults_of

ENTRIES = Topic("hours.entries", "hours", "volunteer id", ("hours",), partitions=8)
AS_WANTED = FoundTopic(8, KEPT_FOR_EVER)


def test_topics_as_wanted_have_no_fault_and_others_do_not_matter() -> None:
    assert faults_of({"hours.entries": AS_WANTED, "strange": FoundTopic(1, {})}, [ENTRIES]) == []


@pytest.mark.parametrize(
    ("found", "fault"),
    [
        ({}, r"hours.entries is missing"),
        ({"hours.entries": FoundTopic(12, KEPT_FOR_EVER)}, r"has 12 partitions, not 8"),
        ({"hours.entries": FoundTopic(8, {**KEPT_FOR_EVER, "retention.ms": "604800000"})}, r"retention.ms=604800000"),
        ({"hours.entries": FoundTopic(8, {**KEPT_FOR_EVER, "cleanup.policy": "compact"})}, r"cleanup.policy=compact"),
        ({"hours.entries": FoundTopic(8, {})}, r"retention.bytes=None"),
    ],
)
def test_a_topic_that_would_lose_order_or_facts_is_named(found: dict[str, FoundTopic], fault: str) -> None:
    faults = faults_of(found, [ENTRIES])
    assert any(re.search(fault, each) for each in faults), faults


@pytest.mark.parametrize(
    ("raised", "exit_code", "said"),
    [
        (None, 0, f"{len(TOPICS)} topics are as they must be"),
        (TopicsRefusedError(["one is missing", "two is odd"]), 1, "one is missing\ntwo is odd"),
        (KafkaTimeoutError("nobody there"), 75, "does not answer"),
    ],
)
def test_the_command_says_it_in_lines_and_an_exit_code(
    raised: Exception | None, exit_code: int, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[object] = []

    def check_topics(bootstrap: str, *, settings: object) -> None:
        asked.append((bootstrap, settings))
        if raised is not None:
            raise raised

    monkeypatch.setattr(topics_tool, "check_topics", check_topics)
    done = CliRunner().invoke(topics_tool.app, ["check", "--bootstrap", "somewhere:9092"])
    assert done.exit_code == exit_code
    assert said in done.output
    assert asked == [("somewhere:9092", {"security_protocol": "PLAINTEXT"})]


def test_the_way_in_comes_from_the_variables_that_processes_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[dict[str, object]] = []
    monkeypatch.setattr(topics_tool, "check_topics", lambda bootstrap, *, settings: asked.append(settings))
    password = tmp_path / "password"
    password.write_text("made up\n")
    environment = {
        "KAFKA_BOOTSTRAP_SERVERS": "b:1",
        "KAFKA_SECURITY_PROTOCOL": "SASL_PLAINTEXT",
        "KAFKA_USERNAME": "admin",
        "KAFKA_PASSWORD_FILE": str(password),
    }
    done = CliRunner().invoke(topics_tool.app, ["check"], env=environment)
    assert done.exit_code == 0, done.output
    assert asked == [
        {
            "security_protocol": "SASL_PLAINTEXT",
            "sasl_mechanism": "SCRAM-SHA-512",
            "sasl_plain_username": "admin",
            "sasl_plain_password": "made up",
        }
    ]


def test_a_way_in_that_lacks_a_password_is_one_line_and_a_wrong_setting() -> None:
    environment = {"KAFKA_BOOTSTRAP_SERVERS": "b:1", "KAFKA_SECURITY_PROTOCOL": "SASL_SSL", "KAFKA_USERNAME": "admin"}
    done = CliRunner().invoke(topics_tool.app, ["check"], env=environment)
    assert (done.exit_code, done.output.splitlines()) == (78, ["SASL_SSL needs KAFKA_USERNAME and KAFKA_PASSWORD"])
