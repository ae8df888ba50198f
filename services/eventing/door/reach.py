"""Finds a broker, and the topics as they must be, before a process begins; or says in one line what to do."""

import asyncio
import ssl
from collections.abc import Sequence
from typing import Final

from aiokafka.client import AIOKafkaClient, CoordinationType
from aiokafka.conn import create_conn
from aiokafka.errors import (
    GroupAuthorizationFailedError,
    KafkaError,
    SaslAuthenticationFailed,
    UnsupportedSaslMechanismError,
)

from services.contracts.topics import Topic
from services.eventing.log_security import LogForbiddenError, LogRefusedError, LogSecurity, LogUnreachableError

AGAIN_S: Final = 0.5
TIMEOUT_MS: Final = 2_000
CREATE: Final = "python -m services.eventing.topics_tool create"


async def reach(
    bootstrap: Sequence[str],
    security: LogSecurity,
    topics: Sequence[Topic],
    *,
    group: str | None,
    within_s: float,
    stop: asyncio.Event,
) -> bool:
    """Waits for a broker that is still starting, then looks at the topics and the group. False: asked to stop.

    Raises ``LogUnreachableError`` if none answers in time, ``LogForbiddenError`` at once if one does not take us, and
    ``LogRefusedError`` for topics that are still missing then or, at once, of another partition count.
    """
    give_up_at = asyncio.get_running_loop().time() + within_s
    while not stop.is_set():
        is_over = asyncio.get_running_loop().time() >= give_up_at
        try:
            partitions = await _partitions(bootstrap, security, group)
        except (KafkaError, OSError, TimeoutError) as error:
            await _refuse(bootstrap, security)
            if is_over:
                raise LogUnreachableError(_unreachable(bootstrap, security, within_s)) from error
        else:
            faults = [fault for topic in topics for fault in _faults(topic, partitions.get(topic.name), security)]
            if not faults:
                return True
            # A broker that has just started may not have heard of all topics yet; of another count it has.
            if is_over or any(
                topic.name in partitions and partitions[topic.name] != topic.partitions for topic in topics
            ):
                raise LogRefusedError("; ".join(faults))
        await asyncio.sleep(AGAIN_S)
    return False


async def _partitions(bootstrap: Sequence[str], security: LogSecurity, group: str | None) -> dict[str, int]:
    """The partition count of every topic that this user may see. Raises ``LogForbiddenError`` for another's group."""
    client = AIOKafkaClient(bootstrap_servers=list(bootstrap), request_timeout_ms=TIMEOUT_MS, **security.arguments())
    try:
        await client.bootstrap()
        if group is not None:
            await client.coordinator_lookup(CoordinationType.GROUP, group)
        found = await client.fetch_all_metadata()
        return {name: len(found.partitions_for_topic(name) or ()) for name in found.topics()}
    except GroupAuthorizationFailedError as error:
        raise LogForbiddenError(
            f"the user {security.username} may not read as the group {group}: check KAFKA_USERNAME, or grant it with "
            "`python -m services.eventing.access_tool grant`"
        ) from error
    finally:
        await client.close()


async def _refuse(bootstrap: Sequence[str], security: LogSecurity) -> None:
    """Asks each broker by itself why; the client above keeps that to itself. Raises ``LogForbiddenError`` if one says.

    A broker that does not answer says nothing.
    """
    for address in bootstrap:
        host, _, port = address.rpartition(":")
        try:
            connection = await create_conn(host, int(port), request_timeout_ms=TIMEOUT_MS, **security.arguments())
        except (SaslAuthenticationFailed, UnsupportedSaslMechanismError) as error:
            raise LogForbiddenError(
                f"the broker {address} refuses the user {security.username or '(none)'} with {security.mechanism}: "
                "check KAFKA_USERNAME, KAFKA_PASSWORD and KAFKA_SASL_MECHANISM, or give the user its password with "
                "`python -m services.eventing.access_tool grant`"
            ) from error
        except ssl.SSLCertVerificationError as error:
            raise LogForbiddenError(
                f"the certificate of the broker {address} is not to be trusted ({error.verify_message}): "
                "check KAFKA_CA_FILE and the name in KAFKA_BOOTSTRAP_SERVERS"
            ) from error
        except (KafkaError, OSError, TimeoutError, ValueError):
            continue
        connection.close()


def _unreachable(bootstrap: Sequence[str], security: LogSecurity, within_s: float) -> str:
    return (
        f"no broker answers at {','.join(bootstrap)} within {within_s:g} s: check KAFKA_BOOTSTRAP_SERVERS, that the "
        f"brokers run, and that they speak {security.protocol} there (KAFKA_SECURITY_PROTOCOL)"
    )


def _faults(topic: Topic, partitions: int | None, security: LogSecurity) -> Sequence[str]:
    if partitions is None:
        seen = f", or the user {security.username} may not use it" if security.username else ""
        return [f"the topic {topic.name} is missing{seen}: run `{CREATE}`"]
    if partitions != topic.partitions:
        told = (
            f"the topic {topic.name} has {partitions} partitions, not {topic.partitions}: partition counts never "
            "change; deploy the release that the topics were made for, or make a new generation of topics"
        )
        return [told]
    return []
