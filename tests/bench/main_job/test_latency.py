"""Check-out to visible balance at a rate that two cores carry, against a Kafka round trip measured in the same run."""

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path

import aiohttp
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from deploy.history.gateway_client import Gateway, Tokens
from deploy.local.processes import Platform, running_platform
from deploy.local.servers import Servers, embedded_servers
from services.contracts.topics import TOPICS, Topic
from services.eventing.topics_tool import create_topics
from tests.support.figures import keep
from tests.support.town import ACCEPTED, HOUR, Town, kiosk_batch, now, until

PEOPLE = 1_000
A_SECOND = 25
"""Half the goal's rate: with its four stand-in databases a check-out takes some 45 to 70 ms of two shared cores."""
WATCHED_OF = 10
"""One check-out in so many is watched: to ask for all would load the machine more than what is measured."""
SESSION = "SE-latency"
P99_MAX_S = 2.0
"""Twice the goal, so that a noisy machine does not fail what a quiet one passes; the figure itself is kept."""
ROUND_TRIPS = 500
ROUND_TRIP_TOPIC = "bench.round-trips"


def quantiles(seconds: Sequence[float]) -> dict[str, float]:
    """Milliseconds at the median and the 99th percentile."""
    ordered = sorted(seconds)
    at = {
        name: ordered[min(len(ordered) - 1, int(len(ordered) * share))] for name, share in (("p50", 0.5), ("p99", 0.99))
    }
    return {f"{name}_ms": round(value * 1_000, 1) for name, value in at.items()} | {"count": len(ordered)}


async def round_trips(bootstrap: str) -> list[float]:
    """Seconds from sending a record to having it, one at a time, at the same rate."""
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all", enable_idempotence=True)
    consumer = AIOKafkaConsumer(ROUND_TRIP_TOPIC, bootstrap_servers=bootstrap, auto_offset_reset="earliest")
    await producer.start()
    await producer.send_and_wait(ROUND_TRIP_TOPIC, b"first")
    await consumer.start()
    await consumer.getone()
    took = []
    for _ in range(ROUND_TRIPS):
        began = time.perf_counter()
        await producer.send_and_wait(ROUND_TRIP_TOPIC, bytes(266))
        await consumer.getone()
        took.append(time.perf_counter() - began)
        await asyncio.sleep(max(0.0, 1 / A_SECOND - took[-1]))
    await producer.stop()
    await consumer.stop()
    return took


async def check_outs(town: Town) -> tuple[list[float], list[float]]:
    """Seconds from sending a check-out to its answer, and to the balance that the API shows."""
    answered: list[float] = []
    visible: list[float] = []

    async def check_out(client: aiohttp.ClientSession, number: str, volunteer: str, *, is_watched: bool) -> None:
        sent = time.perf_counter()
        body = {"volunteer_id": volunteer, "proof": {"method": "personal_card", "card": number}}
        path, headers = f"/activities/v1/sessions/{SESSION}/check-outs", {"idempotency-key": f"out {number}"}
        async with client.post(path, json=body, headers=headers) as answer:
            assert answer.status in ACCEPTED, await answer.text()
        answered.append(time.perf_counter() - sent)
        if is_watched:
            await until(lambda: town.account(number), lambda seen: bool(seen["entries"]))
            visible.append(time.perf_counter() - sent)

    # Not the town's client: httpx takes quadratic time when many requests wait.
    authorized = {"authorization": f"Bearer {town.gateway.tokens.of('loader')}"}
    async with aiohttp.ClientSession(town.gateway.address, headers=authorized) as client:
        began, going = time.perf_counter(), []
        for place, (number, volunteer) in enumerate(town.volunteers.items()):
            await asyncio.sleep(max(0.0, began + place / A_SECOND - time.perf_counter()))
            going.append(asyncio.create_task(check_out(client, number, volunteer, is_watched=place % WATCHED_OF == 0)))
        await asyncio.gather(*going)
    return answered, visible


async def measure(servers: Servers, platform: Platform) -> dict[str, object]:
    """Everybody checks in by kiosk, then out one by one."""
    async with Gateway(platform.gateway, Tokens(platform.data_dir / "development-key.pem")) as gateway:
        town = await Town(gateway).found(people=PEOPLE)
        await town.publish(SESSION, now() - HOUR, now() + HOUR, capacity=PEOPLE)
        numbers = list(town.volunteers)
        for first in range(0, PEOPLE, 500):
            came = now() - HOUR / 2
            rows = [(SESSION, number, "check_in", came) for number in numbers[first : first + 500]]

            async def send(content: bytes = kiosk_batch(rows)) -> int:
                receipt = (await gateway.post("/activities/v1/batches", content=content)).json()
                return int(receipt.get("accepted", 0))

            assert await until(send, bool) == len(rows)
        last = await until(lambda: town.account(numbers[-1]), lambda seen: bool(seen and seen["pending"]))
        assert last["minutes"] == 0
        answered, visible = await check_outs(town)
    trips = quantiles(await round_trips(servers.bootstrap))
    seen = quantiles(visible)
    return {
        "check_outs_a_second": A_SECOND,
        "check_out_to_answer": quantiles(answered),
        "check_out_to_visible_balance": seen,
        "kafka_round_trip": trips,
        "ratios": {name: round(seen[name] / trips[name], 1) for name in ("p50_ms", "p99_ms")},
    }


def test_check_out_to_visible_balance(tmp_path: Path) -> None:
    # Servers of its own: the session's topics may hold what another bench has announced.
    with embedded_servers(tmp_path / "servers", environ={}) as servers:
        create_topics(servers.bootstrap, topics=(*TOPICS, Topic(ROUND_TRIP_TOPIC, "hours", "none", (), 1)))
        with running_platform(tmp_path / "platform", servers) as platform:
            figures = asyncio.run(measure(servers, platform))
    keep("latency", "make bench", figures)
    seen = figures["check_out_to_visible_balance"]
    assert isinstance(seen, dict)
    assert seen["p99_ms"] <= P99_MAX_S * 1_000
