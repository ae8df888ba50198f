"""What operators ask over HTTP and on the command line reaches the queue's owner, and only what they may ask."""

import json
from pathlib import Path
from typing import Any

import httpx
import pytest
import typer
from fastapi import FastAPI
from typer.testing import CliRunner

from services.contracts.operations import OPERATIONS
from services.eventing.outbox import messages_of
from services.eventing.parking import PARKING
from services.eventing.ports import Message
from services.hours import wiring
from services.runtime import commands
from services.runtime.parked_cli import add_commands
from tests.support.asgi import Answer, call
from tests.support.attendance import at, checked_in, checked_out, session
from tests.support.ports import CountedIds, make_ports
from tests.support.processing import Processing
from tests.support.tokens import command_headers, http_settings, token

SCOPE = "operations.parking"
PARKED = "hours|v1"
OPS = OPERATIONS["hours"].topic


class World:
    """The hours service in memory, with operators before it."""

    def __init__(self, processing: Processing) -> None:
        self.hours = processing
        self.app: FastAPI = wiring.build_api(make_ports(processing.store), http_settings())
        self.asked = 0
        self.keys = CountedIds()
        self.heard: set[str] = set()
        self.right: Any = None

    async def poison(self) -> None:
        """A check-in arrives whole, its check-out broken, and another attendance behind them."""
        first, second = session(at(9), at(11)), session(at(13), at(14), number=2)
        events = (
            checked_in(at(9), first),
            checked_out(at(11), first),
            checked_in(at(13), second),
            checked_out(at(14), second),
        )
        messages = self.hours.publisher.messages(events)
        self.right = json.loads(messages[1].value)
        messages[1] = Message(messages[1].topic, messages[1].key, b'{"id": 1}', messages[1].headers)
        await self.hours.take_messages(messages)

    async def ask(self, path: str, body: Any = None, *, by: str = "operator-1", key: str = "", **more: Any) -> Answer:
        """A command of an operator."""
        self.asked += 1
        headers = command_headers([SCOPE], key or f"key-{self.asked}", subject=by, **more)
        return await call(self.app, "POST", f"/v1/operations/{path}", headers=headers, body=body)

    async def get(self, path: str, *, area: str = "3408", scope: str = SCOPE) -> Answer:
        """A read."""
        headers = {"Authorization": f"Bearer {token(scope, area=area)}"}
        return await call(self.app, "GET", f"/v1/operations/{path}", headers=headers)

    async def settle(self) -> None:
        """Publishes what stands on the operations topic and has its owner take it."""
        for row_id, row in list(self.hours.store.documents("outbox").items()):
            if row_id not in self.heard:
                self.heard.add(row_id)
                await self.hours.take_messages([each for each in messages_of(row) if each.topic == OPS])

    async def first(self) -> dict[str, Any]:
        """The place of the first record that waits."""
        first = (await self.get(f"parked/{PARKED}")).json["first"]
        return {name: first[name] for name in ("topic", "partition", "offset")}

    async def minutes(self) -> int:
        """The volunteer's balance."""
        headers = {"Authorization": f"Bearer {token('hours.read')}"}
        minutes: int = (await call(self.app, "GET", "/v1/accounts/v1", headers=headers)).json["minutes"]
        return minutes


@pytest.fixture
async def world() -> World:
    processing = await Processing(wiring).prepare()
    await processing.store.prepare(commands.COLLECTIONS, commands.INDEXES)
    made = World(processing)
    await made.poison()
    return made


