"""Activities with a real database: no place sold twice, nobody counted twice, one receipt a batch."""

import random
from asyncio import gather
from collections.abc import AsyncIterator, Mapping
from itertools import count
from typing import Any

import pytest

from services.activities import wiring
from services.activities.imports.routes import SHEET_EXAMPLE
from services.activities.people import store as people
from services.activities.places import rules as places_rules
from services.activities.places import store as places
from services.activities.programme import store as programme
from services.activities.programme.rules import Session
from services.contracts.ids import ActorId
from services.eventing.outbox import OUTBOX
from services.eventing.ports import Document, Ports
from services.runtime.clock import SystemClock
from services.runtime.ids import SystemIds
from services.runtime.mongo import MongoStore
from tests.support.activities import (
    ALL_SCOPES,
    STATION,
    TEAM,
    UNIT,
    a_session,
    a_volunteer,
    at,
    organisation_registered,
    unit_registered,
)
from tests.support.asgi import Answer, call
from tests.support.ports import SetClock
from tests.support.tokens import bearer, http_settings

DATABASES = (f"activities_tests_{number}" for number in count())
WORD = {"method": "leader_list"}


class RealWorld:
    """Activities' API over a real database."""

    def __init__(self, uri: str) -> None:
        self.store = MongoStore.open(uri, next(DATABASES), random.Random(1))
        self.clock = SetClock(at(9))
        ports = Ports(self.store, self.clock, SystemClock(), SystemIds(), random.Random(1))
        self.app = wiring.build_api(ports, http_settings())
        self._keys = count()

    async def put(self, collection: str, documents: list[Document]) -> None:
        """Makes documents exist."""
        await self.store.transact(lambda tx: tx.insert(collection, documents))

    async def plan(self, *sessions: Session) -> None:
        """Makes sessions exist."""
        await self.store.transact(
            lambda tx: programme.save_new(tx, [], sessions, by=ActorId("clerk-1"), at=self.clock.now())
        )

    async def post(self, path: str, body: Any, *, media_type: str = "application/json") -> Answer:
        """A command."""
        headers = {**bearer(*ALL_SCOPES), "Idempotency-Key": f"key-{next(self._keys)}", "content-type": media_type}
        return await call(self.app, "POST", path, headers=headers, body=body)

    async def get(self, path: str) -> Any:
        """A read."""
        return (await call(self.app, "GET", path, headers=bearer(*ALL_SCOPES))).json

    async def announced(self) -> int:
        """How many events were announced."""
        rows = await self.store.find(OUTBOX, {}, limit=1_000)
        return sum(len(row["events"]) for row in rows)


@pytest.fixture
async def world(mongodb_uris: Mapping[str, str]) -> AsyncIterator[RealWorld]:
    """Forty volunteers, a unit, a team and a station."""
    world = RealWorld(mongodb_uris["activities"])
    await world.store.prepare(wiring.SERVICE.all_collections(), wiring.SERVICE.all_indexes())
    volunteers = [a_volunteer(number) for number in range(1, 41)]
    await world.put(people.VOLUNTEERS, [{"_id": v.volunteer_id, **people.to_document(v)} for v in volunteers])
    events = (unit_registered(), organisation_registered(TEAM, "team"), organisation_registered(STATION, "station"))
    known = [places_rules.copy_of(event) for event in events]
    await world.put(places.PLACES, [{"_id": place.place_id, **places.to_document(place)} for place in known])
    yield world
    await world.store.close()


async def persistently(world: RealWorld, path: str, body: Any) -> Answer:
    """The answer of a client that tries again when it is asked to."""
    for _ in range(40):
        answer = await world.post(path, body)
        if answer.status != 503:
            return answer
    raise AssertionError("asked to try again too often")


async def test_the_last_place_goes_to_one_of_forty(world: RealWorld) -> None:
    await world.plan(a_session(capacity=1))
    path = "/v1/sessions/SE-1/sign-ups"
    answers = await gather(*(persistently(world, path, {"volunteer_id": f"V-{n}"}) for n in range(1, 41)))
    assert sorted(answer.status for answer in answers) == [201] + [409] * 39
    assert (await world.get("/v1/sessions/SE-1"))["places_taken"] == 1
    assert len((await world.get("/v1/sessions/SE-1/sign-ups"))["items"]) == 1
    assert await world.announced() == 1


async def test_one_volunteer_is_not_in_two_places(world: RealWorld) -> None:
    await world.plan(*(a_session(f"SE-{n}", at(9, n), at(11, n)) for n in range(1, 9)))
    answers = await gather(
        *(persistently(world, f"/v1/sessions/SE-{n}/sign-ups", {"volunteer_id": "V-1"}) for n in range(1, 9))
    )
    assert sorted(answer.status for answer in answers) == [201] + [409] * 7
    assert await world.announced() == 1


async def test_forty_check_in_at_once_and_each_twice(world: RealWorld) -> None:
    await world.plan(a_session())
    bodies = [{"volunteer_id": f"V-{n}", "proof": WORD} for n in range(1, 41) for _ in range(2)]
    answers = await gather(*(persistently(world, "/v1/sessions/SE-1/check-ins", body) for body in bodies))
    assert sorted(answer.status for answer in answers) == [201] * 40 + [409] * 40
    assert await world.announced() == 40


async def test_the_same_batch_at_once_is_one(world: RealWorld) -> None:
    await world.plan(a_session())
    world.clock.at = at(20)
    rows = [
        {
            "row": n,
            "session_id": "SE-1",
            "number": f"N-{n}",
            "action": "attended",
            "from": at(9).isoformat(),
            "to": at(11).isoformat(),
            "proof": None,
        }
        for n in range(1, 42)
    ]
    batch = {"kind": "roster", "leader_id": "leader-1", "rows": rows}
    answers = await gather(*(persistently(world, "/v1/batches", batch) for _ in range(4)))
    assert {answer.status for answer in answers} == {200}
    assert len({answer.body for answer in answers}) == 1
    assert answers[0].json["accepted"] == 40
    assert [row["code"] for row in answers[0].json["refused"]] == ["volunteer_unknown"]
    assert await world.announced() == 80


async def test_a_sheet_comes_in_once(world: RealWorld) -> None:
    path, sheet = "/v1/imports/activities", SHEET_EXAMPLE.encode()
    first = await world.post(path, sheet, media_type="text/csv")
    again = await world.post(path, sheet, media_type="text/csv")
    assert (first.json["accepted"], again.json["unchanged"]) == (1, 1)
    assert await world.announced() == 2


async def test_lists_are_read_page_by_page(world: RealWorld) -> None:
    await world.plan(*(a_session(f"SE-{n}", at(n), at(n + 1)) for n in range(1, 8)))
    world.clock.at = at(20)
    for n in range(1, 8):
        body = {"volunteer_id": "V-1", "proof": WORD, "at": at(n).isoformat()}
        assert (await world.post(f"/v1/sessions/SE-{n}/check-ins", body)).status == 201
    for path, field, expected in (
        (f"/v1/sessions?unit={UNIT}", "session_id", [f"SE-{n}" for n in range(1, 8)]),
        ("/v1/volunteers/V-1/attendances?", "session_id", [f"SE-{n}" for n in range(7, 0, -1)]),
    ):
        seen: list[str] = []
        after: str | None = ""
        while after is not None:
            page = await world.get(f"{path}&limit=3{'&after=' + after if after else ''}")
            seen += [item[field] for item in page["items"]]
            after = page["next"]
        assert seen == expected
