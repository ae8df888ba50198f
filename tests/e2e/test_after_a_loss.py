"""Every database is destroyed and brought back: same balances, chains hold, an erased person stays erased."""

import asyncio
import os
import shutil
import subprocess
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import httpx
import pytest
from pymongo import MongoClient

from deploy.history.gateway_client import Gateway
from deploy.local.processes import KINDS, Platform
from deploy.local.server_process import free_ports
from deploy.local.servers import SERVICES
from tests.support.documented_commands import Operator, commands_of
from tests.support.town import HOUR, Town, kiosk_batch, now, until

T = TypeVar("T")
BEFORE, AFTER, ERASED = "340802000003", "340802000004", "340802000006"
NAMES = [f"{service}-{kind}" for service in SERVICES for kind in KINDS]
METRIC_WITHIN_S = 90.0
STARTED_WITHIN_S = 240.0
AT_ONCE = 4


@pytest.fixture
def operator(platform: Platform, tmp_path: Path) -> Operator:
    """Somebody with the platform's environment and two folders for backups."""
    folders = {"BACKUP_DIR": str(tmp_path / "data"), "BACKUP_KEYS_DIR": str(tmp_path / "keys"), "HOST": "127.0.0.1"}
    return Operator({**os.environ, **platform.environ, **folders})


async def served(town: Town, gateway: Gateway, number: str, session: str, *, hours_ago: int = 2) -> Any:
    """A volunteer serves half an hour; the account once it is credited."""
    started = now() - hours_ago * HOUR
    before = await town.account(number)
    entries = before["entries"] if before is not None else 0
    await town.publish(session, started, started + 2 * HOUR)
    rows = [(session, number, "check_in", started + HOUR / 2), (session, number, "check_out", started + HOUR)]

    async def send() -> Any:
        # A batch of other bytes every time: activities may not have heard of the volunteer yet.
        batch = kiosk_batch(rows, f"KIOSK-{asyncio.get_running_loop().time()}")
        return (await gateway.post("/activities/v1/batches", content=batch)).json()

    await until(send, lambda answer: "accepted" in answer and not answer["refused"])
    return await until(lambda: town.account(number), lambda seen: bool(seen and seen["entries"] > entries))


async def changes_of(gateway: Gateway, service: str) -> list[str]:
    """The ids of all that a service has announced."""
    seen: list[str] = []
    after: dict[str, str | int] = {}
    while True:
        page = await gateway.get(f"/{service}/v1/changes", limit=200, **after)
        seen += [event["id"] for event in page["items"]]
        if not page["items"]:
            return seen
        after = {"after": page["next"]}


@asynccontextmanager
async def started(operator: Operator, line: str, log: Path, variable: str) -> AsyncIterator[str]:
    """A process of a page, for as long as the context lasts; gives the address of its metrics."""
    (port,) = free_ports(1)
    process: subprocess.Popen[bytes] = operator.start(line, log, **{variable: str(port)})
    try:
        yield f"http://127.0.0.1:{port}/metrics"
    finally:
        process.terminate()
        assert await asyncio.get_running_loop().run_in_executor(None, process.wait, 20) == 0, log.read_text()


async def told(address: str, line: str) -> None:
    """Waits until a process's metrics hold a line that begins so."""

    async def read() -> str:
        try:
            async with httpx.AsyncClient(trust_env=False) as client:
                return (await client.get(address)).text
        except httpx.HTTPError:
            return ""

    await until(read, lambda text: f"\n{line}" in text, within_s=METRIC_WITHIN_S)


def each(work: Callable[[str], T], names: Sequence[str]) -> list[T]:
    """Does something for each, some at the same time: most of it is waiting."""
    with ThreadPoolExecutor(AT_ONCE) as some:
        return list(some.map(work, names))


def database(platform: Platform, service: str) -> MongoClient[dict[str, Any]]:
    return MongoClient[dict[str, Any]](platform.environ[f"{service.upper()}_MONGODB_URI"])


def erase(operator: Operator, keys: Path, volunteer: str) -> None:
    """Erases a person; then somebody brings back a copy of the keys from before."""
    shutil.copytree(keys / "registry", keys.parent / "old copy")
    said = operator.ran('python -m services.recovery erase "$VOLUNTEER"', VOLUNTEER=volunteer)
    assert said == "1 key destroyed in the database, 1 in backups\n"
    shutil.rmtree(keys / "registry")
    (keys.parent / "old copy").rename(keys / "registry")


