"""A start waits for what may still come, and does not wait for what cannot."""

import asyncio
from collections.abc import Mapping, Sequence

import pytest
from aiokafka.errors import KafkaConnectionError

from services.contracts.topics import Topic
from services.eventing.door import reach as module
from services.eventing.door.reach import reach
from services.eventing.log_security import LogRefusedError, LogSecurity, LogUnreachableError

ENTRIES = Topic("hours.entries", "hours", "volunteer id", ("hours",), partitions=8)
AWAY = KafkaConnectionError("away")
WITHIN_S = 0.05


class Cluster:
    """Answers one after the other; the last again and again."""

    def __init__(self, *answers: Mapping[str, int] | Exception) -> None:
        self.answers = list(answers)
        self.asked = 0

    async def partitions(self, bootstrap: Sequence[str], security: LogSecurity, group: str | None) -> Mapping[str, int]:
        self.asked += 1
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


async def reached(monkeypatch: pytest.MonkeyPatch, cluster: Cluster, within_s: float = WITHIN_S) -> bool:
    monkeypatch.setattr(module, "_partitions", cluster.partitions)
    monkeypatch.setattr(module, "_refuse", nobody_refuses)
    monkeypatch.setattr(module, "AGAIN_S", 0.01)
    stop = asyncio.Event()
    return await reach(["kafka:9092"], LogSecurity(), [ENTRIES], group="hours", within_s=within_s, stop=stop)


async def nobody_refuses(bootstrap: Sequence[str], security: LogSecurity) -> None:
    """Nobody says why."""


async def test_a_broker_that_is_starting_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = Cluster(AWAY, AWAY, {"hours.entries": 8})
    assert await reached(monkeypatch, cluster, 60)
    assert cluster.asked == 3


async def test_a_broker_that_has_not_heard_of_a_topic_yet_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    assert await reached(monkeypatch, Cluster({}, {"hours.entries": 8}), 60)


async def test_a_broker_that_stays_away_is_told_with_what_to_check(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(LogUnreachableError, match=r"no broker answers at kafka:9092 within 0\.05 s: check KAFKA_BOOT"):
        await reached(monkeypatch, Cluster(AWAY))


async def test_a_topic_that_stays_missing_is_told_with_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(
        LogRefusedError, match=r"hours\.entries is missing: run `python -m services\.eventing\.topics_tool"
    ):
        await reached(monkeypatch, Cluster({}))


async def test_another_partition_count_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = Cluster({"hours.entries": 12})
    with pytest.raises(LogRefusedError, match="has 12 partitions, not 8"):
        await reached(monkeypatch, cluster, 60)
    assert cluster.asked == 1


async def test_who_is_asked_to_stop_does_not_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    stop = asyncio.Event()
    stop.set()
    assert not await reach(["kafka:9092"], LogSecurity(), [ENTRIES], group=None, within_s=60, stop=stop)