async def test_a_record_is_followed_from_the_list_to_the_balance(world: World) -> None:
    (listed,) = (await world.get("parked")).json["items"]
    assert (listed["parked_id"], listed["records"], listed["minutes"]) == (PARKED, 3, 60)
    assert (listed["first"]["reason"], listed["first"]["path"]) == ("malformed", "$.id")
    shown = (await world.get(f"parked/{PARKED}")).json
    assert [each["reason"] for each in shown["waiting"]] == ["malformed", "behind", "behind"]
    body = {"parked_id": PARKED, "record": await world.first(), "event": world.right, "reason_code": "recorded_wrongly"}
    asked = await world.ask("parked-repairs", body)
    assert (asked.status, asked.json["state"]) == (202, "requested")
    await world.settle()
    done = (await world.get(f"parking-requests/{asked.json['request_id']}")).json
    assert (done["state"], done["remaining"], done["requested_by"]) == ("done", 3, "operator-1")
    asked = await world.ask("parked-redrives", {"parked_id": PARKED, "reason_code": "recorded_wrongly"})
    await world.settle()
    done = (await world.get(f"parking-requests/{asked.json['request_id']}")).json
    assert (done["state"], done["applied"], done["remaining"]) == ("done", 3, 0)
    assert await world.minutes() == 180
    assert (await world.get("parked")).json["items"] == []
    assert (await world.get(f"parked/{PARKED}")).code == "nothing_parked"


async def test_no_answer_shows_a_value(world: World) -> None:
    queue = world.hours.store.documents(PARKING)[PARKED]
    queue["records"][0]["value"] = b'{"canary": "13800001111"}'
    world.hours.store.put(PARKING, queue)
    for path in ("parked", f"parked/{PARKED}"):
        assert b"13800001111" not in (await world.get(path)).body


async def test_a_discard_needs_a_second_operator(world: World) -> None:
    body = {"parked_id": PARKED, "record": await world.first(), "reason_code": "trial_record"}
    proposed = (await world.ask("parked-discards", body)).json
    assert proposed["state"] == "proposed"
    await world.settle()
    assert world.hours.store.documents(PARKING)[PARKED]["count"] == 3
    assert [each["request_id"] for each in (await world.get("parking-requests")).json["items"]] == [
        proposed["request_id"]
    ]
    where = f"parking-requests/{proposed['request_id']}"
    assert (await world.ask(f"{where}/confirmation")).code == "second_person_required"
    confirmed = await world.ask(f"{where}/confirmation", by="operator-2")
    assert (confirmed.status, confirmed.json["confirmed_by"]) == (202, "operator-2")
    assert (await world.ask(f"{where}/confirmation", by="operator-3")).code == "request_decided"
    await world.settle()
    done = (await world.get(where)).json
    assert (done["state"], done["remaining"], done["confirmed_by"]) == ("done", 2, "operator-2")


async def test_a_proposal_can_be_withdrawn(world: World) -> None:
    body = {"parked_id": PARKED, "record": await world.first(), "reason_code": "trial_record"}
    where = f"parking-requests/{(await world.ask('parked-discards', body)).json['request_id']}"
    assert (await world.ask(f"{where}/withdrawal")).json["state"] == "withdrawn"
    assert (await world.ask(f"{where}/confirmation", by="operator-2")).code == "request_decided"
    assert (await world.ask("parking-requests/nobody/withdrawal")).code == "request_unknown"
    assert (await world.get("parking-requests/nobody")).code == "request_unknown"


async def test_a_repeat_under_one_key_is_one_request(world: World) -> None:
    body = {"parked_id": PARKED, "reason_code": "consumer_mended"}
    first = await world.ask("parked-redrives", body, key="one")
    again = await world.ask("parked-redrives", body, key="one")
    assert first.json == again.json
    assert again.headers["idempotency-replayed"] == "true"
    await world.settle()
    assert len((await world.get("parking-requests?state=still_failing")).json["items"]) == 1


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"parked_id": "hours|nobody"}, "nothing_parked"),
        ({"record": {"topic": "x", "partition": 0, "offset": 0}}, "record_not_parked"),
        ({"event": {"type": "none"}}, "correction_invalid"),
        ({"event": {}}, "correction_invalid"),
        ({"reason_code": "because I say so"}, "invalid_body"),
    ],
)
async def test_what_cannot_be_done_is_refused_at_once(world: World, change: dict[str, Any], code: str) -> None:
    body = {"parked_id": PARKED, "record": await world.first(), "event": world.right, "reason_code": "recorded_wrongly"}
    answer = await world.ask("parked-repairs", body | change)
    assert answer.code == code
    assert answer.json["title"]


