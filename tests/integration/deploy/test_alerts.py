"""promtool accepts the rules and their configuration, and every alert fires when it should."""

import shutil
import subprocess
from pathlib import Path

import pytest

from deploy.local.prometheus import programs
from tests.support.observability import PROMETHEUS


@pytest.fixture(scope="module")
def promtool() -> str:
    return programs()["promtool"]


def run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_configuration_and_the_rules_are_valid(promtool: str) -> None:
    done = run(promtool, "check", "config", str(PROMETHEUS / "prometheus.yml"))
    assert done.returncode == 0, done.stdout + done.stderr


def test_alerts_fire_when_they_should_with_these_words_and_not_otherwise(promtool: str) -> None:
    done = run(promtool, "test", "rules", *map(str, sorted((PROMETHEUS / "tests").glob("*.yml"))))
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("file", "right", "wrong"),
    [
        ("people", "parked_people) > 0", "parked_people) > 5"),
        ("flow", "outbox_oldest_seconds) > 60", "outbox_oldest_seconds) > 4"),
        ("processes", "for: 2m", "for: 0s"),
        ("safety", "最近一次完整备份已过去", "备份"),
    ],
)
def test_a_wrong_threshold_time_or_word_is_seen(
    promtool: str, tmp_path: Path, file: str, right: str, wrong: str
) -> None:
    shutil.copytree(PROMETHEUS, tmp_path / "prometheus")
    rules = tmp_path / "prometheus" / "rules" / f"{file}.yml"
    text = rules.read_text()
    assert right in text
    rules.write_text(text.replace(right, wrong))
    assert run(promtool, "test", "rules", str(tmp_path / "prometheus" / "tests" / f"{file}.yml")).returncode != 0
