"""A programme comes in as a sheet, row by row, and comes in again without changing anything."""

from typing import Any

import pytest

from services.activities.imports.routes import SHEET_EXAMPLE
from services.activities.sheets.rules import COLUMNS, SHEET_BYTES_MAX
from services.contracts.activities import ActivityPublished, SessionPublished
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


@pytest.fixture
async def world() -> World:
    return await World().prepare()


async def test_rows_become_activities_and_sessions_with_their_own_numbers(world: World) -> None:
    answer = await send(world, sheet({}, {"场次编号": "SE-2"}, {"场次编号": "SE-3", "状态": "草稿"}))
    assert answer.json == {"rows": 3, "accepted": 3, "unchanged": 0, "errors": []}
    assert [type(event.data) for event in world.announced()] == [ActivityPublished, SessionPublished, SessionPublished]
    assert (await world.get("/v1/activities/AC-1")).json["state"] == "published"
    states = [(await world.get(f"/v1/sessions/SE-{n}")).json["state"] for n in (1, 2, 3)]
    assert states == ["published", "published", "draft"]


async def test_a_sheet_that_comes_again_changes_nothing(world: World) -> None:
    await send(world, sheet({}, {"场次编号": "SE-2"}))
    world.announced()
    answer = await send(world, sheet({}, {"场次编号": "SE-2"}))
    assert answer.json == {"rows": 2, "accepted": 0, "unchanged": 2, "errors": []}
    assert world.announced() == []


async def test_a_dry_run_says_the_same_and_changes_nothing(world: World) -> None:
    raw = sheet({}, {"场次编号": "SE-2", "人数上限": "零"})
    dry = await send(world, raw, query="?dry_run=true")
    assert (world.store.documents("activities"), world.store.documents("sessions"), world.announced()) == ({}, {}, [])
    assert (await send(world, raw)).json == dry.json


async def test_sound_rows_are_taken_in_beside_wrong_ones_each_named_in_chinese(world: World) -> None:
    answer = await send(
        world,
        sheet({}, {"场次编号": "SE-2", "组织编号": "TM-9"}, {"场次编号": "", "人数上限": "很多"}, {"场次编号": "SE-4"}),
    )
    assert (answer.json["rows"], answer.json["accepted"]) == (4, 2)
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
    assert (await send(world, sheet({}), key="k", query="?dry_run=true")).code == "idempotency_key_reused"


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
