"""A command is carried out once, whatever its client, its rivals and the store do."""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Annotated

import pytest
from fastapi import APIRouter, Depends, FastAPI
from starlette.responses import Response

from services.eventing.ports import (
    AlreadyExistsError,
    CommitUnknownError,
    ConflictError,
    StoreUnavailableError,
    Transaction,
)
from services.runtime.commands import ATTEMPTS_MAX, IDEMPOTENCY, Command, command
from services.runtime.http import build_app
from services.runtime.outcomes import Outcome, Refusal
from services.runtime.problems import refusals
from tests.support.asgi import Answer, call
from tests.support.canaries import CANARIES, assert_no_canary
from tests.support.memory_store import MemoryStore
from tests.support.notes import NOTES, PROBLEMS, notes_app
from tests.support.ports import START, SetClock, make_ports
from tests.support.tokens import command_headers, http_settings

NOTE = {"unit": "340802", "text": "hello"}


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def app(store: MemoryStore) -> FastAPI:
    return notes_app(make_ports(store), http_settings())


async def post(app: FastAPI, key: str = "k", *, text: str = "hello", subject: str = "P-1", path: str = "") -> Answer:
    headers = command_headers(["notes.write"], key, subject=subject)
    body = {"unit": "340802", "text": text}
    return await call(app, "POST", path or "/v1/notes", headers=headers, body=body)


async def put(app: FastAPI, key: str, if_match: str | None, *, text: str = "new", note: str = "N-1") -> Answer:
    headers = command_headers(["notes.write"], key) | ({} if if_match is None else {"If-Match": if_match})
    return await call(app, "PUT", f"/v1/notes/{note}", headers=headers, body={"unit": "340802", "text": text})


async def test_state_fact_and_kept_answer_are_one_transaction(app: FastAPI, store: MemoryStore) -> None:
    answer = await post(app)
    assert (answer.status, answer.json) == (201, {"id": "id-000001"})
    assert (answer.headers["etag"], answer.headers["location"]) == ('"1"', "/v1/notes/id-000001")
    assert store.commits == 1
    assert list(store.documents(NOTES)) == ["id-000001"]
    (row,) = store.documents("outbox").values()
    assert [event["type"] for event in row["events"]] == ["registry.unit.registered.v1"]
    assert len(store.documents(IDEMPOTENCY)) == 1


async def test_a_repeat_is_given_the_first_answer_again(app: FastAPI, store: MemoryStore) -> None:
    first, again = await post(app), await post(app)
    assert "idempotency-replayed" not in first.headers
    assert again.headers["idempotency-replayed"] == "true"
    assert (again.status, again.body) == (first.status, first.body)
    for name in ("etag", "location", "content-type"):
        assert again.headers[name] == first.headers[name]
    assert store.commits == 1


async def test_a_key_with_another_body_is_refused(app: FastAPI, store: MemoryStore) -> None:
    await post(app, text="one")
    other = await post(app, text="two")
    assert (other.status, other.code) == (422, "idempotency_key_reused")
    assert store.commits == 1
    assert (await post(app, text="one")).status == 201


async def test_a_key_with_another_query_is_refused(app: FastAPI) -> None:
    await post(app)
    assert (await post(app, path="/v1/notes?dry_run=true")).code == "idempotency_key_reused"


async def test_a_key_belongs_to_one_caller_and_one_path(app: FastAPI, store: MemoryStore) -> None:
    store.put(NOTES, {"_id": "N-1", "unit": "340802", "text": "x", "version": 1})
    first = await post(app)
    other_caller = await post(app, subject="P-2")
    assert other_caller.json != first.json
    other_path = await put(app, "k", '"1"', text="hello")
    assert other_path.json == {"id": "N-1"}


@pytest.mark.parametrize(
    ("key", "code"),
    [
        ("", "idempotency_key_missing"),
        ("x" * 256, "idempotency_key_invalid"),
        ("schlüssel", "idempotency_key_invalid"),
        ("a\tb", "idempotency_key_invalid"),
    ],
)
async def test_a_command_without_a_usable_key_is_refused(app: FastAPI, store: MemoryStore, key: str, code: str) -> None:
    answer = await post(app, key)
    assert (answer.status, answer.code) == (400, code)
    assert store.commits == 0


