"""Event streams through the gateway, on real processes: a ticket, what happens as it happens, and resuming."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest

from deploy.history.gateway_client import Gateway
from deploy.local.processes import Platform
from tests.support.town import HOUR, Town, now

STREAM = "/activities/v1/events"


@asynccontextmanager
async def listening(client: httpx.AsyncClient, **query: str) -> AsyncIterator[AsyncIterator[str]]:
    """The lines of a stream, as they come; each must come within the client's time limit."""
    async with client.stream("GET", STREAM, params=query) as answer:
        assert answer.status_code == 200, (await answer.aread())[:200]
        yield answer.aiter_lines()


async def next_changes(lines: AsyncIterator[str], wanted: int) -> list[tuple[str, str]]:
    """The next changes: cursor and event id."""
    found: list[tuple[str, str]] = []
    cursor = ""
    async for line in lines:
        if line.startswith("id: "):
            cursor = line[4:]
        elif line.startswith("data: {") and cursor:
            found.append((cursor, json.loads(line[6:])["id"]))
            if len(found) == wanted:
                return found
    raise AssertionError(f"the stream ended after {found}")


async def ticket(client: httpx.AsyncClient, gateway: Gateway) -> str:
    headers = {"Authorization": f"Bearer {gateway.tokens.of('integrator')}"}
    answer = await client.post("/activities/v1/event-tickets", headers=headers)
    assert answer.status_code == 201, answer.text
    given: str = answer.json()["ticket"]
    return given


async def test_a_browser_hears_of_what_happens_and_resumes_where_it_left_off(
    town: Town, gateway: Gateway, platform: Platform
) -> None:
    timeout = httpx.Timeout(30.0)
    async with httpx.AsyncClient(base_url=platform.gateway, timeout=timeout, trust_env=False) as client:
        async with listening(client, ticket=await ticket(client, gateway)) as lines:
            await town.publish("SE-events-1", now() + HOUR, now() + 2 * HOUR)
            heard = await next_changes(lines, 2)
        async with listening(client, ticket=await ticket(client, gateway), after=heard[0][0]) as lines:
            assert await next_changes(lines, 1) == heard[1:]
    page = await gateway.get("/activities/v1/changes", after=heard[0][0], limit=1)
    assert [event["id"] for event in page["items"]] == [heard[1][1]]


@pytest.mark.usefixtures("town")
async def test_a_process_with_listeners_stops_in_time_and_says_so(gateway: Gateway, platform: Platform) -> None:
    name = "activities-api"
    headers, timeout = {"Authorization": f"Bearer {gateway.tokens.of('integrator')}"}, httpx.Timeout(30.0)
    client = httpx.AsyncClient(base_url=platform.gateway, headers=headers, timeout=timeout, trust_env=False)
    async with client, listening(client) as lines:
        assert await anext(lines) == "retry: 3000"
        before = platform.log(name).read_text().count('"process stopped"')
        platform.stop_process(name)
        told = [line async for line in lines]
    assert told[-3:] == ["event: end", 'data: {"code":"stopping"}', ""]
    assert platform.log(name).read_text().count('"process stopped"') == before + 1, "not cut off by a deadline"
    platform.start_process(name)
    platform.wait_ready(name)
