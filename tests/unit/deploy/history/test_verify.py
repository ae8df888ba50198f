"""Verifying finds every figure that differs from the oracle's, and says where."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from deploy.history.gateway_client import Gateway, Tokens
from deploy.history.loader import Loaded
from deploy.history.verify import AGREED, Verdict, periods_of, verify
from tests.support.histories import VOLUNTEER, History, at, command, line, reading
from tests.support.oracle.judgement import Judgement

Spoil = Callable[[str, dict[str, Any]], None]


class Services:
    """Answers what the oracle says, unless a test spoils it."""

    def __init__(self, judgement: Judgement, spoil: Spoil) -> None:
        self._judgement = judgement
        self._spoil = spoil

    def answer(self, request: httpx.Request) -> httpx.Response:
        query = request.url.params
        kind = request.url.path.rpartition("/")[2]
        match kind:
            case "volunteers":
                body: Any = {"items": self._people(query["unit"]), "next": None}
            case "accounts":
                body = {"items": self._balances(query["unit"]), "next": None}
            case "verification":
                body = {"holds": True}
            case "totals":
                body = [self._month(unit, query["month"]) for unit in self._judgement.inputs.units]
            case _:
                body = {"rows": self._scores(query["period"])}
        for item in body if isinstance(body, list) else body.get("items") or body.get("rows") or [body]:
            self._spoil(kind, item)
        return httpx.Response(200, json=body)

    def _people(self, unit: str) -> list[dict[str, Any]]:
        people = [each for each in self._judgement.inputs.volunteers.values() if each.home_unit == unit]
        return [{"volunteer_id": f"id-{each.number}", "number": each.number} for each in people]

    def _balances(self, unit: str) -> list[dict[str, Any]]:
        return [
            {
                "volunteer_id": person["volunteer_id"],
                "by_grade": grades(self._judgement.account(person["number"])),
                "entries": 1,
            }
            for person in self._people(unit)
        ]

    def _month(self, unit: str, month: str) -> dict[str, Any]:
        return {"unit": unit, "by_grade": grades(self._judgement.unit_month(unit, month))}

    def _scores(self, period: str) -> list[dict[str, Any]]:
        return [
            {
                "unit": unit,
                "points": str(score.points),
                "indicators": [
                    {"indicator": name, "value": None if value is None else str(value)}
                    for name, value in score.values.items()
                ],
            }
            for unit, score in self._judgement.scoreboard(period).items()
        ]


def grades(minutes: list[int]) -> dict[str, int]:
    return {f"grade_{grade}": each for grade, each in enumerate(minutes)}


def leave(_kind: str, _item: dict[str, Any]) -> None:
    return


def loaded_of(judgement: Judgement) -> Loaded:
    loaded = Loaded(as_of=judgement.as_of.isoformat(), refused=dict(judgement.outcome.refused))
    for (door, index), code in judgement.outcome.lines.items():
        loaded.lines[door][index] = code
    return loaded


async def verdict_of(
    tmp_path: Path, spoil: Spoil = leave, loaded: Callable[[Loaded], None] = lambda _: None
) -> Verdict:
    directory = tmp_path / "history"
    directory.mkdir()
    history = History(directory).volunteer().volunteer("V2", unit="340828").session()
    history.kiosk(reading("check_in", at("09:00")), reading("check_out", at("11:00"))).roster(line(number="V2"))
    history.live.append(command("sign_up", at("12:00")))
    judgement = history.judge()
    answers = loaded_of(judgement)
    loaded(answers)
    transport = httpx.MockTransport(Services(judgement, spoil).answer)
    async with Gateway("http://platform", Tokens(tmp_path / "key.pem"), transport=transport) as gateway:
        return await verify(directory, gateway, answers, ["2026-07"])


async def test_services_that_say_what_the_oracle_says_agree(tmp_path: Path) -> None:
    verdict = await verdict_of(tmp_path)
    assert verdict.differences == []
    assert list(verdict.lines())[-1] == AGREED
    assert set(verdict.compared) == {
        "volunteer lists",
        "balances",
        "chains",
        "unit months",
        "scoreboards",
        "indicators",
        "scores",
        "receipts",
        "commands",
    }


def one_minute_more(kind: str, item: dict[str, Any]) -> None:
    if kind == "accounts" and item["volunteer_id"] == f"id-{VOLUNTEER}":
        item["by_grade"]["grade_2"] += 1


def another_grade(kind: str, item: dict[str, Any]) -> None:
    if kind == "accounts" and item["volunteer_id"] == f"id-{VOLUNTEER}":
        item["by_grade"] = grades([0, 120, 0, 0])


def month_off(kind: str, item: dict[str, Any]) -> None:
    if kind == "totals" and item["unit"] == "340828":
        item["by_grade"]["grade_1"] -= 1


def points_off(kind: str, item: dict[str, Any]) -> None:
    if kind == "scoreboard" and item["unit"] == "340802":
        item["points"] = "1/3"


def value_off(kind: str, item: dict[str, Any]) -> None:
    if kind == "scoreboard" and item["unit"] == "340802":
        item["indicators"][0]["value"] = "1/1000"


def chain_broken(kind: str, item: dict[str, Any]) -> None:
    if kind == "verification":
        item["holds"] = False


def stranger(kind: str, item: dict[str, Any]) -> None:
    if kind == "accounts" and item["volunteer_id"] == f"id-{VOLUNTEER}":
        item["volunteer_id"] = "id-unheard-of"


@pytest.mark.parametrize(
    ("spoil", "where"),
    [
        (one_minute_more, f"balances {VOLUNTEER}: [0, 0, 121, 0], the oracle says [0, 0, 120, 0]"),
        (another_grade, f"balances {VOLUNTEER}"),
        (month_off, "unit months 340828 2026-07"),
        (points_off, "scores 340802 2026-07"),
        (value_off, "indicators 340802 2026-07 I5"),
        (chain_broken, "chains id-"),
        (stranger, "balances id-unheard-of"),
    ],
)
async def test_what_is_spoilt_is_found_and_named(tmp_path: Path, spoil: Spoil, where: str) -> None:
    verdict = await verdict_of(tmp_path, spoil)
    assert not verdict.agrees
    assert any(difference.startswith(where) for difference in verdict.differences), verdict.differences
    assert AGREED not in list(verdict.lines())


def refuse_a_row(loaded: Loaded) -> None:
    loaded.refused["kiosk"] = [(1, "card_invalid")]


def forget_a_receipt(loaded: Loaded) -> None:
    del loaded.refused["roster"]


def accept_a_command(loaded: Loaded) -> None:
    loaded.lines["live"][0] = None


@pytest.mark.parametrize(
    ("change", "where"),
    [
        (refuse_a_row, "receipts kiosk"),
        (forget_a_receipt, "receipts roster"),
        (accept_a_command, "commands live, line 1: None, the oracle says session_closed"),
    ],
)
async def test_a_wrong_answer_is_found_and_named(tmp_path: Path, change: Callable[[Loaded], None], where: str) -> None:
    verdict = await verdict_of(tmp_path, loaded=change)
    assert [difference for difference in verdict.differences if difference.startswith(where)], verdict.differences


async def test_what_an_earlier_load_sent_is_not_compared(tmp_path: Path) -> None:
    def sent_before(loaded: Loaded) -> None:
        loaded.lines["live"][0] = "sent_before"

    assert (await verdict_of(tmp_path, loaded=sent_before)).agrees


def test_no_comparison_is_no_agreement() -> None:
    assert not Verdict().agrees


def test_only_the_first_differences_are_shown() -> None:
    verdict = Verdict()
    for number in range(50):
        verdict.compare("balances", str(number), found=1, expected=2)
    assert len(list(verdict.lines())) == 22


def test_scores_are_compared_for_the_last_full_quarter_and_the_last_month() -> None:
    months = [f"2026-{month:02d}" for month in range(3, 11)]
    assert periods_of(months) == ["2026-Q3", "2026-10"]
    assert periods_of(["2026-07"]) == ["2026-07"]
