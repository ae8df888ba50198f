"""What is personal stays in registry: no topic, log line, metric or refusal of the running platform shows it."""

import json
from collections.abc import Iterator
from http import HTTPStatus

import httpx
import pytest
from bson.raw_bson import RawBSONDocument
from kafka import KafkaConsumer, TopicPartition
from pymongo import MongoClient

from deploy.history.gateway_client import Gateway
from deploy.local.processes import PROCESSES, Platform
from deploy.local.servers import Servers
from services.contracts.topics import SERVICES, TOPICS
from tests.support.town import CSV, VOLUNTEER_COLUMNS, Town, identity_number, volunteer_row

POLL_MS = 2_000
PERSONAL = (
    "甄安",
    "甄康",
    "甄宁",
    "甄和",
    "甄平",
    "晚晴路",
    identity_number("1946-03-02", 2),
    "15400000001",
    "1946-03-02",
)
"""Names, address, citizen id number, mobile and birth date of the town's people."""


def shown(text: str) -> list[str]:
    """The personal values in a text, plain or as JSON escapes them."""
    return [value for value in PERSONAL if value in text or json.dumps(value)[1:-1] in text]


def records(bootstrap: str) -> Iterator[tuple[str, str]]:
    """Every record of every topic: its topic, and key, headers and value as text."""
    consumer = KafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False)
    partitions = [TopicPartition(topic.name, number) for topic in TOPICS for number in range(topic.partitions)]
    consumer.assign(partitions)
    consumer.seek_to_beginning(*partitions)
    ends = consumer.end_offsets(partitions)
    while any(consumer.position(partition) < end for partition, end in ends.items()):
        for partition, batch in consumer.poll(timeout_ms=POLL_MS).items():
            for record in batch:
                text = (record.key or b"") + (record.value or b"") + b"".join(value for _, value in record.headers)
                yield partition.topic, text.decode(errors="replace")
    consumer.close()


@pytest.mark.usefixtures("town")
def test_no_topic_holds_a_personal_value(platform: Platform, servers: Servers) -> None:
    assert platform.gateway
    seen = list(records(servers.bootstrap))
    assert {topic for topic, _ in seen} >= {"registry.volunteers", "registry.organisations"}
    assert [(topic, shown(text)) for topic, text in seen if shown(text)] == []


async def test_no_log_and_no_metric_holds_a_personal_value(town: Town, platform: Platform, gateway: Gateway) -> None:
    broken = volunteer_row(1).replace("居民身份证", "没有的证件")
    text = f"{VOLUNTEER_COLUMNS}\n{broken}".encode()
    answer = await gateway.post("/registry/v1/imports/volunteers", key="broken", content=text, content_type=CSV)
    assert answer.json()["errors"]
    assert shown(answer.text) == []
    answer = await town.post("/registry/v1/volunteers", {"name": PERSONAL[0], "number": 5}, key="wrong")
    assert answer.status_code == 422
    assert shown(answer.text) == []
    for name in PROCESSES:
        assert shown(platform.log(name).read_text(errors="replace")) == [], name
        assert shown(platform.metrics(name)) == [], name


@pytest.mark.usefixtures("town")
def test_no_database_holds_a_personal_value_in_clear(platform: Platform, servers: Servers) -> None:
    assert platform.gateway
    read = 0
    for service in SERVICES:
        with MongoClient[RawBSONDocument](servers.mongodb_uris[service], document_class=RawBSONDocument) as client:
            database = client[service]
            for collection in database.list_collection_names():
                for document in database[collection].find():
                    read += 1
                    assert shown(bytes(document.raw).decode(errors="replace")) == [], f"{service}.{collection}"
    assert read > len(PERSONAL), "nothing was looked at"


@pytest.mark.usefixtures("town")
async def test_what_is_asked_with_a_personal_value_is_answered_and_logged_without_it(
    platform: Platform, gateway: Gateway
) -> None:
    name, citizen, phone = PERSONAL[0], PERSONAL[6], PERSONAL[7]
    token = gateway.tokens.of("loader")
    headers = {
        "Authorization": f"Bearer {token}",
        "Idempotency-Key": phone,
        "traceparent": f"00-{phone}-{citizen}-01",
        "User-Agent": citizen,
        "X-Request-Id": phone,
        "Origin": f"https://{phone}.example",
        "Content-Type": "application/json",
    }
    async with httpx.AsyncClient(base_url=platform.gateway, headers=headers) as client:
        for service in SERVICES:
            for path in (
                f"/v1/volunteers/{citizen}",
                f"/v1/{name}",
                f"/v1/accounts?unit={phone}",
                f"/v1/changes?after={name}",
            ):
                answer = await client.get(f"/{service}{path}")
                assert answer.status_code >= HTTPStatus.BAD_REQUEST
                assert shown(answer.text + str(answer.headers)) == [], path
            answer = await client.post(f"/{service}/v1/volunteers", json={name: citizen, "unit": [phone]})
            assert shown(answer.text + str(answer.headers)) == []
        answer = await client.get("/registry/v1/units", headers={"Authorization": f"Bearer {citizen}.{phone}.x"})
        assert answer.status_code == HTTPStatus.UNAUTHORIZED
        assert shown(answer.text + str(answer.headers)) == []
    for log in (platform.data_dir / "logs").iterdir():
        assert shown(log.read_text(errors="replace")) == [], log.name
    for process in PROCESSES:
        assert shown(platform.metrics(process)) == [], process


async def test_people_are_masked_unless_revealed_with_a_reason(town: Town, gateway: Gateway) -> None:
    path = f"/registry/v1/volunteers/{town.volunteers['340802000001']}"
    masked = json.dumps(await gateway.get(path), ensure_ascii=False)
    assert shown(masked) == []
    revealed = json.dumps(await gateway.get(path, reveal="true", reason="identity_check"), ensure_ascii=False)
    assert len(shown(revealed)) >= 3