async def test_a_refusal_is_kept_and_writes_nothing_else(app: FastAPI, store: MemoryStore) -> None:
    first, again = await post(app, text="rude"), await post(app, text="rude")
    assert (first.status, first.code) == (422, "note_rude")
    assert (again.status, again.body) == (first.status, first.body)
    assert again.headers["idempotency-replayed"] == "true"
    assert again.headers["content-type"] == "application/problem+json"
    assert not store.documents(NOTES)
    assert not store.documents("outbox")


async def test_a_kept_refusal_outlives_its_reason(app: FastAPI, store: MemoryStore) -> None:
    first = await put(app, "k", '"1"')
    assert (first.status, first.code) == (404, "note_unknown")
    store.put(NOTES, {"_id": "N-1", "unit": "340802", "text": "x", "version": 1})
    assert (await put(app, "k", '"1"')).code == "note_unknown"
    assert (await put(app, "k2", '"1"')).status == 200


@pytest.mark.parametrize("step", ["insert", "replace", "update", "delete"])
async def test_what_a_work_wrote_before_it_refused_is_not_committed(store: MemoryStore, step: str) -> None:
    store.put(NOTES, {"_id": "N-1", "unit": "340802", "text": "as it was", "version": 1})
    before = store.documents(NOTES)

    async def work(tx: Transaction) -> Outcome:
        writes: dict[str, Callable[[], Awaitable[None]]] = {
            "insert": lambda: tx.insert(NOTES, [{"_id": "N-2"}]),
            "replace": lambda: tx.replace(NOTES, [{"_id": "N-1", "text": "new"}]),
            "update": lambda: tx.update(NOTES, {"N-1": {"text": "new"}}),
            "delete": lambda: tx.delete(NOTES, ["N-1"]),
        }
        await writes[step]()
        return Refusal("note_rude")

    router = APIRouter()

    @router.post("/v1/rash", openapi_extra=refusals("note_rude"))
    async def post_rash(command: Annotated[Command, Depends(command("notes.write"))]) -> Response:
        return await command.run(work)

    app = build_app(
        service="notes", ports=make_ports(store), settings=http_settings(), problems=PROBLEMS, routers=[router]
    )
    headers = command_headers(["notes.write"], "k")
    first = await call(app, "POST", "/v1/rash", headers=headers)
    again = await call(app, "POST", "/v1/rash", headers=headers)
    assert (first.code, again.body) == ("note_rude", first.body)
    assert again.headers["idempotency-replayed"] == "true"
    assert store.documents(NOTES) == before
    assert len(store.documents(IDEMPOTENCY)) == 1


async def test_a_server_error_is_not_kept(app: FastAPI, store: MemoryStore) -> None:
    assert (await post(app, text="burst")).status == 500
    assert store.commits == 0
    assert (await post(app, text="hello")).status == 201


async def test_equal_commands_at_once_are_carried_out_once(app: FastAPI, store: MemoryStore) -> None:
    answers = await asyncio.gather(*(post(app) for _ in range(8)))
    assert {answer.status for answer in answers} == {201}
    assert len({answer.body for answer in answers}) == 1
    assert len(store.documents(NOTES)) == 1
    assert len(store.documents("outbox")) == 1


@pytest.mark.parametrize("error", [ConflictError("busy"), StoreUnavailableError("away")])
async def test_a_store_that_cannot_take_it_means_try_again_with_nothing_written(
    app: FastAPI, store: MemoryStore, error: Exception
) -> None:
    def fail(step: str) -> None:
        if step == "commit":
            raise error

    store.fault = fail
    answer = await post(app)
    assert (answer.status, answer.code) == (503, "try_again")
    assert answer.headers["retry-after"] == "1"
    store.fault = None
    assert store.commits == 0
    assert (await post(app)).status == 201


async def test_an_unknown_commit_that_happened_is_answered_as_done(app: FastAPI, store: MemoryStore) -> None:
    def lose_the_answer(step: str) -> None:
        if step == "committed":
            store.fault = None
            raise CommitUnknownError("no answer")

    store.fault = lose_the_answer
    assert (await post(app)).status == 201
    assert len(store.documents(NOTES)) == 1
    assert (await post(app)).headers["idempotency-replayed"] == "true"


