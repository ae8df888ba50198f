"""Compares what the services' public reads say with what the oracle says they must."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

from deploy.history.gateway_client import Gateway
from deploy.history.loader import SENT_BEFORE, Loaded
from deploy.history.seasons import add_months, month_text, parse_month
from tests.support.oracle.judgement import Judgement, judge
from tests.support.oracle.scoreboard import Score

PAGE_ROWS: Final = 200
DIFFERENCES_SHOWN: Final = 20
CHAINS_A_UNIT: Final = 3
MONTHS_A_QUARTER: Final = 3
AGREED: Final = "all balances agree with the oracle"

Minutes = list[int]


@dataclass(slots=True)
class Verdict:
    """How much was compared, and every difference as a line that says where."""

    compared: dict[str, int] = field(default_factory=dict)
    differences: list[str] = field(default_factory=list)

    def compare(self, what: str, where: str, found: object, expected: object) -> None:
        """Counts one comparison; a difference is kept."""
        self.compared[what] = self.compared.get(what, 0) + 1
        if found != expected:
            self.differences.append(f"{what} {where}: {found}, the oracle says {expected}")

    @property
    def agrees(self) -> bool:
        """Nothing differs, and something was compared."""
        return not self.differences and bool(self.compared)

    def lines(self) -> Iterator[str]:
        """What to print."""
        yield ", ".join(f"{count:,} {what}" for what, count in self.compared.items()) + " compared"
        if self.agrees:
            yield AGREED
            return
        yield from self.differences[:DIFFERENCES_SHOWN]
        yield f"{len(self.differences):,} differences from the oracle"


async def verify(directory: Path, gateway: Gateway, loaded: Loaded | None, months: Sequence[str]) -> Verdict:
    """Compares balances, chains, unit months and scores, and, of a load just done, every receipt and refusal."""
    as_of = datetime.fromisoformat(loaded.as_of) if loaded is not None else None
    judgement = judge(directory, as_of)
    verdict = Verdict()
    await _compare_accounts(verdict, judgement, gateway)
    await _compare_months(verdict, judgement, gateway, months)
    for period in periods_of(months):
        await _compare_scores(verdict, judgement.scoreboard(period), gateway, period)
    if loaded is not None:
        _compare_refusals(verdict, judgement, loaded)
    return verdict


def periods_of(months: Sequence[str]) -> list[str]:
    """The quarters that the months fill, and the last month."""
    quarters: dict[str, int] = {}
    for month in months:
        quarter = f"{month[:4]}-Q{(int(month[5:]) + 2) // MONTHS_A_QUARTER}"
        quarters[quarter] = quarters.get(quarter, 0) + 1
    full = [quarter for quarter, count in quarters.items() if count == MONTHS_A_QUARTER]
    return [*full[-1:], months[-1]]


async def _compare_accounts(verdict: Verdict, judgement: Judgement, gateway: Gateway) -> None:
    for unit in judgement.inputs.units:
        people = await gateway.pages("/registry/v1/volunteers", unit=unit, limit=PAGE_ROWS)
        numbers = {row["volunteer_id"]: row["number"] for row in people}
        expected = [each.number for each in judgement.inputs.volunteers.values() if each.home_unit == unit]
        verdict.compare("volunteer lists", unit, sorted(numbers.values()), sorted(expected))
        balances = await gateway.pages("/hours/v1/accounts", unit=unit, limit=PAGE_ROWS)
        found = {numbers.get(row["volunteer_id"], row["volunteer_id"]): row for row in balances}
        for number in sorted({*expected, *found}):
            minutes = by_grade(found[number]["by_grade"]) if number in found else None
            verdict.compare("balances", number, minutes, judgement.account(number))
        await _walk_chains(verdict, gateway, list(found.values()))


async def _walk_chains(verdict: Verdict, gateway: Gateway, balances: Sequence[Mapping[str, Any]]) -> None:
    """Has the longest chains of a unit verified by the service itself."""
    longest = sorted(balances, key=lambda row: (-row["entries"], row["volunteer_id"]))[:CHAINS_A_UNIT]
    for row in longest:
        answer = await gateway.get(f"/hours/v1/accounts/{row['volunteer_id']}/verification")
        verdict.compare("chains", row["volunteer_id"], answer["holds"], expected=True)


def by_grade(body: Mapping[str, int]) -> Minutes:
    """Minutes by grade 0 to 3 from an answer of hours."""
    return [body[f"grade_{grade}"] for grade in range(4)]


async def _compare_months(verdict: Verdict, judgement: Judgement, gateway: Gateway, months: Sequence[str]) -> None:
    """Also the month after: a night watch ends in it."""
    for month in [*months, month_text(add_months(parse_month(months[-1]), 1))]:
        rows = await gateway.get("/hours/v1/totals", month=month)
        found = {row["unit"]: by_grade(row["by_grade"]) for row in rows}
        for unit in judgement.inputs.units:
            minutes = found.get(unit, [0, 0, 0, 0])
            verdict.compare("unit months", f"{unit} {month}", minutes, judgement.unit_month(unit, month))


async def _compare_scores(verdict: Verdict, scores: Mapping[str, Score], gateway: Gateway, period: str) -> None:
    board = await gateway.get("/assessment/v1/scoreboard", period=period)
    found = {row["unit"]: row for row in board["rows"]}
    verdict.compare("scoreboards", period, sorted(found), sorted(scores))
    for unit, score in scores.items():
        if unit not in found:
            continue
        row = found[unit]
        values = {each["indicator"]: exact(each["value"]) for each in row["indicators"]}
        for indicator, value in score.values.items():
            verdict.compare("indicators", f"{unit} {period} {indicator}", values.get(indicator), value)
        verdict.compare("scores", f"{unit} {period}", exact(row["points"]), score.points)


def exact(text: str | None) -> Fraction | None:
    """A rational from ``numerator/denominator``."""
    return None if text is None else Fraction(text)


def _compare_refusals(verdict: Verdict, judgement: Judgement, loaded: Loaded) -> None:
    for file, refused in judgement.outcome.refused.items():
        verdict.compare("receipts", file, loaded.refused.get(file), refused)
    for (door, index), code in judgement.outcome.lines.items():
        found = loaded.lines[door].get(index, "no answer")
        if found == SENT_BEFORE:
            continue
        verdict.compare("commands", f"{door}, line {index + 1}", found, code)
