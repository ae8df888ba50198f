"""A programme comes in as a sheet, row by row, and comes in again without changing anything."""

from typing import Any

import pytest

from services.activities.imports.routes import SHEET_EXAMPLE
from services.activities.sheets.rules import COLUMNS
from services.contracts.activities import ActivityPublished, SessionPublished
from services.eventing.ports import StoreUnavailableError
from services.runtime.sheets import SHEET_BYTES_MAX
from tests.support.activities import BRAND, OTHER_UNIT, STATION, TEAM, UNIT, World
from tests.support.asgi import Answer

PATH = "/v1/imports/activities"
CELLS = {
    "活动编号": "AC-1",
    "场次编号": "SE-1",
    "活动名称": "银龄义诊",
    "组织编号": TEAM,
    "服务单位": UNIT,
    "驿站编号": STATION,
    "品牌编号": BRAND,
    "服务类别": "health",
    "重点领域": "health_care",
    "开始时间": "2026-07-14T09:00:00+08:00",
    "结束时间": "2026-07-14T11:00:00+08:00",
    "人数上限": "20",
    "状态": "已发布",
}


def sheet(*rows: dict[str, str]) -> bytes:
    """A sheet whose rows differ from the usual one in these cells."""
    lines = [",".join({**CELLS, **row}.values()) for row in rows]
    return "\n".join([",".join(COLUMNS.values()), *lines]).encode()


async def send(world: World, raw: bytes, *, query: str = "", **by: Any) -> Answer:
    return await world.post(PATH + query, raw, headers={"content-type": "text/csv; charset=utf-8"}, **by)


def counts(answer: Answer) -> tuple[int, int, int, int]:
    """Rows, accepted, unchanged, refused."""
    return answer.json["rows"], answer.json["accepted"], answer.json["unchanged"], answer.json["refused"]


@pytest.fixture
async def world() -> World:
    return await World().prepare()


async def test_rows_become_activities_and_sessions_with_their_own_numbers(world: World) -> None:
    answer = await send(world, sheet({}, {"场次编号": "SE-2"}, {"场次编号": "SE-3", "状态": "草稿"}))
    assert counts(answer) == (3, 3, 0, 0)
    assert (answer.json["errors"], answer.json["errors_left_off"]) == ([], 0)
    assert [type(event.data) for event in world.announced()] == [ActivityPublished, SessionPublished, SessionPublished]
    assert (await world.get("/v1/activities/AC-1")).json["state"] == "published"
    states = [(await world.get(f"/v1/sessions/SE-{n}")).json["state"] for n in (1, 2, 3)]
    assert states == ["published", "published", "draft"]


async def test_a_sheet_that_comes_again_changes_nothing(world: World) -> None:
    await send(world, sheet({}, {"场次编号": "SE-2"}))
    world.announced()
    answer = await send(world, sheet({}, {"场次编号": "SE-2"}))
    assert counts(answer) == (2, 0, 2, 0)
    assert world.announced() == []


async def test_a_dry_run_says_the_same_and_changes_nothing(world: World) -> None:
    raw = sheet({}, {"场次编号": "SE-2", "人数上限": "零"})
    dry = await send(world, raw, query="?dry_run=true")
    assert (world.store.documents("activities"), world.store.documents("sessions"), world.announced()) == ({}, {}, [])
    assert (dry.json["dry_run"], counts(dry)) == (True, (2, 1, 0, 1))
    assert (await send(world, raw)).json == dry.json | {"dry_run": False}


async def test_sound_rows_are_taken_in_beside_wrong_ones_each_named_in_chinese(world: World) -> None:
    answer = await send(
        world,
        sheet({}, {"场次编号": "SE-2", "组织编号": "TM-9"}, {"场次编号": "", "人数上限": "很多"}, {"场次编号": "SE-4"}),
    )
    assert counts(answer) == (4, 2, 0, 2)
    assert answer.json["errors"] == [
        {"row": 3, "column": "组织编号", "code": "organisation_unknown", "title": "没有这个组织"},
        {"row": 4, "column": "场次编号", "code": "cell_empty", "title": "此项必填"},
        {"row": 4, "column": "人数上限", "code": "cell_not_a_number", "title": "须为一到一万的整数"},
    ]


