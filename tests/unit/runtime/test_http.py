"""Every way a request can fail before or beside its handler, and what an answer always has."""

import asyncio
import json
import random
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from fastapi import APIRouter, FastAPI

from services.eventing.ports import CommitUnknownError, ConflictError, StoreUnavailableError
from services.runtime.edge import Observed
from services.runtime.http import build_app
from services.runtime.metrics import Metrics
from services.runtime.operations import operations_app
from services.runtime.problems import ProblemTable, refusals
from services.runtime.rates import BURST_S
from tests.support.asgi import call, hang_up, http_scope
from tests.support.canaries import CANARIES, assert_no_canary, logged
from tests.support.memory_store import MemoryStore
from tests.support.notes import LARGE_BODY_BYTES_MAX, NOTES, notes_app
from tests.support.ports import SetClock, make_ports
from tests.support.tokens import bearer, command_headers, http_settings

BODY_BYTES_MAX = 1_000
NOTE = {"unit": "340802", "text": "hello"}


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def app(store: MemoryStore) -> FastAPI:
    return notes_app(make_ports(store), http_settings(body_bytes_max=BODY_BYTES_MAX))


def write(key: str = "k") -> dict[str, str]:
    return command_headers(["notes.write", "notes.read"], key)


JSON = {"content-type": "application/json"}


@pytest.mark.parametrize(
    ("body", "headers", "status", "code"),
    [
        (b'{"unit": ', JSON, 400, "malformed_json"),
        (b"\xff\xfe", JSON, 400, "malformed_json"),
        (b"[" * 900, JSON, 400, "malformed_json"),
        (b"", JSON, 422, "invalid_body"),
        (b"[]", JSON, 422, "invalid_body"),
        (b"null", JSON, 422, "invalid_body"),
        (json.dumps(NOTE).encode(), {"content-type": "text/plain"}, 415, "unsupported_media_type"),
        (json.dumps(NOTE).encode(), {}, 415, "unsupported_media_type"),
        ({"unit": "340802"}, {}, 422, "invalid_body"),
        ({**NOTE, "unit": 340802}, {}, 422, "invalid_body"),
        ({**NOTE, "pages": "many"}, {}, 422, "invalid_body"),
        ({**NOTE, "colour": "red"}, {}, 422, "invalid_body"),
        ({**NOTE, "text": "x" * 201}, {}, 422, "invalid_body"),
        ({**NOTE, "text": "x" * 1_000}, {}, 413, "body_too_large"),
    ],
)
async def test_a_bad_body_is_refused_and_nothing_is_written(
    app: FastAPI, store: MemoryStore, body: Any, headers: dict[str, str], status: int, code: str
) -> None:
    answer = await call(app, "POST", "/v1/notes", headers={**write(), **headers}, body=body)
    assert (answer.status, answer.code) == (status, code)
    assert store.commits == 0


async def test_a_body_of_unknown_size_is_refused_once_it_is_too_large(app: FastAPI, store: MemoryStore) -> None:
    chunks = [b'{"unit": "340802", "text": "'] + [b"x" * 400] * 4
    answer = await call(app, "POST", "/v1/notes", headers={**write(), **JSON}, chunks=chunks)
    assert (answer.status, answer.code) == (413, "body_too_large")
    assert store.commits == 0


async def test_a_route_may_take_larger_bodies_than_others_up_to_its_own_limit(app: FastAPI) -> None:
    async def post(size: int) -> int:
        return (await call(app, "POST", "/v1/batches", headers=write(), body=b"x" * size)).status

    assert await post(LARGE_BODY_BYTES_MAX) == 200
    assert await post(LARGE_BODY_BYTES_MAX + 1) == 413


