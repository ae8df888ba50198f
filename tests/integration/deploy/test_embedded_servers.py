"""The embedded broker and databases work as real ones, and keep what they acknowledged when they are killed."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from uuid import uuid4

import pytest
from kafka import KafkaConsumer, KafkaProducer
from kafka.admin import KafkaAdminClient, NewTopic
from kafka.errors import KafkaTimeoutError
from pymongo import MongoClient
from pymongo.read_concern import ReadConcern
from pymongo.write_concern import WriteConcern

from deploy.local.servers import SERVICES, Servers, embedded_servers

REQUEST_TIMEOUT_MS = 20_000
JOURNALLED = WriteConcern("majority", j=True)

Document = dict[str, object]


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """Servers of this file's own, whatever the environment names, for it kills them."""
    with embedded_servers(tmp_path_factory.mktemp("own"), environ={}) as servers:
        yield servers


def create_topic(bootstrap: str, topic: str) -> None:
    admin = KafkaAdminClient(bootstrap_servers=bootstrap)
    try:
        admin.create_topics([NewTopic(topic, num_partitions=1, replication_factor=1)])
    finally:
        admin.close()


def produce(bootstrap: str, topic: str, value: bytes) -> None:
    producer = KafkaProducer(bootstrap_servers=bootstrap, acks="all", enable_idempotence=True, compression_type="lz4")
    try:
        producer.send(topic, key=b"key", value=value).get(timeout=REQUEST_TIMEOUT_MS / 1000)
    finally:
        producer.close()


def consume(bootstrap: str, topic: str, count: int) -> list[bytes]:
    """Read the topic's first ``count`` values, or as many as come in time."""
    consumer = KafkaConsumer(
        topic, bootstrap_servers=bootstrap, auto_offset_reset="earliest", consumer_timeout_ms=REQUEST_TIMEOUT_MS
    )
    try:
        return [record.value for _, record in zip(range(count), consumer, strict=False)]
    finally:
        consumer.close()


def transfer(uri: str, minutes: int, *, commit: bool) -> None:
    """Write two documents in one transaction, and end it as told."""
    with MongoClient[Document](uri) as client:
        accounts = client.get_database("bank").accounts
        if "accounts" not in client.get_database("bank").list_collection_names():
            client.get_database("bank").create_collection("accounts")
        with client.start_session() as session:
            session.start_transaction(ReadConcern("snapshot"), JOURNALLED)
            accounts.update_one({"_id": "from"}, {"$inc": {"minutes": -minutes}}, upsert=True, session=session)
            accounts.update_one({"_id": "to"}, {"$inc": {"minutes": minutes}}, upsert=True, session=session)
            if commit:
                session.commit_transaction()
            else:
                session.abort_transaction()


def balances(uri: str) -> Mapping[object, object]:
    with MongoClient[Document](uri) as client:
        rows = client.get_database("bank").accounts.find()
        return {row["_id"]: row["minutes"] for row in rows}


def test_the_broker_keeps_what_it_acknowledged_when_it_is_killed(own: Servers) -> None:
    assert own.broker is not None
    topic = f"facts-{uuid4()}"
    create_topic(own.bootstrap, topic)
    produce(own.bootstrap, topic, b"before")
    own.broker.kill()
    assert not own.broker.is_running
    own.broker.start()
    produce(own.bootstrap, topic, b"after")
    assert consume(own.bootstrap, topic, count=2) == [b"before", b"after"]


def test_a_database_keeps_what_it_committed_when_it_is_killed(own: Servers) -> None:
    uri = own.mongodb_uris["hours"]
    transfer(uri, 30, commit=True)
    transfer(uri, 500, commit=False)
    own.databases["hours"].kill()
    assert not own.databases["hours"].is_running
    own.databases["hours"].start()
    assert balances(uri) == {"from": -30, "to": 30}


def test_each_service_has_a_database_of_its_own(own: Servers) -> None:
    assert set(own.mongodb_uris) == set(SERVICES)
    with MongoClient[Document](own.mongodb_uris["registry"]) as registry:
        registry.get_database("mine").things.insert_one({"_id": 1})
    with MongoClient[Document](own.mongodb_uris["assessment"]) as assessment:
        assert "mine" not in assessment.list_database_names()


def test_topics_are_only_created_on_purpose(own: Servers) -> None:
    admin = KafkaAdminClient(bootstrap_servers=own.bootstrap)
    try:
        before = set(admin.list_topics())
        with pytest.raises(KafkaTimeoutError):
            produce_soon(own.bootstrap, f"nobody-made-{uuid4()}")
        assert set(admin.list_topics()) == before
    finally:
        admin.close()


def produce_soon(bootstrap: str, topic: str) -> None:
    producer = KafkaProducer(bootstrap_servers=bootstrap, max_block_ms=1_000)
    try:
        producer.send(topic, value=b"lost").get(timeout=1)
    finally:
        producer.close(timeout=1)


def test_a_start_in_order_on_the_same_folder_keeps_everything(tmp_path: Path) -> None:
    with embedded_servers(tmp_path, environ={}) as first:
        create_topic(first.bootstrap, "facts")
        produce(first.bootstrap, "facts", b"kept")
        transfer(first.mongodb_uris["hours"], 45, commit=True)
    with embedded_servers(tmp_path, environ={}) as second:
        assert consume(second.bootstrap, "facts", count=1) == [b"kept"]
        assert balances(second.mongodb_uris["hours"]) == {"from": -45, "to": 45}


def test_servers_that_the_environment_names_replace_ours(own: Servers, tmp_path: Path) -> None:
    named = {"KAFKA_BOOTSTRAP_SERVERS": own.bootstrap, "MONGODB_URI": own.mongodb_uris["hours"]}
    with embedded_servers(tmp_path, environ=named) as servers:
        assert servers.broker is None
        assert servers.databases == {}
        assert servers.bootstrap == own.bootstrap
        assert servers.mongodb_uris == dict.fromkeys(SERVICES, own.mongodb_uris["hours"])
    assert list(tmp_path.iterdir()) == []
    assert own.broker is not None
    assert own.broker.is_running


def test_the_sessions_servers_answer(kafka_bootstrap: str, mongodb_uris: Mapping[str, str]) -> None:
    topic = f"facts-{uuid4()}"
    create_topic(kafka_bootstrap, topic)
    produce(kafka_bootstrap, topic, b"one")
    assert consume(kafka_bootstrap, topic, count=1) == [b"one"]
    for uri in mongodb_uris.values():
        with MongoClient[Document](uri) as client:
            assert client.admin.command("hello")["isWritablePrimary"]
