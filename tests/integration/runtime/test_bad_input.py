"""Whatever keeps a process from starting is one line that says what to do, an exit code, and nothing half-started."""

import asyncio
import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from kafka.admin import KafkaAdminClient
from pymongo import MongoClient

from deploy.local.database import Database
from services.contracts.topics import Topic
from services.eventing.door.reach import reach
from services.eventing.log_security import LogRefusedError, LogSecurity
from services.eventing.topics_tool import KEPT_FOR_EVER, create_topics
from services.runtime.schema import SCHEMA, SCHEMA_ID, SCHEMA_VERSION
from tests.support.tokens import TEST_JWKS

NOTES = ["-m", "tests.support.notes_process"]
NOBODY = "127.0.0.1:1"
WITHIN_S = 40


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    server = Database("bad input", tmp_path_factory.mktemp("database"))
    server.start()
    yield server
    server.stop()


def environment(mongodb_uri: str, name: str, **more: str) -> dict[str, str]:
    return {
        "ENVIRONMENT": "development",
        "MONGODB_URI": mongodb_uri,
        "MONGODB_DATABASE": name,
        "KAFKA_BOOTSTRAP_SERVERS": NOBODY,
        "JWT_JWKS": TEST_JWKS,
        "HOST": "127.0.0.1",
        **{f"{kind}_PORT": "0" for kind in ("API", "PROCESSOR", "RELAY")},
        "STARTUP_WAIT_S": "0.5",
        **more,
    }


def ended(command: list[str], told: Mapping[str, str]) -> tuple[int, str]:
    """The exit code, and the advice of the only line that is ours."""
    done = subprocess.run(
        [sys.executable, *command],
        env={**os.environ, **told},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=WITHIN_S,
        check=False,
    )
    (line,) = [each for each in map(json.loads, done.stdout.splitlines()) if each["event"] != "library log"]
    assert (line["event"], line["exit_code"], line["level"]) == ("process cannot run", done.returncode, "error")
    assert "frames" not in line
    return done.returncode, line["advice"]


def collections(database: Database, name: str) -> set[str]:
    with MongoClient[dict[str, Any]](database.uri) as client:
        return set(client[name].list_collection_names())


@pytest.mark.parametrize("kind", ["api", "processor", "relay"])
def test_a_database_that_does_not_answer(kind: str, kafka_bootstrap: str) -> None:
    told = environment("mongodb://somebody:hunter2@127.0.0.1:1/", "away", KAFKA_BOOTSTRAP_SERVERS=kafka_bootstrap)
    code, advice = ended([*NOTES, kind], told)
    assert code == 69
    assert advice.startswith("no database answers at 127.0.0.1:1 (MONGODB_URI) within 0.5 s: check that")
    assert "hunter2" not in advice


@pytest.mark.parametrize("kind", ["processor", "relay"])
def test_a_broker_that_does_not_answer_and_nothing_is_made_in_the_database(kind: str, database: Database) -> None:
    code, advice = ended([*NOTES, kind], environment(database.uri, f"no_broker_{kind}"))
    assert code == 69
    assert advice.startswith(f"no broker answers at {NOBODY} within 0.5 s: check KAFKA_BOOTSTRAP_SERVERS")
    assert collections(database, f"no_broker_{kind}") == set()


@pytest.mark.parametrize("kind", ["api", "processor", "relay"])
def test_a_port_in_use_and_nothing_is_made_in_the_database(kind: str, database: Database) -> None:
    with closing(socket.socket()) as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        told = environment(database.uri, f"no_port_{kind}", **{f"{kind.upper()}_PORT": str(port)})
        code, advice = ended([*NOTES, kind], told)
    assert code == 69
    assert advice.startswith(f"port {port} of 127.0.0.1 is in use: set {kind.upper()}_PORT to a free one")
    assert collections(database, f"no_port_{kind}") == set()


def test_a_gateway_whose_port_is_in_use() -> None:
    with closing(socket.socket()) as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        told = {f"{name}_URL": "http://127.0.0.1:1" for name in ("REGISTRY", "ACTIVITIES", "HOURS", "ASSESSMENT")}
        told |= {"GATEWAY_HOST": "127.0.0.1", "GATEWAY_PORT": str(port)}
        code, advice = ended(["-m", "services.runtime.gateway"], told)
    assert (code, advice.partition(":")[0]) == (69, f"port {port} of 127.0.0.1 is in use")


@pytest.mark.parametrize(
    ("version", "said"),
    [
        (SCHEMA_VERSION - 1, "upgrade it as docs/deployment.md says"),
        (SCHEMA_VERSION + 1, "deploy the newer release that wrote it"),
    ],
)
def test_a_database_of_another_release_is_not_touched(version: int, said: str, database: Database) -> None:
    name = f"of_release_{version}"
    with MongoClient[dict[str, Any]](database.uri) as client:
        client[name][SCHEMA].insert_one({"_id": SCHEMA_ID, "version": version})
    code, advice = ended([*NOTES, "api"], environment(database.uri, name))
    assert code == 78
    assert advice == f"the database {name} has schema {version}, and this release needs {SCHEMA_VERSION}: {said}"
    assert collections(database, name) == {SCHEMA}


def test_an_index_of_an_older_release_is_named(database: Database) -> None:
    with MongoClient[dict[str, Any]](database.uri) as client:
        # As it is called now, on another field, as an older release might have had it.
        client["older_index"]["outbox"].create_index([("somewhere_else", 1)], name="streams")
    code, advice = ended([*NOTES, "api"], environment(database.uri, "older_index"))
    assert code == 78
    assert advice.startswith("the database older_index has an index of an older release")


@pytest.mark.parametrize("process", ["services.hours api", "services.registry relay", "services.runtime.gateway"])
def test_a_missing_secret_or_setting_is_one_line(process: str, tmp_path: Path) -> None:
    told = environment("mongodb://127.0.0.1:1/", "x", KAFKA_PASSWORD_FILE=str(tmp_path / "nothing"))
    done = subprocess.run(
        [sys.executable, "-m", *process.split()],
        env={**os.environ, **told},
        capture_output=True,
        text=True,
        check=False,
    )
    (line,) = done.stderr.splitlines()
    assert done.returncode == 78
    assert ": wrong setting: " in line
    assert ("KAFKA_PASSWORD_FILE: cannot be read: No such file or directory" in line) == ("gateway" not in process)


def test_topics_that_are_missing_or_of_another_partition_count(kafka_bootstrap: str) -> None:
    good, narrow, missing = (Topic(f"bad-input.{each}", "hours", "key", ()) for each in ("good", "narrow", "missing"))
    admin = KafkaAdminClient(bootstrap_servers=kafka_bootstrap)
    try:
        create_topics(kafka_bootstrap, topics=[good])
        asked = {"num_partitions": 3, "replication_factor": 1, "configs": KEPT_FOR_EVER}
        admin.create_topics({narrow.name: asked}, wait_for_metadata=True)

        async def look(*topics: Topic) -> bool:
            stop = asyncio.Event()
            return await reach([kafka_bootstrap], LogSecurity(), topics, group="x", within_s=10, stop=stop)

        assert asyncio.run(look(good))
        with pytest.raises(LogRefusedError) as refused:
            asyncio.run(look(good, narrow, missing))
    finally:
        admin.delete_topics([good.name, narrow.name])
        admin.close()
    assert str(refused.value) == (
        "the topic bad-input.narrow has 3 partitions, not 8: partition counts never change; deploy the release that "
        "the topics were made for, or make a new generation of topics; the topic bad-input.missing is missing: run "
        "`python -m services.eventing.topics_tool create`"
    )
