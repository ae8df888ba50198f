"""Appends to Kafka through kafka-python's idempotent producer."""

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor  # noqa: TID251 - this adapter's one thread, for a blocking client
from dataclasses import dataclass
from typing import Any

from kafka import KafkaProducer
from kafka.errors import AuthorizationError, KafkaConfigurationError, KafkaError

from services.eventing.log_security import LogForbiddenError
from services.eventing.ports import LogError, Message

LINGER_MS = 20
BATCH_BYTES = 262_144
REQUEST_BYTES_MAX = 1_048_576
COMPRESSION = "lz4"
BOOTSTRAP_TIMEOUT_MS = 5_000
METADATA_TIMEOUT_MS = 5_000
REQUEST_TIMEOUT_MS = 10_000
ACKNOWLEDGED_S = 20.0
"""How long one wave may take, a broker's restart included."""
DELIVERY_TIMEOUT_MS = 30_000
"""Beyond ``ACKNOWLEDGED_S``: the client must never give up one batch by itself and go on with those behind it."""
CLOSE_S = 1.0
"""With the relay's own time to stop less than a process has for all of it."""


class KafkaLogWriter:
    """Keeps the port ``LogWriter``.

    ``bootstrap`` is ``host:port[,host:port]``; ``settings`` are kafka-python's own for security (``security_protocol``,
    ``sasl_mechanism``, ``ssl_cafile`` and so on). Connects with the first append.

    What the client calls idempotent keeps the order of what succeeds, but when a batch fails for good, the batches
    behind it are still sent, under a new producer epoch. So a key's message is handed over only when the one before it
    is acknowledged, and after any failure the producer is thrown away with all that it still held.
    """

    def __init__(self, bootstrap: str, *, client_id: str, settings: Mapping[str, object] | None = None) -> None:
        self._bootstrap = bootstrap
        self._client_id = client_id
        self._settings = dict(settings or {})
        self._producer: Any = None
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="kafka-writer")

    async def append(self, messages: Sequence[Message]) -> None:
        attempt = _Attempt(messages)
        loop = asyncio.get_running_loop()
        try:
            await loop.run_in_executor(self._thread, self._append, attempt)
        except asyncio.CancelledError:
            attempt.is_wanted = False
            self._force_close(self._producer)  # what it still holds must not be sent by somebody who lost the lease
            raise

    async def close(self) -> None:
        """Ends within ``CLOSE_S``; what is not acknowledged by then is not sent any more."""
        closing = asyncio.get_running_loop().run_in_executor(self._thread, self._abandon)
        self._force_close(self._producer)
        await asyncio.wait({closing}, timeout=CLOSE_S)
        self._thread.shutdown(wait=False, cancel_futures=True)

    # in the adapter's thread

    def _append(self, attempt: "_Attempt") -> None:
        try:
            if self._producer is None:
                self._producer = self._connect()
            for wave in waves(attempt.messages):
                self._append_wave(wave, attempt)
        except KafkaConfigurationError:
            raise  # no time heals that
        except AuthorizationError as error:
            self._abandon()
            raise LogForbiddenError(
                f"the brokers refuse to write for the user {self._settings.get('sasl_plain_username', '(none)')} "
                f"({type(error).__name__}): grant it with `python -m services.eventing.access_tool grant`"
            ) from error
        except (KafkaError, LogError, OSError) as error:
            self._abandon()
            raise LogError(f"not acknowledged: {type(error).__name__}") from error

    def _connect(self) -> Any:
        return KafkaProducer(
            bootstrap_servers=self._bootstrap.split(","),
            client_id=self._client_id,
            enable_idempotence=True,
            acks="all",
            linger_ms=LINGER_MS,
            batch_size=BATCH_BYTES,
            compression_type=COMPRESSION,
            max_request_size=REQUEST_BYTES_MAX,
            max_block_ms=METADATA_TIMEOUT_MS,
            request_timeout_ms=REQUEST_TIMEOUT_MS,
            delivery_timeout_ms=DELIVERY_TIMEOUT_MS,
            bootstrap_timeout_ms=BOOTSTRAP_TIMEOUT_MS,
            allow_auto_create_topics=False,
            metrics_enabled=False,
            **self._settings,
        )

    def _append_wave(self, wave: Sequence[Message], attempt: "_Attempt") -> None:
        futures = []
        for message in wave:
            if not attempt.is_wanted:
                raise LogError("nobody waits any more")
            headers = list(message.headers)
            futures.append(self._producer.send(message.topic, key=message.key, value=message.value, headers=headers))
        self._producer.flush(timeout=ACKNOWLEDGED_S)
        for future in futures:
            if not future.succeeded():
                raise future.exception or LogError("no answer")

    def _abandon(self) -> None:
        producer, self._producer = self._producer, None
        if producer is not None:
            self._force_close(producer)
            with contextlib.suppress(
                KafkaError
            ):  # it waits for what the force has just aborted; all is given up anyway
                producer.close(timeout=CLOSE_S)

    def _force_close(self, producer: Any) -> None:
        """Makes the client abort all that is not acknowledged, from any thread, without waiting."""
        if producer is not None:
            # close() alone waits for what is in flight and then raises without having closed anything.
            producer._sender.force_close()  # noqa: SLF001


@dataclass(slots=True)
class _Attempt:
    """One append; ``is_wanted`` ends when its caller was cancelled."""

    messages: Sequence[Message]
    is_wanted: bool = True


def waves(messages: Sequence[Message]) -> list[list[Message]]:
    """Cuts messages into waves that hold each topic and key once at most, in the given order."""
    cut: list[list[Message]] = []
    sent: dict[tuple[str, bytes], int] = {}
    for message in messages:
        before = sent.get((message.topic, message.key), 0)
        sent[message.topic, message.key] = before + 1
        if before == len(cut):
            cut.append([])
        cut[before].append(message)
    return cut
