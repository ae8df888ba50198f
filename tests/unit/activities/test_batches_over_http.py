"""Kiosk and roster batches: one transaction, one receipt, for ever."""

import hashlib
import json
from asyncio import gather
from typing import Any

import pytest

from services.activities.batches.rules import BATCH_BYTES_MAX, BATCH_ROWS_MAX
from services.contracts.activities import CheckedIn, CheckedOut
from services.eventing.outbox import OUTBOX
from services.eventing.ports import CommitUnknownError
from tests.support.activities import OTHER_UNIT, UNIT, World, a_session, at, code_now, slip

CARD = {"method": "personal_card", "card": "N-1"}


@pytest.fixture
async def world() -> World:
    world = await World().prepare()
    await world.register(1, 2, 3)
    world.put(a_session(), a_session("SE-2", at(13), at(15)))
    world.clock.at = at(20)
    return world


def reading(row: int, action: str = "check_in", /, **changes: Any) -> dict[str, Any]:
    """A row of a kiosk: V-1's card at nine."""
    usual = {"row": row, "session_id": "SE-1", "number": "N-1", "action": action, "at": at(9).isoformat()}
    return {**usual, "proof": CARD, **changes}


def line(number: int, volunteer: int = 1, **changes: Any) -> dict[str, Any]:
    """A row of a roster: from nine to eleven, by the leader's word."""
    usual = {"row": number, "session_id": "SE-1", "number": f"N-{volunteer}", "action": "attended", "proof": None}
    return {**usual, "from": at(9).isoformat(), "to": at(11).isoformat(), **changes}


def kiosk(*rows: Any) -> dict[str, Any]:
    return {"kind": "kiosk", "device_id": "KIOSK-1", "rows": list(rows)}


def roster(*rows: Any) -> dict[str, Any]:
    return {"kind": "roster", "leader_id": "leader-9", "rows": list(rows)}


def refused(receipt: Any) -> list[tuple[int, str]]:
    return [(row["row"], row["code"]) for row in receipt["refused"]]


async def test_a_kiosk_sends_what_it_read_with_its_own_times(world: World) -> None:
    answer = await world.post("/v1/batches", kiosk(reading(1), reading(2, "check_out", at=at(11).isoformat())))
    assert (answer.status, answer.json["accepted"], answer.json["refused"]) == (200, 2, [])
    came, left = world.announced()
    assert isinstance(came.data, CheckedIn)
    assert isinstance(left.data, CheckedOut)
    assert (came.data.at, came.time, came.data.entered_by) == (at(9), at(20), "KIOSK-1")
    assert (came.data.entry_mode, came.data.batch_id) == ("kiosk_batch", answer.json["batch_id"])
    assert [proof.given_by for proof in came.data.proofs] == ["V-1"]


async def test_a_roster_line_is_check_in_and_check_out(world: World) -> None:
    answer = await world.post(
        "/v1/batches", roster(line(1), line(2, 2, proof={"method": "one_time_code", "code": slip(1)}))
    )
    assert answer.json["accepted"] == 2
    events = [event.data for event in world.announced()]
    assert [(type(event), event.volunteer_id) for event in events] == [
        (CheckedIn, "V-1"),
        (CheckedOut, "V-1"),
        (CheckedIn, "V-2"),
        (CheckedOut, "V-2"),
    ]
    assert [event.proofs[0].method for event in events] == ["leader_list"] * 2 + ["one_time_code"] * 2
    assert {event.entered_by for event in events} == {"leader-9"}
    assert events[0].proofs[0].given_by == "leader-9"


async def test_all_that_a_batch_accepts_is_one_transaction(world: World) -> None:
    commits = world.store.commits
    await world.post("/v1/batches", roster(line(1), line(2, 2), line(3, 3)))
    assert world.store.commits == commits + 1
    assert len(world.store.documents(OUTBOX)) == 1


