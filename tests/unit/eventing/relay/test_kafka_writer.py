"""The Kafka writer never hands over a key's message before the one in front of it is acknowledged."""

import asyncio
from collections.abc import Callable
from queue import Queue
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kafka.errors import KafkaConfigurationError, KafkaTimeoutError

from services.eventing.ports import LogError, Message
from services.eventing.relay import kafka_writer
from services.eventing.relay.kafka_writer import KafkaLogWriter, waves


def message(key: str, value: str = "", topic: str = "t") -> Message:
    return Message(topic, key.encode(), value.encode(), (("ce_id", value.encode()),))


MESSAGES = st.lists(st.builds(message, st.sampled_from("abc"), st.text(max_size=3), st.sampled_from("tu")), max_size=30)


@given(MESSAGES)
def test_a_wave_holds_a_key_once_and_waves_keep_each_keys_order(messages: list[Message]) -> None:
    cut = waves(messages)
    for wave in cut:
        streams = [(each.topic, each.key) for each in wave]
        assert len(streams) == len(set(streams))
    for stream in {(each.topic, each.key) for each in messages}:
        given_order = [each for each in messages if (each.topic, each.key) == stream]
        assert [each for wave in cut for each in wave if (each.topic, each.key) == stream] == given_order


def test_messages_of_different_keys_make_one_wave() -> None:
    assert len(waves([message(str(key)) for key in range(500)])) == 1


class FakeFuture:
    """What a send returns; done when the producer is flushed."""

    def __init__(self) -> None:
        self.exception: Exception | None = None
        self.done = False

    def succeeded(self) -> bool:
        return self.done and self.exception is None


class FakeProducer:
    """Fails what the test says and appends everything else, as Kafka's does under a new epoch after a failed batch."""

    def __init__(self, factory: "Factory", **settings: Any) -> None:
        self.settings = settings
        self.log: list[bytes] = []
        self.is_closed = False
        self._sender = self
        self._factory = factory
        self._waiting: list[tuple[FakeFuture, bytes]] = []

    def send(self, topic: str, *, key: bytes, value: bytes, headers: list[tuple[str, bytes]]) -> FakeFuture:
        assert not self.is_closed
        future = FakeFuture()
        self._waiting.append((future, value))
        return future

    def flush(self, timeout: float) -> None:
        for future, value in self._waiting:
            future.done = True
            if self._factory.fails(value):
                future.exception = KafkaTimeoutError("no answer")
            else:
                self.log.append(value)
        self._waiting.clear()

    def force_close(self) -> None:
        self.is_closed = True

    def close(self, timeout: float) -> None:
        self.is_closed = True


class Factory:
    """Makes the producers and keeps them for the test to look at."""

    def __init__(self) -> None:
        self.made: list[FakeProducer] = []
        self.fails: Callable[[bytes], bool] = lambda _: False
        self.refuses: Exception | None = None
        self.connects: Callable[[], None] = lambda: None

    def __call__(self, **settings: Any) -> FakeProducer:
        self.connects()
        if self.refuses is not None:
            raise self.refuses
        self.made.append(FakeProducer(self, **settings))
        return self.made[-1]


@pytest.fixture
def factory(monkeypatch: pytest.MonkeyPatch) -> Factory:
    made = Factory()
    monkeypatch.setattr(kafka_writer, "KafkaProducer", made)
    return made


async def test_a_failed_message_is_not_overtaken_by_the_next_of_its_key(factory: Factory) -> None:
    factory.fails = lambda value: value == b"k2"
    writer = KafkaLogWriter("b:1", client_id="test")
    messages = [message("k", "k1"), message("k", "k2"), message("k", "k3"), message("l", "l1")]
    with pytest.raises(LogError):
        await writer.append(messages)
    assert factory.made[0].log == [b"k1", b"l1"]
    await writer.close()


async def test_after_a_failure_the_producer_is_thrown_away(factory: Factory) -> None:
    factory.fails = lambda value: value == b"1"
    writer = KafkaLogWriter("b:1", client_id="test")
    with pytest.raises(LogError):
        await writer.append([message("k", "1")])
    assert factory.made[0].is_closed
    factory.fails = lambda _: False
    await writer.append([message("k", "1")])
    assert factory.made[1].log == [b"1"]
    await writer.close()
    assert factory.made[1].is_closed


async def test_a_broker_that_cannot_be_reached_is_a_log_error(factory: Factory) -> None:
    factory.refuses = KafkaTimeoutError("nobody there")
    writer = KafkaLogWriter("b:1", client_id="test")
    with pytest.raises(LogError, match="KafkaTimeoutError"):
        await writer.append([message("k")])
    await writer.close()


async def test_settings_that_can_never_work_stop_the_process(factory: Factory) -> None:
    factory.refuses = KafkaConfigurationError("acks=1")
    writer = KafkaLogWriter("b:1", client_id="test")
    with pytest.raises(KafkaConfigurationError):
        await writer.append([message("k")])
    await writer.close()


async def test_the_producer_is_set_to_lose_nothing_and_security_is_passed_on(factory: Factory) -> None:
    writer = KafkaLogWriter("b:1,c:2", client_id="test", settings={"security_protocol": "SASL_SSL"})
    await writer.append([message("k")])
    settings = factory.made[0].settings
    assert settings["bootstrap_servers"] == ["b:1", "c:2"]
    assert settings["enable_idempotence"] is True
    assert settings["acks"] == "all"
    assert settings["linger_ms"] == 20
    assert settings["batch_size"] == 256 * 1024
    assert settings["compression_type"] == "lz4"
    assert settings["security_protocol"] == "SASL_SSL"
    assert "partitioner" not in settings
    await writer.close()


async def test_what_nobody_waits_for_any_more_is_not_sent(factory: Factory) -> None:
    writer = KafkaLogWriter("b:1", client_id="test")
    loop = asyncio.get_running_loop()
    sent = asyncio.Event()
    go_on = Queue[None]()

    def hang(value: bytes) -> bool:
        loop.call_soon_threadsafe(sent.set)
        go_on.get()
        return False

    factory.fails = hang
    appending = asyncio.create_task(writer.append([message("k", "1"), message("k", "2")]))
    await sent.wait()
    appending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await appending
    assert factory.made[0].is_closed
    go_on.put(None)
    await writer.close()
    assert factory.made[0].log == [b"1"]


async def test_an_append_that_is_cancelled_while_it_connects_sends_nothing(factory: Factory) -> None:
    writer = KafkaLogWriter("b:1", client_id="test")
    loop = asyncio.get_running_loop()
    connecting = asyncio.Event()
    go_on = Queue[None]()

    def hang() -> None:
        loop.call_soon_threadsafe(connecting.set)
        go_on.get()

    factory.connects = hang
    appending = asyncio.create_task(writer.append([message("k", "1")]))
    await connecting.wait()
    appending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await appending
    go_on.put(None)
    factory.connects = lambda: None
    await writer.append([message("k", "2")])
    assert [value for producer in factory.made for value in producer.log] == [b"2"]
    await writer.close()
