"""The deployment's broker and a database with users, both over TLS: who may, can; who may not, reads one line."""

import asyncio
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from kafka.admin import ACL, ACLOperation, ACLPermissionType, KafkaAdminClient, ResourcePattern, ResourceType

from services.contracts.ids import EventId
from services.contracts.registry import VOLUNTEERS
from services.contracts.topics import TOPICS, Topic
from services.eventing.access_tool import AccessRefusedError, grant_access, grants, present_grants, read_passwords
from services.eventing.facts import Fact
from services.eventing.log_security import LogForbiddenError
from services.eventing.outbox import OUTBOX, emit
from services.eventing.ports import Message, Transaction
from services.eventing.relay.kafka_writer import KafkaLogWriter
from services.eventing.topics_tool import create_topics
from services.registry.wiring import SERVICE
from services.runtime.ids import system_randomness
from services.runtime.mongo import MongoStore
from tests.support.notes import unit_registered
from tests.support.ports import START
from tests.support.secured_broker import SecuredBroker, another_authority, environment_of, secured_broker
from tests.support.secured_database import SecuredDatabase, secured_database
from tests.support.tokens import TEST_JWKS

UNIT = "340899"
WITHIN_S = 40.0


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecuredBroker]:
    with secured_broker(tmp_path_factory.mktemp("broker")) as started:
        admin = started.admin().arguments()
        create_topics(started.bootstrap, settings=admin)
        passwords = read_passwords(started.secrets)
        grant_access(started.bootstrap, passwords, settings=admin)
        for user, password in passwords.items():  # a broker hears of a new password a moment later
            wait_for(lambda: started.lets_in(user, password))  # noqa: B023 - called within the turn
        yield started


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecuredDatabase]:
    with secured_database(tmp_path_factory.mktemp("database") / "server") as started:
        yield started


def environment(broker: SecuredBroker, database: SecuredDatabase, user: str, **more: str) -> dict[str, str]:
    return {
        **environment_of(broker, user),
        "ENVIRONMENT": "development",
        "MONGODB_URI": database.uri(),
        "JWT_JWKS": TEST_JWKS,
        "HOST": "127.0.0.1",
        **{f"{kind}_PORT": "0" for kind in ("API", "PROCESSOR", "RELAY")},
        "STARTUP_WAIT_S": "1",
        **more,
    }