async def test_what_is_wrong_is_named_by_its_path_and_never_by_its_value(app: FastAPI) -> None:
    body = {
        "unit": CANARIES["phone"],
        "text": "x",
        "pages": CANARIES["citizen_id"] + "x",
        CANARIES["name"]: CANARIES["address"],
    }
    with logged():
        answer = await call(app, "POST", "/v1/notes", headers=write(), body=body)
    assert answer.code == "invalid_body"
    assert [error["path"] for error in answer.json["errors"]] == ["body.unit", "body.pages", "body.?"]
    assert all(error["message"] for error in answer.json["errors"])
    assert_no_canary(answer.body, "a problem")


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/v1/notes?limit=0", 422, "invalid_parameter"),
        ("/v1/notes?limit=201", 422, "invalid_parameter"),
        ("/v1/notes?limit=many", 422, "invalid_parameter"),
        ("/v1/notes?after=%21", 400, "cursor_invalid"),
        ("/v1/notes?after=" + "x" * 600, 422, "invalid_parameter"),
        ("/v1/notes/N-1", 404, "note_unknown"),
        ("/v1/nothing", 404, "not_found"),
        ("/nothing", 404, "not_found"),
    ],
)
async def test_a_bad_read_is_refused(app: FastAPI, path: str, status: int, code: str) -> None:
    answer = await call(app, "GET", path, headers=bearer("notes.read"))
    assert (answer.status, answer.code) == (status, code)


async def test_an_unknown_method_is_refused_with_those_allowed(app: FastAPI) -> None:
    answer = await call(app, "DELETE", "/v1/notes/N-1", headers=bearer("notes.read"))
    assert (answer.status, answer.code) == (405, "method_not_allowed")
    assert answer.headers["allow"]


async def test_a_read_outside_the_area_is_refused(app: FastAPI, store: MemoryStore) -> None:
    store.put(NOTES, {"_id": "N-1", "unit": "340802", "text": "hello", "version": 1})
    outside = await call(app, "GET", "/v1/notes/N-1", headers=bearer("notes.read", area="340803"))
    assert (outside.status, outside.code) == (403, "outside_area")
    inside = await call(app, "GET", "/v1/notes/N-1", headers=bearer("notes.read", area="340802"))
    assert (inside.status, inside.json) == (200, {"id": "N-1", "unit": "340802", "text": "hello"})
    assert inside.headers["etag"] == '"1"'


async def test_every_row_is_on_one_page_and_the_last_page_has_no_next(app: FastAPI, store: MemoryStore) -> None:
    store.put(NOTES, *({"_id": f"N-{n}", "unit": "340802", "text": "x", "version": 1} for n in range(1, 8)))
    seen: list[str] = []
    path: str | None = "/v1/notes?limit=3"
    sizes = []
    while path is not None:
        page = (await call(app, "GET", path, headers=bearer("notes.read"))).json
        seen += [item["id"] for item in page["items"]]
        sizes.append(len(page["items"]))
        path = page["next"] and f"/v1/notes?limit=3&after={page['next']}"
    assert seen == [f"N-{n}" for n in range(1, 8)]
    assert sizes == [3, 3, 1]


@pytest.mark.parametrize(
    "error", [StoreUnavailableError("away"), ConflictError("busy"), CommitUnknownError("who knows")]
)
async def test_a_store_that_does_not_answer_means_try_again(app: FastAPI, store: MemoryStore, error: Exception) -> None:
    def fail(_: str) -> None:
        raise error

    store.fault = fail
    answer = await call(app, "GET", "/v1/notes/N-1", headers=bearer("notes.read"))
    assert (answer.status, answer.code) == (503, "try_again")
    assert answer.headers["retry-after"] == "1"


async def test_an_unexpected_error_is_answered_and_logged_without_its_message(app: FastAPI, store: MemoryStore) -> None:
    def fail(_: str) -> None:
        raise KeyError(CANARIES["phone"])

    store.fault = fail
    with logged() as log:
        answer = await call(app, "GET", "/v1/notes/N-1", headers=bearer("notes.read"))
    assert (answer.status, answer.code) == (500, "internal_error")
    (failed,) = [line for line in log.lines if line["level"] == "error"]
    assert failed["trace_id"] == answer.json["trace_id"]
    assert failed["error"] == "builtins.KeyError"
    assert any("get_note" in frame for frame in failed["frames"])
    assert_no_canary(answer.body, "a problem")


async def test_a_client_that_hangs_up_is_given_no_answer_and_nothing_is_written(
    app: FastAPI, store: MemoryStore
) -> None:
    for path in ("/v1/notes", "/v1/batches"):
        scope = http_scope("POST", path, "", {name.lower(): value for name, value in {**write(), **JSON}.items()})
        await hang_up(app, scope, b'{"unit": ')
    assert store.commits == 0


