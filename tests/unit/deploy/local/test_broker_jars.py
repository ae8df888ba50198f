"""The broker runs from exactly the jars whose hashes are committed."""

import hashlib
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from deploy.local import broker_jars
from deploy.local.broker_jars import HASHES, POM, WrongJars, are_right, kafka_version, read_hashes

GOOD = b"a jar"
LINE = f"{hashlib.sha256(GOOD).hexdigest()}  kafka_2.13-4.3.1.jar\n"


def put(folder: Path, name: str = "kafka_2.13-4.3.1.jar", data: bytes = GOOD) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(data)
    return folder


def test_the_committed_hashes_are_of_the_version_that_the_pom_names() -> None:
    pom = ET.fromstring(POM.read_text())  # noqa: S314 -- our own file
    namespace = {"m": "http://maven.apache.org/POM/4.0.0"}
    versions = {
        dependency.findtext("m:artifactId", "", namespace): dependency.findtext("m:version", "", namespace)
        for dependency in pom.iterfind("m:dependencies/m:dependency", namespace)
    }
    hashes = read_hashes(HASHES.read_text())
    assert kafka_version(hashes) == versions["kafka_2.13"]
    assert f"slf4j-simple-{versions['slf4j-simple']}.jar" in hashes


def test_the_same_jars_are_right(tmp_path: Path) -> None:
    assert are_right(put(tmp_path), read_hashes(LINE))


@pytest.mark.parametrize("data", [b"another jar", b""])
def test_a_changed_jar_is_noticed(tmp_path: Path, data: bytes) -> None:
    assert not are_right(put(tmp_path, data=data), read_hashes(LINE))


def test_a_jar_too_many_is_noticed(tmp_path: Path) -> None:
    put(tmp_path)
    assert not are_right(put(tmp_path, name="other-1.jar"), read_hashes(LINE))


def test_a_missing_jar_is_noticed(tmp_path: Path) -> None:
    assert not are_right(tmp_path, read_hashes(LINE))


@pytest.fixture
def user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user with an empty cache, whose committed hashes name one jar."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    hashes = tmp_path / "jars.sha256"
    hashes.write_text(LINE)
    monkeypatch.setattr(broker_jars, "HASHES", hashes)
    return tmp_path


def test_jars_are_fetched_once_and_again_when_they_were_changed(user: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fetched: list[Path] = []
    monkeypatch.setattr(broker_jars, "_fetch", lambda into: fetched.append(put(into)))
    first = broker_jars.broker_jars()
    assert broker_jars.broker_jars() == first == user / "cache" / "silver-service" / "kafka-4.3.1"
    assert len(fetched) == 1
    put(first, data=b"changed")
    broker_jars.broker_jars()
    assert len(fetched) == 2
    assert are_right(first, read_hashes(LINE))


def test_jars_that_differ_from_the_committed_hashes_are_refused(user: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(broker_jars, "_fetch", lambda into: put(into, data=b"changed"))
    with pytest.raises(WrongJars):
        broker_jars.broker_jars()
    assert list((user / "cache" / "silver-service").glob("kafka-*")) == []