async def test_a_draft_is_published_by_a_later_sheet(world: World) -> None:
    await send(world, sheet({"状态": "草稿"}))
    assert world.announced() == []
    assert (await send(world, sheet({}))).json["accepted"] == 1
    assert [type(event.data) for event in world.announced()] == [ActivityPublished, SessionPublished]
    created = world.store.documents("sessions")["SE-1"]
    assert (created["published"], created["created_by"]) == (True, "leader-1")


async def test_rows_outside_the_area_are_refused_by_themselves(world: World) -> None:
    raw = sheet({}, {"活动编号": "AC-2", "场次编号": "SE-2", "服务单位": OTHER_UNIT})
    answer = await send(world, raw, area=UNIT)
    assert answer.json["accepted"] == 1
    assert [(error["column"], error["code"]) for error in answer.json["errors"]] == [("服务单位", "outside_area")]


async def test_the_same_key_gets_the_same_answer(world: World) -> None:
    first = await send(world, sheet({}), key="k")
    again = await send(world, sheet({}), key="k")
    assert (again.body, again.headers["idempotency-replayed"]) == (first.body, "true")
    assert (await send(world, sheet({"场次编号": "SE-2"}), key="k")).code == "idempotency_key_reused"


def long_sheet(rows: int) -> bytes:
    """A sheet whose rows share activities across every border between chunks."""
    return sheet(*({"活动编号": f"AC-{n // 7}", "场次编号": f"SE-{n}"} for n in range(rows)))


async def test_a_long_sheet_is_taken_in_chunk_by_chunk(world: World) -> None:
    commits = world.store.commits
    assert counts(await send(world, long_sheet(1_201))) == (1_201, 1_201, 0, 0)
    assert world.store.commits == commits + 3
    events = [type(event.data) for event in world.announced()]
    assert (events.count(ActivityPublished), events.count(SessionPublished)) == (172, 1_201)


async def test_an_import_that_broke_off_goes_on_where_it_stopped(world: World) -> None:
    commits = 0

    def break_off(step: str) -> None:
        nonlocal commits
        commits += step == "commit"
        if commits == 2:
            raise StoreUnavailableError("no answer")

    world.store.fault = break_off
    raw = long_sheet(1_201)
    assert (await send(world, raw, key="k")).code == "try_again"
    assert len(world.store.documents("sessions")) == 500
    world.store.fault = None
    whole = await send(world, raw, key="k")
    assert counts(whole) == (1_201, 1_201, 0, 0)
    assert "idempotency-replayed" not in whole.headers
    again = await send(world, raw, key="k")
    assert (again.body, again.headers["idempotency-replayed"]) == (whole.body, "true")
    assert len(world.announced()) == 172 + 1_201


async def test_a_dry_run_of_a_long_sheet_finds_what_crosses_its_chunks(world: World) -> None:
    rows = [{"活动编号": f"AC-{n}", "场次编号": f"SE-{n}"} for n in range(500)]
    raw = sheet(*rows, {"活动编号": "AC-0", "场次编号": "SE-500", "活动名称": "别的"})
    dry = await send(world, raw, query="?dry_run=true")
    assert (counts(dry), dry.json["errors"][0]["code"]) == ((501, 500, 0, 1), "activity_differs")
    assert counts(await send(world, raw)) == counts(dry)


async def test_only_so_many_errors_are_shown(world: World) -> None:
    answer = await send(world, sheet(*({"场次编号": "", "人数上限": ""} for _ in range(501))))
    assert (len(answer.json["errors"]), answer.json["errors_left_off"], answer.json["refused"]) == (1_000, 2, 501)


async def test_only_sheets_are_taken_in(world: World) -> None:
    answer = await world.post(PATH, sheet({}), headers={"content-type": "application/json"})
    assert (answer.status, answer.code) == (415, "unsupported_media_type")


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (b"", "sheet_columns_wrong"),
        (b"\xff\xfe", "sheet_not_utf8"),
        (b'a,"b', "sheet_malformed"),
        (sheet(*[{}] * 5001), "sheet_too_long"),
        (b" " * (SHEET_BYTES_MAX + 1), "body_too_large"),
    ],
)
async def test_a_sheet_that_is_wrong_as_a_whole_is_refused_and_leaves_nothing(
    world: World, raw: bytes, code: str
) -> None:
    assert (await send(world, raw)).code == code
    assert (world.store.documents("activities"), world.store.documents("idempotency")) == ({}, {})


async def test_the_example_of_the_document_comes_in(world: World) -> None:
    assert (await send(world, SHEET_EXAMPLE.encode())).json["accepted"] == 1
