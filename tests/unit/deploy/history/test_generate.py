"""A generated period is reproducible, a slice of one history, and made of files that can be read."""

import csv
import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from deploy.history.batches import BATCH_ROWS_MAX
from deploy.history.generate import generate, period

BATCH_BYTES_MAX = 1024 * 1024
IMPORT_ROWS_MAX = 5_000


def digests(directory: Path) -> dict[str, str]:
    files = sorted(path for path in directory.rglob("*") if path.is_file())
    return {str(path.relative_to(directory)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def read_csv(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(path.read_text(encoding="utf-8-sig").splitlines()))


def read_lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def read_manifest(directory: Path) -> dict[str, Any]:
    manifest: dict[str, Any] = json.loads((directory / "manifest.json").read_text(encoding="utf-8"))
    return manifest


def batches_of(directory: Path) -> Iterator[tuple[dict[str, str], dict[str, Any]]]:
    """Each batch with its first line of the manifest."""
    seen = set()
    for item in read_manifest(directory)["items"]:
        if item["kind"] == "batch" and item["file"] not in seen:
            seen.add(item["file"])
            yield item, json.loads((directory / item["file"]).read_bytes())


def test_same_seed_gives_same_bytes(tmp_path: Path) -> None:
    span = period(date(2026, 8, 1), 1)
    generate(5, span, tmp_path / "one")
    generate(5, span, tmp_path / "two")
    assert digests(tmp_path / "one") == digests(tmp_path / "two")


def test_another_seed_gives_another_history(tmp_path: Path) -> None:
    span = period(date(2026, 8, 1), 1)
    generate(5, span, tmp_path / "one")
    generate(6, span, tmp_path / "two")
    one, two = digests(tmp_path / "one"), digests(tmp_path / "two")
    assert one["activities/340802-2026-08.csv"] != two["activities/340802-2026-08.csv"]
    assert one["volunteers/340802.csv"] != two["volunteers/340802.csv"]


def test_a_month_is_the_same_in_every_period_that_holds_it(quarter: Path, tmp_path: Path) -> None:
    generate(1, period(date(2026, 8, 1), 1), tmp_path)
    for path in sorted(tmp_path.glob("activities/*-2026-08.csv")):
        assert path.read_bytes() == (quarter / "activities" / path.name).read_bytes()


@pytest.mark.parametrize(("until", "months"), [(date(2026, 9, 1), 0), (date(2026, 9, 1), 36), (date(2023, 10, 1), 1)])
def test_a_period_outside_the_history_is_refused(until: date, months: int) -> None:
    with pytest.raises(ValueError, match=r"history starts|months must be"):
        period(until, months)


def test_every_file_in_the_manifest_exists_and_every_file_is_named(quarter: Path) -> None:
    manifest = read_manifest(quarter)
    named = {item["file"] for item in manifest["items"]}
    named |= {manifest["live"], manifest["back_office"], *manifest["not_taken_yet"], "manifest.json"}
    assert named == set(digests(quarter))


def test_the_manifest_is_in_order_of_time_and_keeps_each_lane_in_order(quarter: Path) -> None:
    items = read_manifest(quarter)["items"]
    assert [item["at"] for item in items] == sorted(item["at"] for item in items)
    parts: dict[tuple[str, str], list[str]] = {}
    for item in items:
        parts.setdefault((item["lane"], item["at"]), []).append(item["file"])
    assert all(files == sorted(files) for files in parts.values())


def test_batches_keep_the_limits_of_the_door(quarter: Path) -> None:
    for item, batch in batches_of(quarter):
        assert 1 <= len(batch["rows"]) <= BATCH_ROWS_MAX
        assert (quarter / item["file"]).stat().st_size <= BATCH_BYTES_MAX
        assert [row["row"] for row in batch["rows"]] == list(range(1, len(batch["rows"]) + 1))
        assert {row["action"] for row in batch["rows"]} <= (
            {"check_in", "check_out"} if batch["kind"] == "kiosk" else {"attended"}
        )


def test_imports_keep_the_limits_of_the_door(quarter: Path) -> None:
    for item in read_manifest(quarter)["items"]:
        if item["kind"] != "batch":
            assert 1 <= len(read_csv(quarter / item["file"])) <= IMPORT_ROWS_MAX


def test_nothing_is_said_of_the_future(quarter: Path) -> None:
    for item, batch in batches_of(quarter):
        sent = datetime.fromisoformat(item["at"])
        for row in batch["rows"]:
            assert datetime.fromisoformat(row["to" if batch["kind"] == "roster" else "at"]) <= sent


def test_two_lanes_never_touch_the_same_attendance_at_the_same_time(quarter: Path) -> None:
    """What goes out at one time goes out concurrently; its outcome must not depend on who comes first."""
    touched: dict[tuple[str, str, str], set[str]] = {}
    manifest = read_manifest(quarter)
    for item in manifest["items"]:
        if item["kind"] == "batch":
            for row in json.loads((quarter / item["file"]).read_bytes())["rows"]:
                touched.setdefault((item["at"], row["number"], row["session_id"]), set()).add(item["lane"])
    for line in read_lines(quarter / "back_office.jsonl"):
        if line["command"] == "propose":
            touched.setdefault((line["at"], line["number"], line["session_id"]), set()).add(line["proposal"])
    for line in read_lines(quarter / "live.jsonl"):
        touched.setdefault((line["at"], line["actor"]["number"], line["session_id"]), set()).add("live")
    assert [key for key, lanes in touched.items() if len(lanes) > 1] == []


def test_nobody_does_two_things_in_the_same_live_minute(quarter: Path) -> None:
    lines = read_lines(quarter / "live.jsonl")
    assert [line["at"] for line in lines] == sorted(line["at"] for line in lines)
    assert max(Counter((line["at"], line["actor"]["number"]) for line in lines).values()) == 1


def test_no_two_people_share_a_number_an_identity_or_a_mobile(quarter: Path) -> None:
    rows = [row for path in sorted(quarter.glob("volunteers/*.csv")) for row in read_csv(path)]
    for column in ("志愿者编号", "证件号码", "手机号码"):
        assert len({row[column] for row in rows}) == len(rows)


def test_files_name_only_what_earlier_files_brought(quarter: Path) -> None:
    """Registry and activities take every row: what it refers to has come before it."""
    known: set[str] = set()
    for item in read_manifest(quarter)["items"]:
        if item["kind"] == "batch":
            continue
        for row in read_csv(quarter / item["file"]):
            refers = [
                row.get(column, "") for column in ("上级代码", "上级编号", "区域", "组织编号", "服务单位", "驿站编号")
            ]
            if item["kind"] == "organisations":
                refers = [row["单位代码"], row["上级编号"]]
                known.add(row["组织编号"])
            if item["kind"] == "units":
                known.add(row["单位代码"])
            refers += row.get("团队编号", "").split(";")
            assert [each for each in refers if each and each not in known] == [], item["file"]


def test_those_who_join_meanwhile_come_only_after_their_list(quarter: Path) -> None:
    sent: dict[str, str] = {}
    manifest = read_manifest(quarter)
    for item in manifest["items"]:
        if item["kind"] == "volunteers":
            sent |= {row["志愿者编号"]: item["at"] for row in read_csv(quarter / item["file"])}
    joined = {number: at for number, at in sent.items() if at > manifest["starts_at"]}
    assert len(joined) > 200
    first_rows = [
        (row["number"], row["from"] if batch["kind"] == "roster" else row["at"])
        for _, batch in batches_of(quarter)
        for row in batch["rows"]
        if row["number"] in joined
    ]
    assert first_rows
    assert all(at > joined[number] for number, at in first_rows)


def test_the_last_days_come_live(quarter: Path) -> None:
    lines = read_lines(quarter / "live.jsonl")
    first = datetime.fromisoformat(lines[0]["at"])
    assert first.date() == date(2026, 9, 29)
    assert {line["command"] for line in lines} == {"sign_up", "check_in", "check_out"}
    kiosks = [row["at"] for _, batch in batches_of(quarter) if batch["kind"] == "kiosk" for row in batch["rows"]]
    assert datetime.fromisoformat(max(kiosks)) < first + timedelta(hours=1)


def test_bought_hours_are_five_typed_in_within_two_minutes(quarter: Path) -> None:
    lines = read_lines(quarter / "back_office.jsonl")
    alone = {line["proposal"] for line in lines if line["command"] == "approve" and line["actor"]["id"].endswith("-1")}
    bought = [line for line in lines if line["command"] == "propose" and line["proposal"] in alone]
    times = sorted(datetime.fromisoformat(line["at"]) for line in bought)
    minutes = sum(
        (datetime.fromisoformat(line["to"]) - datetime.fromisoformat(line["from"])) / timedelta(minutes=1)
        for line in bought
    )
    assert minutes == 300
    assert times[-1] - times[0] <= timedelta(minutes=2)
    assert len({line["number"] for line in bought}) == 1


def test_every_unit_sends_its_own_lists(quarter: Path) -> None:
    for path in quarter.glob("volunteers/*.csv"):
        unit = re.split(r"[-.]", path.name)[0]
        assert {row["区域"] for row in read_csv(path)} == {unit}