async def test_a_record_that_only_waits_is_not_discarded(world: World) -> None:
    second = (await world.get(f"parked/{PARKED}")).json["waiting"][1]
    record = {name: second[name] for name in ("topic", "partition", "offset")}
    body = {"parked_id": PARKED, "record": record, "reason_code": "not_ours"}
    assert (await world.ask("parked-discards", body)).code == "record_waits_only"


async def test_what_is_not_declared_does_not_travel(world: World) -> None:
    event = world.right | {"extra": "13800001111", "data": world.right["data"] | {"phone": "13800001111"}}
    body = {"parked_id": PARKED, "record": await world.first(), "event": event, "reason_code": "recorded_wrongly"}
    assert (await world.ask("parked-repairs", body)).status == 202
    await world.settle()
    rows = world.hours.store.documents("outbox").values()
    assert rows
    assert all(b"13800001111" not in each["value"] for row in rows for each in row["events"])


async def test_only_operators_of_the_whole_deployment_may_look_or_ask(world: World) -> None:
    assert (await world.get("parked", area="340802")).code == "outside_area"
    assert (await world.get("parked", scope="hours.read")).code == "scope_missing"
    body = {"parked_id": PARKED, "reason_code": "consumer_mended"}
    assert (await world.ask("parked-redrives", body, area="340802")).code == "outside_area"
    assert world.hours.store.documents("parking_requests") == {}


# the command line


def run(world: World, *arguments: str, by: str = "operator-1") -> Any:
    """One command of an operator, whose requests are executed as soon as they are asked for."""

    class Settling(httpx.ASGITransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            answer = await super().handle_async_request(request)
            await world.settle()
            return answer

    def open_client(url: str, said: str) -> httpx.AsyncClient:
        headers = {"Authorization": f"Bearer {said}"}
        return httpx.AsyncClient(base_url=url, headers=headers, transport=Settling(world.app))

    app = typer.Typer()
    add_commands(app, lambda: "http://hours", world.keys, open_client)
    return CliRunner().invoke(app, [*arguments, "--token", token(SCOPE, subject=by)])


def test_the_command_line_repairs_and_redrives(world: World, tmp_path: Path) -> None:
    event = tmp_path / "event.json"
    event.write_text(json.dumps(world.right))
    result = run(world, "redrive", PARKED, "--reason", "consumer_mended")
    assert (result.exit_code, json.loads(result.stdout)["state"]) == (3, "still_failing")
    result = run(world, "repair", PARKED, "--event", str(event), "--reason", "recorded_wrongly")
    assert (result.exit_code, json.loads(result.stdout)["state"]) == (0, "done")
    result = run(world, "redrive", PARKED, "--reason", "recorded_wrongly")
    assert (result.exit_code, json.loads(result.stdout)["applied"]) == (0, 3)
    result = run(world, "redrive", PARKED, "--reason", "recorded_wrongly")
    assert (result.exit_code, result.stderr.strip()) == (1, "nothing_parked: 没有此搁置队列")


def test_the_command_line_discards_with_two_people(world: World) -> None:
    result = run(world, "discard", PARKED, "--reason", "trial_record")
    proposed = json.loads(result.stdout)
    assert (result.exit_code, proposed["state"]) == (0, "proposed")
    assert json.loads(run(world, "requests").stdout) == proposed
    assert run(world, "confirm", proposed["request_id"]).exit_code == 1
    result = run(world, "confirm", proposed["request_id"], by="operator-2")
    assert (result.exit_code, json.loads(result.stdout)["state"]) == (0, "done")
    assert run(world, "withdraw", proposed["request_id"]).exit_code == 1


@pytest.mark.parametrize("wrong", [["--reason", "none"], ["--reason", "not_ours", "--at", "a|b|c"]])
def test_a_wrong_option_is_refused_before_anything_is_asked(world: World, wrong: list[str]) -> None:
    assert run(world, "discard", PARKED, *wrong).exit_code == 2
    assert world.hours.store.documents("parking_requests") == {}
