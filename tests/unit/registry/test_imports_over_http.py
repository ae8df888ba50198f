"""Lists as clerks send them: what is taken, what is refused row by row, and what a repeat does."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from services.contracts.registry import OrganisationRegistered, VolunteerRegistered, VolunteerUpdated
from services.eventing.outbox import OUTBOX
from services.eventing.ports import StoreUnavailableError
from services.registry.imports import handlers
from services.registry.imports.examples import EXAMPLES
from services.registry.imports.rules import UNITS, VOLUNTEERS
from services.runtime.lists import ERRORS_SHOWN_MAX
from services.runtime.sheets import SHEET_BYTES_MAX, SHEET_ROWS_MAX
from tests.support.asgi import Answer, call
from tests.support.canaries import assert_no_canary
from tests.support.registry import (
    ORGANISATION_ROWS,
    RegistryWorld,
    id_number,
    sheet,
    volunteer_body,
    volunteer_row,
)
from tests.support.tokens import command_headers

Rows = Sequence[Mapping[str, str] | Sequence[str]]


@pytest.fixture
async def registry() -> RegistryWorld:
    return await RegistryWorld().prepare()


def counts(answer: Answer) -> tuple[int, int, int, int]:
    """Rows, accepted, unchanged, refused; they add up."""
    report = answer.json
    assert report["rows"] == report["accepted"] + report["unchanged"] + report["refused"]
    assert report["refused"] == len({error["row"] for error in report["errors"]}) or report["errors_left_off"]
    return report["rows"], report["accepted"], report["unchanged"], report["refused"]


def errors(answer: Answer) -> list[tuple[int, str, str]]:
    """Row, column and code of each error; each has a Chinese title."""
    assert all(not error["title"].isascii() for error in answer.json["errors"])
    return [(error["row"], error["column"], error["code"]) for error in answer.json["errors"]]


async def test_volunteers_are_registered_and_announced_in_one_document(registry: RegistryWorld) -> None:
    before = len(registry.store.documents(OUTBOX))
    answer = await registry.send("volunteers", sheet("volunteers", [volunteer_row(n) for n in range(1, 6)]))
    assert (answer.status, counts(answer), errors(answer)) == (200, (5, 5, 0, 0), [])
    assert len(registry.store.documents(OUTBOX)) == before + 1
    assert [type(event) for event in registry.announced()[-5:]] == [VolunteerRegistered] * 5


async def test_the_same_rows_again_are_unchanged_and_changed_ones_are_updates(registry: RegistryWorld) -> None:
    rows = [volunteer_row(n) for n in range(1, 4)]
    await registry.send("volunteers", sheet("volunteers", rows))
    before, sealed = registry.store.documents("volunteers"), registry.vault.seals
    assert counts(await registry.send("volunteers", sheet("volunteers", rows))) == (3, 0, 3, 0)
    assert registry.store.documents("volunteers") == before
    assert registry.vault.seals == sealed
    changed = [rows[0], {**rows[1], "address": "大观区松鹤路1号"}, {**rows[2], "teams": ""}]
    assert counts(await registry.send("volunteers", sheet("volunteers", changed))) == (3, 2, 1, 0)
    assert [type(event) for event in registry.announced()[-2:]] == [VolunteerUpdated] * 2
    assert sorted(registry.store.documents("volunteers")) == sorted(before)


async def test_an_import_does_not_bring_back_who_has_left(registry: RegistryWorld) -> None:
    volunteer = await registry.register()
    await registry.command("PATCH", f"/v1/volunteers/{volunteer}", {"state": "left"}, if_match="1")
    row = volunteer_row(1, retired_cadre="否")
    assert counts(await registry.send("volunteers", sheet("volunteers", [row]))) == (1, 1, 0, 0)
    assert registry.announced()[-1].state == "left"


@pytest.mark.parametrize(
    ("said", "column", "code"),
    [
        ({"number": ""}, "志愿者编号", "cell_empty"),
        ({"number": "12"}, "志愿者编号", "number_form"),
        ({"number": "15401000012"}, "志愿者编号", "number_personal"),
        ({"name": ""}, "姓名", "cell_empty"),
        ({"name": "甄银龄1"}, "姓名", "name_form"),
        ({"id_type": "护照"}, "证件类型", "cell_not_a_choice"),
        ({"id_number": ""}, "证件号码", "cell_empty"),
        ({"id_number": "3.49901E+17"}, "证件号码", "id_number_form"),
        ({"id_number": "349901195603020015"}, "证件号码", "id_number_check_digit"),
        ({"sex": "女"}, "证件号码", "id_number_sex"),
        ({"sex": "3"}, "性别", "cell_not_a_choice"),
        ({"birth_date": "1956-03-03"}, "证件号码", "id_number_birth_date"),
        ({"birth_date": "1956年"}, "出生日期", "cell_not_a_date"),
        ({"birth_date": "1956-02-30"}, "出生日期", "cell_not_a_date"),
        ({"birth_date": "1856-03-02"}, "出生日期", "cell_not_a_date"),
        ({"political_status": "99"}, "政治面貌", "political_status_unknown"),
        ({"ethnic_group": ""}, "民族", "cell_empty"),
        ({"ethnic_group": "60"}, "民族", "ethnic_group_unknown"),
        ({"mobile": "154"}, "手机号码", "mobile_form"),
        ({"home_unit": "迎江区"}, "区域", "cell_not_a_unit"),
        ({"home_unit": "340811"}, "区域", "unit_unknown"),
        ({"home_unit": "350100"}, "区域", "outside_area"),
        ({"address": "路" * 201}, "详细地址", "address_form"),
        ({"address": "路" * 1001}, "详细地址", "cell_too_long"),
        ({"address": "七号\x07"}, "详细地址", "cell_not_printable"),
        ({"registered_on": "2026/13/1"}, "注册日期", "cell_not_a_date"),
        ({"registered_on": "2026-07-02"}, "注册日期", "date_in_future"),
        ({"registered_on": "1956-03-01"}, "注册日期", "registered_before_birth"),
        ({"channel": "路过"}, "招募渠道", "cell_not_a_choice"),
        ({"retired_cadre": "1"}, "离退休干部", "cell_not_a_choice"),
        ({"teams": "一队"}, "团队编号", "organisation_id_form"),
        ({"teams": "TM-340802-777"}, "团队编号", "team_unknown"),
        ({"teams": "ST-340802-01"}, "团队编号", "organisation_not_a_team"),
        ({"teams": ";".join(f"TM-{n}" for n in range(21))}, "团队编号", "teams_too_many"),
    ],
)
async def test_a_wrong_cell_of_a_volunteer_is_named(
    registry: RegistryWorld, said: dict[str, str], column: str, code: str
) -> None:
    rows = [volunteer_row(1), volunteer_row(2, **said)]
    for dry_run in (True, False):
        answer = await registry.send("volunteers", sheet("volunteers", rows), dry_run=dry_run)
        assert (counts(answer), errors(answer)) == ((2, 1, 0, 1), [(3, column, code)])
    assert len(registry.store.documents("volunteers")) == 1


@pytest.mark.parametrize(
    "said",
    [
        {"sex": "男", "id_type": "身份证", "channel": "单位推荐"},
        {"birth_date": "1956/3/2", "registered_on": "2024/3/5"},
        {"political_status": "1", "ethnic_group": "1"},
        {"teams": "TM-340802-001；TM-340802-001 ; "},
        {"name": " 甄银龄 ", "address": "\u3000迎江区晚晴路7号"},
    ],
)
async def test_what_spreadsheets_and_clerks_do_to_cells_means_the_same(
    registry: RegistryWorld, said: dict[str, str]
) -> None:
    await registry.send("volunteers", sheet("volunteers", [volunteer_row(1)]))
    answer = await registry.send("volunteers", sheet("volunteers", [volunteer_row(1, **said)]))
    assert counts(answer) == (1, 0, 1, 0)


async def test_every_wrong_cell_of_a_row_is_named_at_once(registry: RegistryWorld) -> None:
    row = volunteer_row(1, sex="3", birth_date="x", retired_cadre="")
    answer = await registry.send("volunteers", sheet("volunteers", [row]))
    assert errors(answer) == [
        (2, "性别", "cell_not_a_choice"),
        (2, "出生日期", "cell_not_a_date"),
        (2, "离退休干部", "cell_empty"),
    ]
    row = volunteer_row(1, name="1", mobile="2", teams="TM-1")
    assert [code for _, _, code in errors(await registry.send("volunteers", sheet("volunteers", [row])))] == [
        "name_form",
        "mobile_form",
        "team_unknown",
    ]


async def test_one_person_under_two_numbers_is_refused_within_a_file_and_against_the_store(
    registry: RegistryWorld,
) -> None:
    twin = volunteer_row(1, number="340802000777")
    answer = await registry.send("volunteers", sheet("volunteers", [volunteer_row(1), volunteer_row(2), twin]))
    assert counts(answer) == (3, 1, 0, 2)
    assert errors(answer) == [(2, "证件号码", "volunteer_duplicate"), (4, "证件号码", "volunteer_duplicate")]
    await registry.send("volunteers", sheet("volunteers", [volunteer_row(1)]))
    answer = await registry.send("volunteers", sheet("volunteers", [twin]))
    assert errors(answer) == [(2, "证件号码", "volunteer_duplicate")]


async def test_a_number_that_is_another_persons_is_refused(registry: RegistryWorld) -> None:
    await registry.send("volunteers", sheet("volunteers", [volunteer_row(1)]))
    answer = await registry.send("volunteers", sheet("volunteers", [volunteer_row(2, number="340802000001")]))
    assert errors(answer) == [(2, "证件号码", "id_number_differs")]


async def test_rows_that_contradict_each_other_are_all_refused_and_repeated_ones_are_not(
    registry: RegistryWorld,
) -> None:
    rows = [volunteer_row(1), volunteer_row(1, mobile=""), volunteer_row(2), volunteer_row(2)]
    answer = await registry.send("volunteers", sheet("volunteers", rows))
    assert counts(answer) == (4, 1, 1, 2)
    assert errors(answer) == [(2, "志愿者编号", "row_contradicted"), (3, "志愿者编号", "row_contradicted")]


async def test_rows_outside_the_area_are_refused(registry: RegistryWorld) -> None:
    await registry.register(1)
    rows = [volunteer_row(1, home_unit="340803"), volunteer_row(2), volunteer_row(3, home_unit="340803")]
    answer = await registry.send("volunteers", sheet("volunteers", rows), area="340803")
    assert errors(answer) == [(2, "志愿者编号", "outside_area"), (3, "区域", "outside_area")]
    units = sheet("units", [("340802", "gbt2260", "迎江", "", "2026-01-01")])
    assert errors(await registry.send("units", units, area="340803")) == [(2, "单位代码", "outside_area")]
    roll = sheet("roll", [("340802", "2025-12-31", "1")])
    assert errors(await registry.send("roll", roll, area="340803")) == [(2, "单位代码", "outside_area")]
    teams = sheet("organisations", [ORGANISATION_ROWS[1], ("TM-1", "团队", "新队", "340802", "", "2024-01-01")])
    assert errors(await registry.send("organisations", teams, area="340803")) == [
        (2, "组织编号", "outside_area"),
        (3, "单位代码", "outside_area"),
    ]


@pytest.mark.parametrize(
    ("row", "column", "code"),
    [
        (("34081", "gbt2260", "宜秀区", "340800", "2020-01-01"), "单位代码", "cell_not_a_unit"),
        (("340811", "iso", "宜秀区", "340800", "2020-01-01"), "代码体系", "cell_not_a_choice"),
        (("340811", "gbt2260", "", "340800", "2020-01-01"), "单位名称", "cell_empty"),
        (("340811", "gbt2260", "区" * 61, "340800", "2020-01-01"), "单位名称", "cell_too_long"),
        (("340811", "gbt2260", "宜秀区", "city", "2020-01-01"), "上级代码", "cell_not_a_unit"),
        (("340811", "gbt2260", "宜秀区", "349999", "2020-01-01"), "上级代码", "unit_parent_unknown"),
        (("340811", "gbt2260", "宜秀区", "340811", "2020-01-01"), "上级代码", "unit_parent_circular"),
        (("340811", "gbt2260", "宜秀区", "340800", "1.1.2020"), "启用日期", "cell_not_a_date"),
        (("340811", "gbt2260", "宜秀区", "340800", "2028-01-01"), "启用日期", "date_too_far_ahead"),
        (("340802", "gbt2260", "迎江区", "340800", "2019-01-01"), "启用日期", "unit_version_too_early"),
    ],
)
async def test_a_wrong_cell_of_a_unit_is_named(
    registry: RegistryWorld, row: Sequence[str], column: str, code: str
) -> None:
    assert errors(await registry.send("units", sheet("units", [row]))) == [(2, column, code)]


@pytest.mark.parametrize(
    ("row", "column", "code"),
    [
        (("340802", "2025-12-31", "2,360"), "离退休干部人数", "cell_not_a_number"),
        (("340802", "2025-12-31", "-1"), "离退休干部人数", "cell_not_a_number"),
        (("340802", "2025-12-31", "1000001"), "离退休干部人数", "cell_not_a_number"),
        (("340802", "2026-07-02", "1"), "统计日期", "date_in_future"),
        (("340811", "2025-12-31", "1"), "单位代码", "unit_unknown"),
        (("", "2025-12-31", "1"), "单位代码", "cell_empty"),
    ],
)
async def test_a_wrong_cell_of_a_roll_is_named(
    registry: RegistryWorld, row: Sequence[str], column: str, code: str
) -> None:
    assert errors(await registry.send("roll", sheet("roll", [row]))) == [(2, column, code)]


@pytest.mark.parametrize(
    ("row", "column", "code"),
    [
        (("340802", "团队", "队", "340802", "", "2024-01-01"), "组织编号", "organisation_id_form"),
        (("TM-1", "社团", "队", "340802", "", "2024-01-01"), "类型", "cell_not_a_choice"),
        (("TM-1", "团队", "", "340802", "", "2024-01-01"), "名称", "cell_empty"),
        (("TM-1", "团队", "队", "340811", "", "2024-01-01"), "单位代码", "unit_unknown"),
        (("TM-1", "团队", "队", "340802", "?", "2024-01-01"), "上级编号", "organisation_id_form"),
        (("TM-1", "团队", "队", "340802", "TM-2", "2024-01-01"), "上级编号", "organisation_parent_unknown"),
        (("TM-1", "团队", "队", "340802", "TM-1", "2024-01-01"), "上级编号", "organisation_parent_circular"),
        (("TM-1", "团队", "队", "340802", "", "soon"), "成立日期", "cell_not_a_date"),
        (("TM-1", "团队", "队", "340802", "", "2028-01-01"), "成立日期", "date_too_far_ahead"),
        (("TM-340802-001", "驿站", "迎江一队", "340802", "", "2023-11-01"), "类型", "organisation_kind_fixed"),
        (
            ("ST-340802-01", "驿站", "迎江驿站", "340802", "TM-340802-001", "2021-04-01"),
            "上级编号",
            "organisation_parent_circular",
        ),
    ],
)
async def test_a_wrong_cell_of_an_organisation_is_named(
    registry: RegistryWorld, row: Sequence[str], column: str, code: str
) -> None:
    assert errors(await registry.send("organisations", sheet("organisations", [row]))) == [(2, column, code)]


async def test_children_may_stand_before_their_parents(registry: RegistryWorld) -> None:
    rows = [
        ("TM-9", "团队", "九队", "340811", "ST-9", "2024-01-01"),
        ("ST-9", "驿站", "九站", "340811", "DP-9", "2024-01-01"),
        ("DP-9", "部门", "老干部局", "340811", "", "2024-01-01"),
    ]
    unit = sheet("units", [("340811", "gbt2260", "宜秀区", "340812", "2020-01-01")])
    assert errors(await registry.send("units", unit)) == [(2, "上级代码", "unit_parent_unknown")]
    units = [
        ("340811", "gbt2260", "宜秀区", "340812", "2020-01-01"),
        ("340812", "own", "上级", "340800", "2020-01-01"),
    ]
    assert counts(await registry.send("units", sheet("units", units))) == (2, 2, 0, 0)
    assert counts(await registry.send("organisations", sheet("organisations", rows))) == (3, 3, 0, 0)
    events = registry.announced()[-3:]
    assert [event.organisation_id for event in events] == ["DP-9", "ST-9", "TM-9"]


async def test_a_child_of_a_refused_parent_is_refused(registry: RegistryWorld) -> None:
    rows = [
        ("TM-9", "团队", "九队", "340802", "ST-9", "2024-01-01"),
        ("ST-9", "驿站", "九站", "340899", "", "2024-01-01"),
    ]
    assert errors(await registry.send("organisations", sheet("organisations", rows))) == [
        (2, "上级编号", "organisation_parent_unknown"),
        (3, "单位代码", "unit_unknown"),
    ]


async def test_versions_of_a_unit_in_one_file_are_entered_by_date(registry: RegistryWorld) -> None:
    rows = [
        ("340811", "gbt2260", "宜秀新区", "340800", "2025-01-01"),
        ("340811", "gbt2260", "宜秀区", "340800", "2020-01-01"),
    ]
    assert counts(await registry.send("units", sheet("units", rows))) == (2, 2, 0, 0)
    assert (await registry.get("/v1/units/340811")).json["name"] == "宜秀新区"


async def test_an_organisation_can_change_its_name_unit_and_parent(registry: RegistryWorld) -> None:
    row = ("TM-340802-001", "团队", "大观二队", "340803", "", "2023-11-01")
    assert counts(await registry.send("organisations", sheet("organisations", [row]))) == (1, 1, 0, 0)
    event = registry.announced()[-1]
    assert isinstance(event, OrganisationRegistered)
    assert (event.name, event.unit, event.parent_id) == ("大观二队", "340803", None)


async def test_a_dry_run_says_what_an_import_would_and_changes_nothing(registry: RegistryWorld) -> None:
    rows = [volunteer_row(1), volunteer_row(2, mobile="x"), volunteer_row(3), volunteer_row(3)]
    before = registry.store.commits
    rehearsed = await registry.send("volunteers", sheet("volunteers", rows), dry_run=True)
    assert (registry.store.commits, registry.vault.keys) == (before, {})
    done = await registry.send("volunteers", sheet("volunteers", rows))
    assert rehearsed.json == {**done.json, "dry_run": True}
    assert (rehearsed.json["accepted"], rehearsed.json["unchanged"]) == (2, 1)


async def test_a_dry_run_finds_what_earlier_chunks_would_have_left(
    registry: RegistryWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(handlers, "CHUNK_ROWS_MAX", 1)
    rows = [
        ("TM-9", "团队", "九队", "340802", "ST-9", "2024-01-01"),
        ("ST-9", "驿站", "九站", "340802", "", "2024-01-01"),
    ]
    assert counts(await registry.send("organisations", sheet("organisations", rows), dry_run=True)) == (2, 2, 0, 0)
    assert counts(await registry.send("organisations", sheet("organisations", rows))) == (2, 2, 0, 0)


async def test_a_repeated_request_gets_its_first_answer(registry: RegistryWorld) -> None:
    body = sheet("volunteers", [volunteer_row(1), volunteer_row(2, sex="3")])
    first = await registry.send("volunteers", body, key="k")
    commits = registry.store.commits
    second = await registry.send("volunteers", body, key="k")
    assert (first.body, second.headers["idempotency-replayed"]) == (second.body, "true")
    assert registry.store.commits == commits
    other = await registry.send("volunteers", sheet("volunteers", [volunteer_row(3)]), key="k")
    assert (other.status, other.code) == (422, "idempotency_key_reused")


async def test_an_empty_list_is_answered_and_its_key_is_taken(registry: RegistryWorld) -> None:
    assert counts(await registry.send("volunteers", sheet("volunteers", []), key="k")) == (0, 0, 0, 0)
    other = await registry.send("volunteers", sheet("volunteers", [volunteer_row(1)]), key="k")
    assert other.code == "idempotency_key_reused"


async def test_a_broken_off_import_goes_on_where_it_stopped(
    registry: RegistryWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(handlers, "CHUNK_ROWS_MAX", 2)
    body = sheet("volunteers", [volunteer_row(n) for n in range(1, 8)])
    commits_before, left = registry.store.commits, 2

    def fail_in_the_third_chunk(step: str) -> None:
        if step == "commit" and registry.store.commits - commits_before >= left:
            raise StoreUnavailableError("cut")

    registry.store.fault = fail_in_the_third_chunk
    assert (await registry.send("volunteers", body, key="k")).code == "try_again"
    assert len(registry.store.documents("volunteers")) == 4
    registry.store.fault = None
    answer = await registry.send("volunteers", body, key="k")
    assert counts(answer) == (7, 7, 0, 0)
    assert "idempotency-replayed" not in answer.headers
    assert len([event for event in registry.announced() if isinstance(event, VolunteerRegistered)]) == 7


async def test_two_clerks_sending_the_same_list_at_once_register_everybody_once(registry: RegistryWorld) -> None:
    body = sheet("volunteers", [volunteer_row(n) for n in range(1, 30)])
    answers = await asyncio.gather(*(registry.send("volunteers", body) for _ in range(3)))
    done = [answer for answer in answers if answer.status == 200]
    assert sum(answer.json["accepted"] for answer in done) == 29
    assert len(registry.store.documents("volunteers")) == 29
    assert len([event for event in registry.announced() if isinstance(event, VolunteerRegistered)]) == 29


async def post(registry: RegistryWorld, body: bytes, media_type: str = "text/csv", kind: str = "units") -> Answer:
    """A file with any media type."""
    headers = {**command_headers(["registry.write"], "k"), "Content-Type": media_type}
    return await call(registry.app, "POST", f"/v1/imports/{kind}", headers=headers, body=body)


HEADER = ",".join(UNITS.columns.values())


@pytest.mark.parametrize(
    ("body", "media_type", "status", "code"),
    [
        (f"{HEADER}\n".encode("gb18030"), "text/csv", 422, "sheet_not_utf8"),
        (f'{HEADER}\n"340811,own\n'.encode(), "text/csv", 422, "sheet_malformed"),
        (f'{HEADER}\n"a"b,own\n'.encode(), "text/csv", 422, "sheet_malformed"),
        (b"", "text/csv", 422, "sheet_columns_wrong"),
        (f"{HEADER},备注\n".encode(), "text/csv", 422, "sheet_columns_wrong"),
        (f"{HEADER},单位代码\n".encode(), "text/csv", 422, "sheet_columns_wrong"),
        (HEADER.rpartition(",")[0].encode(), "text/csv", 422, "sheet_columns_wrong"),
        (f"{HEADER}\n".encode() + b"1,2,3,4,5\n" * (SHEET_ROWS_MAX + 1), "text/csv", 422, "sheet_too_long"),
        (b"x" * (SHEET_BYTES_MAX + 1), "text/csv", 413, "body_too_large"),
        (HEADER.encode(), "application/json", 415, "unsupported_media_type"),
        (HEADER.encode(), "", 415, "unsupported_media_type"),
    ],
)
async def test_a_file_that_is_no_such_list_is_refused(
    registry: RegistryWorld, body: bytes, media_type: str, status: int, code: str
) -> None:
    answer = await post(registry, body, media_type)
    assert (answer.status, answer.code) == (status, code)


async def test_a_wrong_header_is_told_by_our_names_only(registry: RegistryWorld) -> None:
    row = volunteer_row(1, name="甄金丝雀", address="金丝雀巷七号二单元")
    without_header = sheet("volunteers", [row]).split(b"\n", 1)[1]
    answer = await post(registry, without_header, kind="volunteers")
    assert answer.code == "sheet_columns_wrong"
    assert answer.json["missing"] == list(VOLUNTEERS.columns.values())
    assert answer.json["unknown"] == 15
    assert_no_canary(answer.body, "the refusal")


async def test_byte_order_mark_line_ends_empty_rows_and_column_order_do_not_matter(registry: RegistryWorld) -> None:
    fields = list(VOLUNTEERS.columns)[::-1]
    plain = sheet("volunteers", [volunteer_row(1), volunteer_row(2, sex="3")], columns=fields).decode()
    head, first, second, _ = plain.split("\n")
    excel = f"\ufeff{head}\r\n{first}\r\n{',' * 14}\r\n\r\n{second}\r\n".encode()
    answer = await registry.send("volunteers", excel)
    assert (counts(answer), errors(answer)) == ((2, 1, 0, 1), [(5, "性别", "cell_not_a_choice")])


async def test_a_row_with_more_cells_than_columns_is_refused_and_missing_ones_are_empty(
    registry: RegistryWorld,
) -> None:
    body = f"{HEADER}\n340811,own,甲,,2020-01-01,surplus\n340812,own,乙,,2020-01-01,,\n340813,own\n".encode()
    assert errors(await registry.send("units", body)) == [
        (2, "启用日期", "row_too_long"),
        (4, "单位名称", "cell_empty"),
        (4, "启用日期", "cell_empty"),
    ]


async def test_a_full_list_is_taken_in_chunks_while_others_are_served(registry: RegistryWorld) -> None:
    rows = [volunteer_row(n) for n in range(1, 1201)]
    served = 0

    async def serve_others() -> None:
        nonlocal served
        while True:
            await asyncio.sleep(0)
            served += 1

    others = asyncio.create_task(serve_others())
    before = len(registry.store.documents(OUTBOX))
    assert counts(await registry.send("volunteers", sheet("volunteers", rows))) == (1200, 1200, 0, 0)
    others.cancel()
    assert len(registry.store.documents(OUTBOX)) == before + 3
    assert served > 20


async def test_more_errors_than_a_page_holds_are_counted(registry: RegistryWorld) -> None:
    rows = [volunteer_row(n, sex="x", birth_date="x") for n in range(1, 601)]
    answer = await registry.send("volunteers", sheet("volunteers", rows))
    assert len(answer.json["errors"]) == ERRORS_SHOWN_MAX
    assert answer.json["errors_left_off"] == 200
    assert counts(answer) == (600, 0, 0, 600)


async def test_the_examples_of_the_document_are_accepted() -> None:
    registry = await RegistryWorld().prepare(places=False)
    for kind in ("units", "roll", "organisations", "volunteers"):
        answer = await registry.send(kind, EXAMPLES[kind].encode())
        assert (answer.status, errors(answer)) == (200, [])
        assert counts(answer)[1] == counts(answer)[0]


async def test_a_list_can_be_sent_by_people_with_the_scope_only(registry: RegistryWorld) -> None:
    headers = {**command_headers(["registry.read"], "k"), "Content-Type": "text/csv"}
    answer = await call(registry.app, "POST", "/v1/imports/units", headers=headers, body=HEADER.encode())
    assert answer.code == "scope_missing"
    del headers["Idempotency-Key"]
    headers["Authorization"] = command_headers(["registry.write"], "k")["Authorization"]
    answer = await call(registry.app, "POST", "/v1/imports/units", headers=headers, body=HEADER.encode())
    assert answer.code == "idempotency_key_missing"


async def test_registering_and_importing_the_same_person_agree(registry: RegistryWorld) -> None:
    await registry.register(1)
    assert counts(await registry.send("volunteers", sheet("volunteers", [volunteer_row(1)]))) == (1, 0, 1, 0)
    body: Any = volunteer_body(1, personal={"id_number": id_number(serial=999)})
    assert (await registry.command("POST", "/v1/volunteers", body)).code == "volunteer_number_taken"
