"""Runs the whole platform on this machine on a period of a city's history: starts, loads, checks, stays up."""

import asyncio
import json
import shutil
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from deploy.history.bars import progress_bars
from deploy.history.catch_up import CatchUp
from deploy.history.gateway_client import Gateway, LoadFailed, Tokens
from deploy.history.generate import Period, generate, period
from deploy.history.loader import Loader
from deploy.history.seasons import last_full_month, last_quarter_ends
from deploy.history.sendings import History, read_history
from deploy.history.verify import Verdict, periods_of, verify
from deploy.local.processes import GATEWAY_PORT, Platform, running_platform
from deploy.local.processor_time import cpu_seconds
from deploy.local.report import Run, report
from deploy.local.servers import Servers, embedded_servers
from services.eventing.topics_tool import create_topics
from services.runtime.clock import DevelopmentClock, SystemClock
from services.runtime.development import KEY_FILE

DATA_DIR = Path(".local/run")
MADE_BY_A_RUN = ("history", "servers", "logs", "clock", "loaded.json", "processes.json")
LINGER_MS = 400
"""Months go through in minutes here: fuller batches save a third of all processor time, and nobody waits meanwhile."""
EXIT_DISAGREES = 1


@dataclass(frozen=True, slots=True)
class Scale:
    """How much of the history is loaded: so many months, of these units (none are all)."""

    months: int
    only: tuple[str, ...] = ()


SCALES = {
    "sample": Scale(1, only=("340871", "340828")),
    "month": Scale(1),
    "quarter": Scale(3),
    "city": Scale(36),
}
"""The last full month of the two smallest units, or of all; the last calendar quarter; the whole history."""


@dataclass(slots=True)
class Stopwatch:
    """Wall time by stage, in order."""

    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def timing(self, stage: str) -> Iterator[None]:
        """Adds the time of the block to a stage."""
        began = time.monotonic()
        try:
            yield
        finally:
            self.seconds[stage] = self.seconds.get(stage, 0.0) + time.monotonic() - began


def span_of(scale: str, today: date) -> Period:
    """The months that a scale means on a day. Raises ``ValueError`` for an unknown one."""
    if scale not in SCALES:
        raise ValueError(f"SCALE is one of {', '.join(SCALES)}")
    last = last_quarter_ends(today) if scale == "quarter" else last_full_month(today)
    return period(last, SCALES[scale].months)


def run(
    scale: Annotated[str, typer.Option(envvar="SCALE", help=f"One of {', '.join(SCALES)}.")] = "quarter",
    seed: Annotated[int, typer.Option(envvar="SEED", help="Same seed, same history.")] = 1,
    data_dir: Annotated[Path, typer.Option(help="Where everything is kept; emptied at the start.")] = DATA_DIR,
    gateway_port: Annotated[int, typer.Option(help="The gateway's port; 0 takes a free one.")] = GATEWAY_PORT,
    *,
    keep: Annotated[bool, typer.Option("--keep", help="Go on with the data of an earlier run.")] = False,
    exit_: Annotated[bool, typer.Option("--exit", help="End after printing instead of staying up.")] = False,
) -> None:
    """Start everything, load a period of a city's history, check it against the oracle, stay up until Ctrl-C."""
    signal.signal(signal.SIGTERM, _interrupt)
    console, watch = Console(), Stopwatch()
    span = _span(scale)
    if not keep:
        _remove_earlier_run(data_dir)
    history_dir = data_dir / "history"
    with watch.timing("generating the history"):
        if not (keep and (history_dir / "manifest.json").exists()):
            generate(seed, span, history_dir, SCALES[scale].only)
    history = read_history(history_dir)
    clock = DevelopmentClock.create(data_dir.absolute() / "clock", history.sendings[0].at)
    try:
        verdict = _serve(console, watch, history, clock, data_dir, gateway_port, stay_up=not exit_)
    except LoadFailed as failure:
        console.print(str(failure), style="bold red", markup=False)
        raise typer.Exit(EXIT_DISAGREES) from failure
    if verdict is None or not verdict.agrees:
        raise typer.Exit(EXIT_DISAGREES)


def _remove_earlier_run(data_dir: Path) -> None:
    """Removes what a run makes and nothing else: the folder may be anybody's."""
    for name in MADE_BY_A_RUN:
        path = data_dir / name
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def _span(scale: str) -> Period:
    try:
        return span_of(scale, SystemClock().now().date())
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error


def _interrupt(_number: int, _frame: object) -> None:
    raise KeyboardInterrupt


def _serve(
    console: Console,
    watch: Stopwatch,
    history: History,
    clock: DevelopmentClock,
    data_dir: Path,
    gateway_port: int,
    *,
    stay_up: bool,
) -> Verdict | None:
    """Everything between start and stop of the servers; no verdict if it was interrupted before there was one."""
    verdict: Verdict | None = None
    environ = {
        "DEVELOPMENT_CLOCK_FILE": str(data_dir.absolute() / "clock"),
        "PROCESSOR_LINGER_MS": str(LINGER_MS),
        "JWT_DEVELOPMENT_KEY_FILE": str(KEY_FILE.absolute()),  # the one that `make token` signs with
    }
    with suppress(KeyboardInterrupt), ExitStack() as started:
        with console.status("starting broker and databases"), watch.timing("starting broker and databases"):
            servers = started.enter_context(embedded_servers(data_dir / "servers"))
            create_topics(servers.bootstrap)
        with console.status("starting the processes"), watch.timing("starting the processes"):
            running = running_platform(data_dir, servers, environ, gateway_port=gateway_port or None)
            platform = started.enter_context(running)
        verdict = asyncio.run(_load_and_report(console, watch, history, clock, platform, servers))
        if stay_up:
            console.print("Up until Ctrl-C. Business time stands still from here on.")
            signal.pause()
    return verdict


async def _load_and_report(
    console: Console,
    watch: Stopwatch,
    history: History,
    clock: DevelopmentClock,
    platform: Platform,
    servers: Servers,
) -> Verdict:
    addresses = {name: address.url for name, address in platform.addresses.items()}
    tokens = Tokens(Path(platform.environ["JWT_DEVELOPMENT_KEY_FILE"]))
    async with Gateway(platform.gateway, tokens) as gateway, CatchUp(addresses) as catch_up:
        (platform.data_dir / "processes.json").write_text(json.dumps(addresses, indent=1))
        with progress_bars(console, history) as told:
            loaded = await Loader(history, gateway, catch_up, clock, told).run()
        loaded.write(platform.data_dir / "loaded.json")
        watch.seconds |= loaded.seconds
        with console.status("comparing with the oracle"), watch.timing("comparing with the oracle"):
            verdict = await verify(history.directory, gateway, loaded, history.months)
        snapshot = await catch_up.look()
        used = _cpu_seconds(platform, servers)
        told_run = Run(history.months, history.counts, loaded, verdict, watch.seconds, used, addresses)
        await report(console, told_run, gateway, snapshot, periods_of(history.months)[0])
    return verdict


def _cpu_seconds(platform: Platform, servers: Servers) -> dict[str, float]:
    """Processor time by process, the most first; of those that run now: a restarted one's earlier time is missing."""
    pids = {name: platform.pid(name) for name in platform.addresses}
    pids |= {f"database of {name}": database.pid for name, database in servers.databases.items()}
    if servers.broker is not None:
        pids["broker"] = servers.broker.pid
    used = {name: cpu_seconds(pid) for name, pid in pids.items()} | {"this program": time.process_time()}
    return {name: seconds for name, seconds in sorted(used.items(), key=lambda each: -each[1]) if seconds}