@contextmanager
def running(process: str, told: Mapping[str, str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    service, kind = process.split("-")
    with log.open("w") as out:
        command = [sys.executable, "-m", f"services.{service}", kind]
        started = subprocess.Popen(command, env={**os.environ, **told}, stdout=out, stderr=subprocess.STDOUT)
    try:
        yield started
    finally:
        started.kill()
        started.wait()


def lines(log: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.read_text().splitlines()]


def wait_for(look: Callable[[], bool], said: Callable[[], str] = str) -> None:
    give_up_at = time.monotonic() + WITHIN_S
    while not look():
        assert time.monotonic() < give_up_at, said()
        time.sleep(0.1)


def metric(log: Path, name: str) -> float:
    port = next((line["port"] for line in lines(log) if line["event"] == "listening"), None)
    if port is None:
        return 0
    text = httpx.get(f"http://127.0.0.1:{port}/metrics").text
    return sum(float(line.rpartition(" ")[2]) for line in text.splitlines() if line.startswith(name))


def refused(process: str, told: Mapping[str, str], log: Path) -> tuple[int, str]:
    """The exit code, and the only line that was written."""
    with running(process, told, log) as started:
        code = started.wait(timeout=WITHIN_S)
    (line,) = [each for each in lines(log) if each["event"] != "library log"]
    assert line["exit_code"] == code
    assert "made-up-for-a-test" not in log.read_text()
    return code, line["advice"]


def test_every_user_has_exactly_what_the_topics_declare(broker: SecuredBroker) -> None:
    settings = broker.admin().arguments()
    too_much = ResourcePattern(ResourceType.TOPIC, VOLUNTEERS)
    admin = KafkaAdminClient(bootstrap_servers=broker.bootstrap, **settings)
    admin.create_acls([ACL("User:hours", "*", ACLOperation.WRITE, ACLPermissionType.ALLOW, too_much)])
    admin.close()
    wait_for(lambda: len(present_grants(broker.bootstrap, settings)) == len(grants()) + 1)
    grant_access(broker.bootstrap, read_passwords(broker.secrets), settings=settings)
    wait_for(lambda: present_grants(broker.bootstrap, settings) == set(grants()))


def test_a_short_password_is_refused_before_anything_is_changed(broker: SecuredBroker) -> None:
    with pytest.raises(AccessRefusedError, match="the password of hours needs 16 characters"):
        grant_access(broker.bootstrap, {"hours": "short"}, settings=broker.admin().arguments())


def test_a_fact_goes_from_a_secured_database_through_a_secured_broker_to_another_service(
    broker: SecuredBroker, database: SecuredDatabase, tmp_path: Path
) -> None:
    async def announce() -> None:
        store = MongoStore.open(database.uri(), "registry", system_randomness())
        await store.prepare(SERVICE.all_collections(), SERVICE.all_indexes())

        async def work(tx: Transaction) -> None:
            await emit(tx, [Fact(EventId("E-1"), unit_registered(UNIT), START)], row_id="R-1", at=START)

        await store.transact(work)
        assert await store.find(OUTBOX, {}, limit=2)
        await store.close()

    asyncio.run(announce())
    relay, processor = tmp_path / "relay", tmp_path / "processor"
    with (
        running("registry-relay", environment(broker, database, "registry"), relay) as publishing,
        running("activities-processor", environment(broker, database, "activities"), processor) as applying,
    ):
        wait_for(lambda: metric(relay, "events_published_total") >= 1, relay.read_text)
        wait_for(
            lambda: metric(processor, "events_applied_total") + metric(processor, "events_ignored_total") >= 1,
            processor.read_text,
        )
        for each in (publishing, applying):
            each.send_signal(signal.SIGTERM)
            assert each.wait(timeout=10) == 0


@pytest.mark.parametrize("process", ["registry-relay", "activities-processor"])
def test_a_wrong_password_is_refused_with_a_line_that_names_the_user(
    broker: SecuredBroker, database: SecuredDatabase, tmp_path: Path, process: str
) -> None:
    wrong = tmp_path / "password"
    wrong.write_text("another-password-altogether")
    told = environment(broker, database, "registry", KAFKA_PASSWORD_FILE=str(wrong))
    code, advice = refused(process, told, tmp_path / "log")
    assert code == 77
    assert advice.startswith(f"the broker {broker.bootstrap} refuses the user registry with SCRAM-SHA-512: check ")
    assert "another-password-altogether" not in (tmp_path / "log").read_text()


def test_a_broker_that_another_authority_signed_for_is_not_trusted(
    broker: SecuredBroker, database: SecuredDatabase, tmp_path: Path
) -> None:
    told = environment(broker, database, "registry", KAFKA_CA_FILE=str(another_authority(tmp_path)))
    code, advice = refused("registry-relay", told, tmp_path / "log")
    assert code == 77
    assert f"the certificate of the broker {broker.bootstrap} is not to be trusted" in advice


def test_who_speaks_plainly_to_an_encrypted_broker_is_told_which_setting_to_check(
    broker: SecuredBroker, database: SecuredDatabase, tmp_path: Path
) -> None:
    told = environment(broker, database, "registry", KAFKA_SECURITY_PROTOCOL="PLAINTEXT")
    code, advice = refused("registry-relay", told, tmp_path / "log")
    assert code == 69
    assert "that they speak PLAINTEXT there (KAFKA_SECURITY_PROTOCOL)" in advice


async def test_a_user_without_the_permission_cannot_write(broker: SecuredBroker) -> None:
    security = broker.security("hours", broker.secret("kafka_hours_password"))
    writer = KafkaLogWriter(broker.bootstrap, client_id="test", settings=security.arguments())
    try:
        with pytest.raises(LogForbiddenError, match="refuse to write for the user hours"):
            await writer.append([Message(VOLUNTEERS, b"V-1", b"{}", ())])
        await writer.append([Message("hours.entries", b"V-1", b"{}", ())])
    finally:
        await writer.close()


async def test_what_nobody_declared_nobody_may_use(broker: SecuredBroker) -> None:
    undeclared = Topic("undeclared", "hours", "key", ())
    create_topics(broker.bootstrap, topics=[undeclared], settings=broker.admin().arguments())
    security = broker.security("hours", broker.secret("kafka_hours_password"))
    writer = KafkaLogWriter(broker.bootstrap, client_id="test", settings=security.arguments())
    try:
        with pytest.raises(LogForbiddenError):
            await writer.append([Message(undeclared.name, b"V-1", b"{}", ())])
    finally:
        await writer.close()


@pytest.mark.parametrize("listener", [0, 1])
def test_nobody_without_a_brokers_certificate_speaks_to_brokers_as_one(broker: SecuredBroker, listener: int) -> None:
    context = ssl.create_default_context(cafile=broker.ca_file)
    address = ("127.0.0.1", broker.among_brokers[listener])
    with (
        pytest.raises(ssl.SSLError, match=r"certificate_required|bad_certificate|CERTIFICATE"),
        socket.create_connection(address, 5) as plain,
        context.wrap_socket(plain, server_hostname="127.0.0.1") as encrypted,
    ):
        encrypted.recv(1)  # in TLS 1.3 the server's refusal comes with the first answer


def test_a_processor_of_another_services_user_does_not_begin(
    broker: SecuredBroker, database: SecuredDatabase, tmp_path: Path
) -> None:
    code, advice = refused("activities-processor", environment(broker, database, "hours"), tmp_path / "log")
    assert code == 77
    assert advice.startswith("the user hours may not read as the group activities: check KAFKA_USERNAME")


@pytest.mark.parametrize(
    ("uri", "code", "said"),
    [
        (lambda database: database.uri(password="wrong-password"), 77, "refuses the user or the password"),
        (
            lambda database: database.uri().replace("registry:made-up-for-a-test@", ""),
            77,
            "grant readWrite on registry",
        ),
        (lambda database: database.uri(tls=False), 69, "that both sides agree on TLS"),
    ],
)
def test_a_database_that_refuses_is_one_line(
    broker: SecuredBroker,
    database: SecuredDatabase,
    tmp_path: Path,
    uri: Callable[[SecuredDatabase], str],
    code: int,
    said: str,
) -> None:
    told = environment(broker, database, "registry", MONGODB_URI=uri(database))
    found, advice = refused("registry-api", told, tmp_path / "log")
    assert found == code
    assert said in advice
    assert "wrong-password" not in (tmp_path / "log").read_text()


def test_the_topics_of_the_deployment_are_made_through_its_own_door(broker: SecuredBroker) -> None:
    told = {**environment_of(broker, "admin"), "KAFKA_PASSWORDS_DIR": str(broker.secrets)}
    for arguments, said in (
        (["topics_tool", "create"], f"0 topics created, {len(TOPICS)} were there"),
        (["access_tool", "grant"], f"5 users have {len(grants())} permissions"),
    ):
        done = subprocess.run(
            [sys.executable, "-m", f"services.eventing.{arguments[0]}", arguments[1]],
            env=told,
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode, done.stdout.strip()) == (0, said), done.stderr
