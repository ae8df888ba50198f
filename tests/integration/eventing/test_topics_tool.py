"""The topic tool against a real broker."""

from collections.abc import Iterator
from typing import Any

import pytest
from kafka.admin import KafkaAdminClient

from services.contracts.topics import PARTITIONS, Topic
from services.eventing.topics_tool import KEPT_FOR_EVER, TopicsRefusedError, check_topics, create_topics

PREFIX = "topics-tool-test."


def topic(name: str) -> Topic:
    return Topic(f"{PREFIX}{name}", "hours", "key", ("hours",))


@pytest.fixture
def admin(kafka_bootstrap: str) -> Iterator[Any]:
    client = KafkaAdminClient(bootstrap_servers=kafka_bootstrap)
    yield client
    ours = [each for each in client.list_topics() if each.startswith(PREFIX)]
    if ours:
        client.delete_topics(ours)
    client.close()


def test_missing_topics_are_named_then_created_once_with_the_right_shape(kafka_bootstrap: str, admin: Any) -> None:
    topics = [topic("a"), topic("b")]
    with pytest.raises(TopicsRefusedError, match=r"a is missing.*b is missing"):
        check_topics(kafka_bootstrap, topics=topics)
    assert create_topics(kafka_bootstrap, topics=topics) == [each.name for each in topics]
    check_topics(kafka_bootstrap, topics=topics)
    assert create_topics(kafka_bootstrap, topics=topics) == []
    described = admin.describe_topics([each.name for each in topics])
    assert [len(each["partitions"]) for each in described] == [PARTITIONS, PARTITIONS]


def test_a_topic_with_other_partitions_is_refused_before_anything_is_created(kafka_bootstrap: str, admin: Any) -> None:
    wrong, new = topic("wrong"), topic("new")
    asked = {"num_partitions": 3, "replication_factor": 1, "configs": KEPT_FOR_EVER}
    admin.create_topics({wrong.name: asked}, wait_for_metadata=True)
    with pytest.raises(TopicsRefusedError, match=f"wrong has 3 partitions, not {PARTITIONS}"):
        create_topics(kafka_bootstrap, topics=[new, wrong])
    assert new.name not in admin.list_topics()


def test_a_topic_that_forgets_is_refused(kafka_bootstrap: str, admin: Any) -> None:
    forgets = topic("forgets")
    settings = {**KEPT_FOR_EVER, "retention.ms": "1000"}
    asked = {"num_partitions": PARTITIONS, "replication_factor": 1, "configs": settings}
    admin.create_topics({forgets.name: asked}, wait_for_metadata=True)
    with pytest.raises(TopicsRefusedError, match=r"retention\.ms=1000"):
        check_topics(kafka_bootstrap, topics=[forgets])