async def test_a_request_that_takes_too_long_is_given_up() -> None:
    async def never() -> None:
        await asyncio.Event().wait()

    app = operations_app(Metrics("notes", "api"), [])
    app.add_api_route("/never", never)
    app.add_middleware(Observed, rng=random.Random(1), table=ProblemTable(()), timeout_s=0.01)
    answer = await call(app, "GET", "/never")
    assert (answer.status, answer.code) == (503, "try_again")


async def test_every_answer_has_its_security_headers_and_is_not_stored(app: FastAPI) -> None:
    for path in ("/v1/notes", "/v1/nothing", "/healthz", "/docs"):
        headers = (await call(app, "GET", path, headers=bearer("notes.read"))).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        assert headers["strict-transport-security"].startswith("max-age=31536000")
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["cache-control"] == "no-store"
        assert "default-src 'none'" in headers["content-security-policy"]


async def test_a_caller_who_asks_too_often_is_told_when_to_come_back_and_no_other(store: MemoryStore) -> None:
    app = notes_app(make_ports(store), http_settings(requests_per_s=2))
    one, other = bearer("notes.read", subject="P-1"), bearer("notes.read", subject="P-2")
    answers = [await call(app, "GET", "/v1/notes", headers=one) for _ in range(2 * BURST_S + 1)]
    assert [answer.status for answer in answers] == [200] * (2 * BURST_S) + [429]
    assert answers[-1].code == "too_many_requests"
    assert answers[-1].headers["retry-after"] == "1"
    assert answers[-1].headers["x-content-type-options"] == "nosniff"
    assert (await call(app, "GET", "/v1/notes", headers=other)).status == 200
    assert (await call(app, "GET", "/healthz")).status == 200


async def test_metrics_count_requests_by_template_and_name_no_person(app: FastAPI, store: MemoryStore) -> None:
    await call(
        app, "GET", f"/v1/notes/{CANARIES['phone']}", headers=bearer("notes.read", subject=CANARIES["citizen_id"])
    )
    await call(app, "GET", f"/v1/{CANARIES['phone']}", headers=bearer("notes.read"))
    metrics = (await call(app, "GET", "/metrics")).body.decode()
    assert 'http_request_seconds_count{method="GET",route="/v1/notes/{note_id}",status="404"} 1.0' in metrics
    assert 'http_request_seconds_count{method="GET",route="unmatched",status="404"} 1.0' in metrics
    assert_no_canary(metrics, "the metrics")


async def test_the_log_has_a_line_for_each_answer_and_no_value_of_it(app: FastAPI) -> None:
    parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    with logged() as log:
        await call(
            app,
            "POST",
            f"/v1/notes?name={CANARIES['name']}",
            headers={**write(), "traceparent": parent},
            body={"unit": "340802", "text": CANARIES["name"]},
        )
    (line,) = log.lines
    assert (line["event"], line["status"], line["route"]) == ("request answered", 201, "/v1/notes")
    assert line["trace_id"] == "0af7651916cd43dd8448eb211c80319c"
    assert (line["subject"], line["client"]) == ("P-1", "client-of-P-1")


async def test_a_process_is_healthy_at_once_and_ready_only_if_its_store_answers(
    app: FastAPI, store: MemoryStore
) -> None:
    assert (await call(app, "GET", "/healthz")).status == 200
    assert (await call(app, "GET", "/readyz")).status == 200

    def fail(_: str) -> None:
        raise StoreUnavailableError("away")

    store.fault = fail
    assert (await call(app, "GET", "/healthz")).status == 200
    answer = await call(app, "GET", "/readyz")
    assert (answer.status, answer.code) == (503, "not_ready")
    assert answer.json["failing"] == ["MemoryStore.ping"]


async def test_metrics_say_whether_the_process_is_ready(app: FastAPI, store: MemoryStore) -> None:
    assert "process_ready 1.0" in (await call(app, "GET", "/metrics")).body.decode()

    def fail(_: str) -> None:
        raise StoreUnavailableError("away")

    store.fault = fail
    assert "process_ready 0.0" in (await call(app, "GET", "/metrics")).body.decode()
    store.fault = None
    assert "process_ready 1.0" in (await call(app, "GET", "/metrics")).body.decode()


