"""Prints what a loaded platform shows: scoreboard, totals, throughput, lag, where to look."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from rich.console import Console
from rich.table import Table

from deploy.history.catch_up import SERVICES, Snapshot
from deploy.history.gateway_client import Gateway
from deploy.history.loader import Loaded
from deploy.history.verify import Verdict, by_grade
from services.runtime.metrics import EVENTS_APPLIED, EVENTS_PUBLISHED, LAG_RECORDS, LAG_SECONDS

MINUTES_AN_HOUR = 60


@dataclass(frozen=True, slots=True)
class Run:
    """What there is to report of a run."""

    months: Sequence[str]
    counts: Mapping[str, int]
    loaded: Loaded
    verdict: Verdict
    seconds: Mapping[str, float]
    """Wall time by stage, in order."""
    cpu_seconds: Mapping[str, float]
    """Processor time by process, the most first."""
    addresses: Mapping[str, str]
    """Where each process answers."""


async def report(console: Console, run: Run, gateway: Gateway, snapshot: Snapshot, period: str) -> None:
    """Prints everything, the verdict last."""
    board = await gateway.get("/assessment/v1/scoreboard", period=period)
    console.print(scoreboard(board))
    totals = [await gateway.get("/hours/v1/totals", month=month) for month in run.months]
    console.print(_totals(run, [row for rows in totals for row in rows]))
    console.print(_flow(run, snapshot))
    console.print(_stages(run))
    if run.cpu_seconds:
        console.print(_processor_time(run))
    console.print(_addresses(run))
    for line in run.verdict.lines():
        console.print(line, style="bold green" if run.verdict.agrees else "bold red", markup=False, soft_wrap=True)


def scoreboard(board: Mapping[str, Any]) -> Table:
    """One row a unit: rank, points, and each indicator's value as a percentage, uncapped."""
    table = Table(title=f"{board['period']} 评估得分 (rule set {board['rule_set']})")
    names = [row["indicator"] for row in board["rows"][0]["indicators"]] if board["rows"] else []
    for column in ("#", "单位", "points", "of", *names):
        table.add_column(column, justify="left" if column == "单位" else "right")
    for row in board["rows"]:
        values = [_percent(each["value"]) for each in row["indicators"]]
        cells = (str(row["rank"]), row["name"], row["points_displayed"], str(float(Fraction(row["weight"]))), *values)
        table.add_row(*cells, style=None if row["complete"] else "yellow")
    return table


def _percent(value: str | None) -> str:
    return "-" if value is None else f"{float(Fraction(value) * 100):.1f} %"


def _two_columns(title: str, rows: Iterator[tuple[str, str]]) -> Table:
    table = Table(title=title, show_header=False)
    table.add_column(justify="left")
    table.add_column(justify="right")
    for row in rows:
        table.add_row(*row)
    return table


def _totals(run: Run, totals: Sequence[Mapping[str, Any]]) -> Table:
    def rows() -> Iterator[tuple[str, str]]:
        accepted = run.loaded.accepted
        yield "volunteers", f"{accepted.get('volunteers', 0):,}"
        yield "activities", f"{run.counts['activities']:,}"
        yield "sessions", f"{accepted.get('activities', 0):,}"
        yield "attendances", f"{run.loaded.attendances:,}"
        minutes = [sum(by_grade(row["by_grade"])[grade] for row in totals) for grade in range(4)]
        for grade, total in enumerate(minutes):
            yield f"hours of grade {grade}", f"{total / MINUTES_AN_HOUR:,.1f}"
        yield "hours", f"{sum(minutes) / MINUTES_AN_HOUR:,.1f}"
        refused = sum(len(rows) for rows in run.loaded.refused.values())
        yield "rows refused, as they must be", f"{refused:,}"

    return _two_columns(f"{run.months[0]} to {run.months[-1]}", rows())


def _flow(run: Run, snapshot: Snapshot) -> Table:
    seconds = sum(run.loaded.seconds.values())

    def rows() -> Iterator[tuple[str, str]]:
        for service in SERVICES:
            published = snapshot.total(f"{service}-relay", [EVENTS_PUBLISHED.name])
            yield f"events published by {service}", f"{published:,.0f}"
        for service in SERVICES:
            processor = f"{service}-processor"
            applied = snapshot.total(processor, [EVENTS_APPLIED.name])
            lag = snapshot.total(processor, [LAG_RECORDS.name])
            lag_s = snapshot.total(processor, [LAG_SECONDS.name])
            yield f"events applied by {service}", f"{applied:,.0f}, lag {lag:.0f} records, {lag_s:.1f} s"
        yield "records parked", f"{snapshot.parked:,}"
        yield "requests, retries", f"{run.loaded.requests:,}, {run.loaded.retries:,}"
        all_published = sum(snapshot.total(f"{service}-relay", [EVENTS_PUBLISHED.name]) for service in SERVICES)
        if seconds:
            yield "requests a second", f"{run.loaded.requests / seconds:,.0f}"
            yield "events published a second", f"{all_published / seconds:,.0f}"

    return _two_columns("Throughput and lag", rows())


def _stages(run: Run) -> Table:
    def rows() -> Iterator[tuple[str, str]]:
        for stage, seconds in run.seconds.items():
            yield stage, f"{seconds:.1f} s"
        yield "all", f"{sum(run.seconds.values()):.1f} s"

    return _two_columns("Where the time went", rows())


def _processor_time(run: Run) -> Table:
    def rows() -> Iterator[tuple[str, str]]:
        for name, seconds in run.cpu_seconds.items():
            yield name, f"{seconds:.1f} s"
        yield "all", f"{sum(run.cpu_seconds.values()):.1f} s"

    return _two_columns("Processor time", rows())


def _addresses(run: Run) -> Table:
    def rows() -> Iterator[tuple[str, str]]:
        gateway = run.addresses["gateway"]
        yield "gateway", gateway
        for service in SERVICES:
            yield f"API of {service}", f"{gateway}/{service}/docs"
        for name, url in run.addresses.items():
            yield f"metrics of {name}", f"{url}/metrics"
        yield "a token", "make token ROLE=city AREA=3408"

    return _two_columns("Where to look", rows())