@pytest.mark.timeout(600)  # half a minute on a quiet machine; it waits for twelve processes to start
async def test_a_destroyed_platform_comes_back(
    platform: Platform, town: Town, gateway: Gateway, operator: Operator, tmp_path: Path
) -> None:
    await served(town, gateway, BEFORE, "SE-restore-1")
    async with started(operator, "python -m services.recovery run", tmp_path / "run.log", "BACKUP_PORT") as address:
        for service in SERVICES:
            await told(address, f'backup_last_success_timestamp_seconds{{service="{service}"}}')
    await served(town, gateway, AFTER, "SE-restore-2")  # only the topics hold this
    person = f"/registry/v1/volunteers/{town.volunteers[ERASED]}"
    erase(operator, tmp_path / "keys", town.volunteers[ERASED])
    accounts = {number: await town.account(number) for number in (BEFORE, AFTER)}
    refused = operator.run("python -m services.hours restore", "--replace")
    assert (refused.returncode, refused.stderr.count("\n")) == (1, 1), refused.stderr
    assert "stop its api, processor and relay" in refused.stderr
    each(platform.stop_process, NAMES)
    with database(platform, "hours") as client:
        announced = {event["id"] for row in client["hours"]["outbox"].find() for event in row["events"]}
    for service in SERVICES:
        with database(platform, service) as client:
            client.drop_database(service)
    operator.ran("python -m services.recovery verify --service hours")
    restored = each(operator.ran, [f"python -m services.{service} restore" for service in SERVICES])
    for service, said in zip(SERVICES, restored, strict=True):
        assert said.endswith(f"{service} may be started\n")
        assert ("1 keys of erased people left out" in said) == (service == "registry"), said
    each(platform.start_process, NAMES)
    platform.wait_ready(within_s=STARTED_WITHIN_S)
    for number, before in accounts.items():
        assert await until(partial(town.account, number), bool) == before
        assert (await gateway.get(f"/hours/v1/accounts/{town.volunteers[number]}/verification"))["holds"]
    changes = await until(lambda: changes_of(gateway, "hours"), lambda seen: len(seen) >= len(announced))
    assert sorted(changes) == sorted(announced), "all of it once, and nothing new"
    assert (await gateway.get(person))["masked"] is None, "an erased person stays erased"
    assert (await gateway.get(f"/registry/v1/volunteers/{town.volunteers[BEFORE]}"))["masked"] is not None
    again = await served(town, gateway, AFTER, "SE-restore-3", hours_ago=5)  # goes on where the topics end
    assert again["minutes"] > accounts[AFTER]["minutes"]
    assert "no difference" in operator.ran("python -m services.hours rebuild")
    assert operator.typed >= commands_of("restore.md")


async def test_a_drift_is_told_within_a_minute_and_a_swap_mends_it(
    platform: Platform, town: Town, gateway: Gateway, operator: Operator, tmp_path: Path
) -> None:
    account = await served(town, gateway, AFTER, "SE-swap-1", hours_ago=8)
    volunteer = town.volunteers[AFTER]
    line = "python -m services.hours parity"
    async with started(operator, line, tmp_path / "parity.log", "HOURS_API_PORT") as address:
        await told(address, 'parity_differences{service="hours"} 0.0')
        with database(platform, "hours") as client:
            accounts = client["hours"]["accounts"]
            head = accounts.find_one({"_id": volunteer})
            assert head is not None
            wrong = head["account"].replace(f'"minutes":[0,0,{account["minutes"]},', '"minutes":[0,0,9999,')
            assert wrong != head["account"]
            accounts.update_one({"_id": volunteer}, {"$set": {"account": wrong}})
        await told(address, 'parity_differences{service="hours"} 1.0')
    assert (await town.account(AFTER))["minutes"] == 9999
    built = operator.run("python -m services.hours rebuild")
    assert (built.returncode, f"accounts {volunteer} in unit 340802" in built.stdout) == (2, True), built
    assert operator.run("python -m services.hours verify").returncode == 2
    operator.ran("python -m services.hours swap --accept-differences")
    for kind in KINDS:
        platform.stop_process(f"hours-{kind}")
        platform.start_process(f"hours-{kind}")
    platform.wait_ready()
    assert await town.account(AFTER) == account
    after = await served(town, gateway, AFTER, "SE-swap-2", hours_ago=11)
    assert after["minutes"] > account["minutes"]
    assert (await gateway.get(f"/hours/v1/accounts/{volunteer}/verification"))["holds"]
    assert "no difference" in operator.ran("python -m services.assessment rebuild")
    assert operator.typed >= commands_of("rebuild.md")