async def test_an_unknown_commit_that_did_not_happen_is_tried_again_by_the_client(
    app: FastAPI, store: MemoryStore
) -> None:
    def lose_the_commit(step: str) -> None:
        if step == "commit":
            store.fault = None
            raise CommitUnknownError("no answer")

    store.fault = lose_the_commit
    assert (await post(app)).code == "try_again"
    assert (await post(app)).status == 201
    assert len(store.documents(NOTES)) == 1


async def test_an_id_taken_meanwhile_is_seen_at_the_next_attempt(app: FastAPI, store: MemoryStore) -> None:
    left = [ATTEMPTS_MAX - 1]

    def taken(step: str) -> None:
        if step == "insert" and left[0]:
            left[0] -= 1
            raise AlreadyExistsError("taken")

    store.fault = taken
    assert (await post(app)).status == 201
    left[0] = ATTEMPTS_MAX
    assert (await post(app, "k2")).status == 500


async def test_an_edit_needs_the_version_it_edits(app: FastAPI, store: MemoryStore) -> None:
    store.put(NOTES, {"_id": "N-1", "unit": "340802", "text": "x", "version": 7})
    missing = await put(app, "a", None)
    assert (missing.status, missing.code) == (428, "if_match_missing")
    for etag in ('"6"', '"8"', 'W/"7"', '"77"'):
        stale = await put(app, f"b{etag}", etag)
        assert (stale.status, stale.code) == (412, "etag_mismatch")
    done = await put(app, "c", '"7"')
    assert (done.status, done.headers["etag"]) == (200, '"8"')
    assert (await put(app, "d", "*")).headers["etag"] == '"9"'


async def test_the_same_key_with_another_version_is_another_request(app: FastAPI, store: MemoryStore) -> None:
    store.put(NOTES, {"_id": "N-1", "unit": "340802", "text": "x", "version": 7})
    await put(app, "a", '"6"')
    assert (await put(app, "a", '"7"')).code == "idempotency_key_reused"


async def test_answers_are_kept_for_seven_days_of_real_time_and_batches_for_ever(store: MemoryStore) -> None:
    business = SetClock(datetime(2020, 1, 1, tzinfo=UTC))
    app = notes_app(make_ports(store, clock=business, wall=SetClock(START)), http_settings())
    await post(app)
    (row,) = store.documents(IDEMPOTENCY).values()
    assert row["expires_at"] == START + timedelta(days=7)
    await call(app, "POST", "/v1/batches", headers=command_headers(["notes.write"], "unused"), body=b"rows")
    (kept,) = [each for each in store.documents(IDEMPOTENCY).values() if each["_id"] != row["_id"]]
    assert "expires_at" not in kept


async def test_a_batch_is_named_by_its_exact_bytes(app: FastAPI, store: MemoryStore) -> None:
    headers = {k: v for k, v in command_headers(["notes.write"], "unused").items() if k != "Idempotency-Key"}
    first = await call(app, "POST", "/v1/batches", headers=headers, body=b"rows")
    again = await call(app, "POST", "/v1/batches", headers=headers, body=b"rows")
    other = await call(app, "POST", "/v1/batches", headers=headers, body=b"rows ")
    assert first.json["id"] == hashlib.sha256(b"rows").hexdigest()
    assert (again.json, again.headers["idempotency-replayed"]) == (first.json, "true")
    assert other.json != first.json


async def test_facts_carry_the_acceptance_time_and_the_trace(app: FastAPI, store: MemoryStore) -> None:
    headers = command_headers(["notes.write"], "k") | {
        "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    }
    await call(app, "POST", "/v1/notes", headers=headers, body=NOTE)
    (row,) = store.documents("outbox").values()
    value = row["events"][0]["value"]
    assert b'"time":"2026-07-01T00:00:00Z"' in value
    assert b'"traceparent":"00-0af7651916cd43dd8448eb211c80319c-' in value
    assert b"b7ad6b7169203331" not in value


async def test_kept_answers_hold_no_personal_value(app: FastAPI, store: MemoryStore) -> None:
    await post(app, text=CANARIES["name"])
    assert_no_canary(str(store.documents(IDEMPOTENCY)), "the kept answers")
