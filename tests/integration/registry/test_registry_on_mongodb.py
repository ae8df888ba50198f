"""Registry with a real database and real encryption: everybody once, nobody readable, erased for good."""

import asyncio
import os
import random
from collections.abc import AsyncIterator, Mapping
from itertools import count
from typing import Any

import bson
import pytest
from pymongo import AsyncMongoClient

from services.eventing.ports import Ports
from services.registry import wiring
from services.runtime.clock import SystemClock
from services.runtime.ids import SystemIds
from services.runtime.mongo import MongoStore
from services.runtime.vault import MongoVault
from tests.support.asgi import call
from tests.support.canaries import CANARIES, assert_no_canary
from tests.support.ports import SetClock
from tests.support.registry import ORGANISATION_ROWS, UNIT_ROWS, sheet, volunteer_row
from tests.support.tokens import bearer, command_headers, http_settings

DATABASES = (f"registry_tests_{number}" for number in count())
REVEAL = ("registry.read", "volunteers.reveal")


class RealWorld:
    """Registry's API over a real database."""

    def __init__(self, uri: str) -> None:
        self.uri, self.database = uri, next(DATABASES)
        self.store = MongoStore.open(uri, self.database, random.Random(1))
        self.vault = MongoVault.connect(uri, self.database, os.urandom(96))
        ports = Ports(self.store, SetClock(), SystemClock(), SystemIds(), random.Random(1))
        self.app = wiring.build_api(ports, http_settings(), vault=self.vault)
        self.sent = 0

    async def send(self, kind: str, rows: Any) -> dict[str, Any]:
        """Imports rows and returns the report."""
        self.sent += 1
        headers = {**command_headers(["registry.write"], f"key-{self.sent}"), "Content-Type": "text/csv"}
        answer = await call(self.app, "POST", f"/v1/imports/{kind}", headers=headers, body=sheet(kind, rows))
        assert answer.status == 200, answer.body
        report: dict[str, Any] = answer.json
        return report

    async def get(self, path: str, *scopes: str) -> Any:
        """Reads something."""
        return (await call(self.app, "GET", path, headers=bearer(*(scopes or ("registry.read",))))).json


@pytest.fixture
async def world(mongodb_uris: Mapping[str, str]) -> AsyncIterator[RealWorld]:
    world = RealWorld(mongodb_uris["registry"])
    await world.store.prepare(wiring.SERVICE.all_collections(), wiring.SERVICE.all_indexes())
    await world.send("units", UNIT_ROWS)
    await world.send("organisations", ORGANISATION_ROWS)
    yield world
    await world.store.close()
    await world.vault.close()


async def test_a_list_of_several_chunks_registers_everybody_once(world: RealWorld) -> None:
    rows = [volunteer_row(n) for n in range(1, 703)]
    first = await world.send("volunteers", rows)
    second = await world.send("volunteers", [*rows[:-1], {**rows[-1], "mobile": ""}])
    assert (first["rows"], first["accepted"], first["errors"]) == (702, 702, [])
    assert (second["accepted"], second["unchanged"]) == (1, 701)
    seen: list[str] = []
    after: str | None = ""
    while after is not None:
        page = await world.get(f"/v1/volunteers?limit=200{after and f'&after={after}'}")
        seen += [row["number"] for row in page["items"]]
        after = page["next"]
    assert seen == [row["number"] for row in rows]
    announced = await world.store.find("outbox", {}, limit=100)
    assert sum(row["count"] for row in announced) == 3 + 3 + 702 + 1


async def test_two_lists_at_once_register_everybody_once(world: RealWorld) -> None:
    rows = [volunteer_row(n) for n in range(1, 40)]
    reports = await asyncio.gather(*(world.send("volunteers", rows) for _ in range(3)))
    assert sum(report["accepted"] for report in reports) == 39
    assert sum(report["unchanged"] for report in reports) == 78
    assert len(await world.store.find("volunteers", {}, limit=100)) == 39


async def test_the_whole_database_names_nobody(world: RealWorld) -> None:
    canary = volunteer_row(
        1,
        name=CANARIES["name"],
        id_number=CANARIES["citizen_id"],
        birth_date=CANARIES["birth_date"],
        mobile=CANARIES["phone"],
        address=CANARIES["address"],
    )
    assert (await world.send("volunteers", [canary]))["accepted"] == 1
    assert (await world.send("volunteers", [{**canary, "mobile": CANARIES["name"]}]))["refused"] == 1
    async with AsyncMongoClient[dict[str, Any]](world.uri) as client:
        database = client[world.database]
        names = await database.list_collection_names()
        assert {"volunteers", "outbox", "idempotency", "personal_keys"} <= {*names}
        for name in names:
            async for document in database[name].find():
                assert_no_canary(bson.encode(document), name)


async def test_an_erased_person_cannot_be_read_again(world: RealWorld) -> None:
    await world.send("volunteers", [volunteer_row(1), volunteer_row(2)])
    erased, kept = (row["volunteer_id"] for row in (await world.get("/v1/volunteers"))["items"])
    path = f"/v1/volunteers/{erased}?reveal=true&reason=legal_request"
    assert (await world.get(path, *REVEAL))["personal"]["name"] == "甄银龄"
    await world.vault.destroy(erased)
    seen = await world.get(path, *REVEAL)
    assert (seen["personal"], seen["masked"], seen["number"]) == (None, None, "340802000001")
    assert (await world.get(f"/v1/volunteers/{kept}"))["masked"]["name"] == "甄**"