async def test_metrics_count_refused_tokens_by_code(app: FastAPI) -> None:
    for headers in ({}, {"authorization": "Bearer x.y.z"}, {"authorization": "Bearer x.y.z"}, bearer("notes.read")):
        await call(app, "GET", "/v1/notes", headers=headers)
    metrics = (await call(app, "GET", "/metrics")).body.decode()
    assert 'authentication_failures_total{code="unauthenticated"} 1.0' in metrics
    assert 'authentication_failures_total{code="token_invalid"} 2.0' in metrics
    assert metrics.count("authentication_failures_total{") == 2


async def test_a_service_may_add_what_it_needs_to_be_ready(store: MemoryStore) -> None:
    async def tables_loaded() -> None:
        raise RuntimeError("no tables")

    app = notes_app(make_ports(store), http_settings(), readiness=[tables_loaded])
    answer = await call(app, "GET", "/readyz")
    assert answer.status == 503
    assert answer.json["failing"][0].endswith("tables_loaded")


async def test_cors_lets_the_named_origins_in_and_no_other(store: MemoryStore) -> None:
    app = notes_app(make_ports(store), http_settings(cors_origins="https://front.example,https://desk.example"))
    asked = {"origin": "https://desk.example", "access-control-request-method": "POST"}
    preflight = await call(app, "OPTIONS", "/v1/notes", headers=asked)
    assert preflight.status == 200
    assert preflight.headers["access-control-allow-origin"] == "https://desk.example"
    refused = await call(app, "GET", "/v1/notes", headers={"origin": "https://desk.example"})
    assert refused.status == 401
    assert refused.headers["access-control-allow-origin"] == "https://desk.example"
    other = await call(app, "GET", "/v1/notes", headers={"origin": "https://other.example"})
    assert "access-control-allow-origin" not in other.headers


async def test_changes_are_for_who_may_see_the_whole_deployment(store: MemoryStore) -> None:
    app = notes_app(make_ports(store), http_settings(deployment_area="3408"))

    async def changes(area: str, path: str = "/v1/changes") -> Any:
        return await call(app, "GET", path, headers=bearer("changes.read", area=area))

    assert (await changes("340802")).code == "outside_area"
    for area in ("*", "34", "3408"):
        answer = await changes(area)
        assert (answer.status, answer.json) == (200, {"items": [], "next": "0.0"})
    assert (await changes("3408", "/v1/changes?after=nonsense")).code == "cursor_invalid"
    missing = await call(app, "GET", "/v1/changes", headers=bearer("notes.read"))
    assert (missing.status, missing.code) == (403, "scope_missing")


async def test_time_that_stands_still_does_not_keep_a_token_alive(store: MemoryStore) -> None:
    wall = SetClock()
    app = notes_app(make_ports(store, clock=SetClock(), wall=wall), http_settings())
    headers = bearer("notes.read")
    assert (await call(app, "GET", "/v1/notes", headers=headers)).status == 200
    wall.move(timedelta(days=401))
    assert (await call(app, "GET", "/v1/notes", headers=headers)).code == "token_expired"


def route_without_scope() -> APIRouter:
    router = APIRouter()

    @router.get("/v1/open")
    async def get_open() -> dict[str, str]:
        return {}

    return router


def route_with_unknown_code() -> APIRouter:
    router = APIRouter()

    @router.get("/open", openapi_extra=refusals("never_declared"))
    async def get_open() -> dict[str, str]:
        return {}

    return router


@pytest.mark.parametrize("broken", [route_without_scope, route_with_unknown_code])
def test_an_app_does_not_start_with_a_route_without_scope_or_with_an_unknown_code(
    store: MemoryStore, broken: Callable[[], APIRouter]
) -> None:
    with pytest.raises(AssertionError, match="/open"):
        build_app(service="notes", ports=make_ports(store), settings=http_settings(), problems=(), routers=[broken()])


async def test_the_api_page_brings_all_it_needs_from_here(app: FastAPI) -> None:
    page = await call(app, "GET", "/docs")
    assert b"https://" not in page.body
    for asset in ("swagger-ui-bundle.js", "swagger-ui.css"):
        assert f"docs/static/{asset}".encode() in page.body
        assert (await call(app, "GET", f"/docs/static/{asset}")).status == 200