async def test_a_batch_is_named_by_its_exact_bytes(world: World) -> None:
    raw = json.dumps(roster(line(1)), indent=1).encode()
    answer = await world.post("/v1/batches", raw, headers={"content-type": "application/json"})
    assert answer.json["batch_id"] == hashlib.sha256(raw).hexdigest()
    assert (await world.get(f"/v1/batches/{answer.json['batch_id']}")).json == answer.json


async def test_the_same_bytes_get_the_same_receipt_and_change_nothing(world: World) -> None:
    first = await world.post("/v1/batches", roster(line(1), line(2, 9)))
    for subject in ("leader-1", "somebody-else"):
        again = await world.post("/v1/batches", roster(line(1), line(2, 9)), subject=subject)
        assert (again.status, again.json) == (200, first.json)
    assert len(world.announced()) == 2


async def test_the_receipt_outlives_the_kept_answer(world: World) -> None:
    first = await world.post("/v1/batches", roster(line(1)))
    world.store.remove("idempotency", *world.store.documents("idempotency"))
    again = await world.post("/v1/batches", roster(line(1)))
    assert again.json == first.json
    assert "idempotency-replayed" not in again.headers
    assert len(world.announced()) == 2


async def test_the_same_bytes_at_once_are_one_batch(world: World) -> None:
    answers = await gather(*(world.post("/v1/batches", roster(line(1)), subject=f"leader-{n}") for n in range(4)))
    assert {answer.status for answer in answers} == {200}
    assert len({answer.body for answer in answers}) == 1
    assert len(world.announced()) == 2


async def test_a_batch_whose_commit_is_unknown_is_sent_again(world: World) -> None:
    def lose_the_answer(step: str) -> None:
        if step == "committed":
            world.store.fault = None
            raise CommitUnknownError("no answer")

    world.store.fault = lose_the_answer
    first = await world.post("/v1/batches", roster(line(1)))
    again = await world.post("/v1/batches", roster(line(1)))
    assert (first.status, again.status, again.json["accepted"]) == (200, 200, 1)
    assert len(world.announced()) == 2


async def test_rows_are_refused_one_by_one_each_with_its_reason(world: World) -> None:
    world.store.put("sessions", {**world.store.documents("sessions")["SE-2"], "published": False})
    answer = await world.post(
        "/v1/batches",
        kiosk(
            reading(1, session_id="SE-9"),
            reading(2, session_id="SE-2"),
            reading(3, number="N-9"),
            reading(4, at=at(8).isoformat()),
            reading(5, at=at(12).isoformat()),
            reading(6, "check_out"),
            reading(7, proof=None),
            reading(8, proof={"method": "personal_card"}),
            reading(9, proof={"method": "personal_card", "card": "N-2"}),
            reading(10, proof={"method": "station_code", "code": code_now(at(9, 10))}),
            reading(11),
            reading(12),
            reading(12, number="N-2"),
        ),
    )
    assert answer.json["accepted"] == 1
    assert refused(answer.json) == [
        (1, "session_unknown"),
        (2, "session_not_published"),
        (3, "volunteer_unknown"),
        (4, "time_before_window"),
        (5, "time_after_window"),
        (6, "not_checked_in"),
        (7, "proof_missing"),
        (8, "proof_missing"),
        (9, "card_invalid"),
        (10, "code_invalid"),
        (12, "already_checked_in"),
        (12, "row_repeated"),
    ]
    assert answer.json["refused"][0]["title"] == "没有这个场次"


async def test_a_slip_that_one_batch_spent_is_spent_for_the_next_and_for_phones(world: World) -> None:
    code = {"method": "one_time_code", "code": slip(1)}
    assert (await world.post("/v1/batches", roster(line(1, 1, proof=code)))).json["accepted"] == 1
    again = await world.post("/v1/batches", roster(line(1, 2, proof=code)))
    assert refused(again.json) == [(1, "code_already_used")]
    live = await world.post(
        "/v1/sessions/SE-1/check-ins", {"volunteer_id": "V-3", "at": at(9).isoformat(), "proof": code}
    )
    assert live.code == "code_already_used"


async def test_rows_are_refused_outside_the_area_of_who_sends(world: World) -> None:
    world.put(a_session("SE-3", unit_served=OTHER_UNIT))
    answer = await world.post("/v1/batches", roster(line(1), line(2, session_id="SE-3")), area=UNIT)
    assert (answer.json["accepted"], refused(answer.json)) == (1, [(2, "outside_area")])


@pytest.mark.parametrize(
    "bad",
    [
        {"at": "nine"},
        {"at": "2026-07-14T09:00:00"},
        {"session_id": ""},
        {"number": 7},
        {"action": "attended"},
        {"proof": {"method": "leader_list"}},
        {"proof": {"method": "photo"}},
        {"name": "某人"},
        {"number": float("inf")},
    ],
)
async def test_a_row_that_cannot_be_read_is_refused_by_itself(world: World, bad: dict[str, Any]) -> None:
    answer = await world.post("/v1/batches", kiosk(reading(1, **bad), reading(2)))
    assert (answer.json["accepted"], refused(answer.json)) == (1, [(1, "row_malformed")])


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "malformed_json"),
        (b"{", "malformed_json"),
        (b"\xff", "malformed_json"),
        ([], "invalid_body"),
        ({"kind": "fax", "rows": []}, "invalid_body"),
        (kiosk(), "invalid_body"),
        ({"kind": "kiosk", "rows": [reading(1)]}, "invalid_body"),
        ({**kiosk(reading(1)), "leader_id": "x"}, "invalid_body"),
        (kiosk("row"), "invalid_body"),
        (kiosk(reading(1, row=0)), "invalid_body"),
        (kiosk(reading(1, row="1", at="nine"), reading(2)), "invalid_body"),
        (kiosk(reading(1, at="nine")), "invalid_body"),
        (kiosk(*(reading(n) for n in range(BATCH_ROWS_MAX + 1))), "invalid_body"),
    ],
)
async def test_a_batch_that_is_wrong_as_a_whole_is_refused_and_leaves_nothing(
    world: World, body: Any, code: str
) -> None:
    answer = await world.post("/v1/batches", body, headers={"content-type": "application/json"})
    assert answer.code == code
    assert (world.store.documents("batches"), world.store.documents("idempotency")) == ({}, {})


async def test_an_error_names_the_place_in_the_body(world: World) -> None:
    answer = await world.post("/v1/batches", kiosk(reading(1, row=0)))
    assert [error["path"] for error in answer.json["errors"]] == ["body.rows.0.row"]


async def test_a_batch_may_be_as_large_as_is_documented(world: World) -> None:
    raw = json.dumps(roster(line(1))).encode()
    json_type = {"content-type": "application/json"}
    largest = raw + b" " * (BATCH_BYTES_MAX - len(raw))
    assert (await world.post("/v1/batches", largest, headers=json_type)).status == 200
    assert (await world.post("/v1/batches", largest + b" ", headers=json_type)).code == "body_too_large"


async def test_a_batch_of_five_hundred_rows_takes_few_round_trips(world: World) -> None:
    await world.register(*range(4, 501))
    steps: list[str] = []
    world.store.fault = steps.append
    answer = await world.post("/v1/batches", roster(*(line(n, n) for n in range(1, 501))))
    assert answer.json["accepted"] == 500
    assert len([step for step in steps if step not in {"commit", "committed"}]) <= 11


async def test_a_receipt_that_does_not_exist_is_not_found(world: World) -> None:
    assert (await world.get(f"/v1/batches/{'0' * 64}")).code == "batch_unknown"
    assert (await world.get("/v1/batches/1")).code == "invalid_parameter"


async def test_a_batch_beside_a_live_check_in_of_the_same_person(world: World) -> None:
    world.clock.at = at(10)
    body = {"volunteer_id": "V-1", "proof": {"method": "leader_list"}}
    live, batch = await gather(
        world.post("/v1/sessions/SE-1/check-ins", body), world.post("/v1/batches", kiosk(reading(1)))
    )
    assert (live.status, batch.status) in {(201, 200), (409, 200)}
    assert (live.status == 201) == (refused(batch.json) == [(1, "already_checked_in")])
    assert len(world.announced()) == 1
