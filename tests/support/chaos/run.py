"""Runs one plan: a load, faults meanwhile, and when all has healed and caught up, the judge."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import httpx

from deploy.history.catch_up import CatchUp
from deploy.local.processes import GATEWAY, PROCESSES, Platform
from deploy.local.processes import KINDS as KINDS_OF
from deploy.local.servers import SERVICES, Servers
from services.contracts.topics import TOPICS
from services.runtime import metrics
from services.runtime.serving import EXIT_UNEXPECTED
from services.runtime.startup import EXIT_UNAVAILABLE
from tests.support.chaos.asking import Asking, Pace
from tests.support.chaos.commands import Commands
from tests.support.chaos.credentials import Credentials
from tests.support.chaos.endings import end_with
from tests.support.chaos.evidence import Evidence
from tests.support.chaos.faults import Faults, Stage, Suffered
from tests.support.chaos.judge import judge
from tests.support.chaos.links import Links
from tests.support.chaos.load import COMMANDS_A_SECOND, Load
from tests.support.chaos.plan import EVERY_CARD, Plan
from tests.support.chaos.platform import StruckPlatform
from tests.support.chaos.reading import (
    read_committed,
    read_ended,
    read_ends,
    read_positions,
    read_services,
    read_topics,
)
from tests.support.chaos.record import Record
from tests.support.chaos.stopping import faults_of_stops, stop_all
from tests.support.chaos.streams import faults_of_positions, repeats
from tests.support.chaos.table import row_name
from tests.support.chaos.tally import Tally, counters
from tests.support.chaos.town import SHANGHAI, real_now

TOPIC_NAMES: Final = [topic.name for topic in TOPICS]
COUNTED: Final = {
    "events_published": metrics.EVENTS_PUBLISHED.name,
    "events_applied": metrics.EVENTS_APPLIED.name,
    "duplicates_absorbed": metrics.EVENTS_DUPLICATE.name,
    "positions_lost_to_another": metrics.POSITION_MOVED.name,
    "retries": metrics.RETRIES.name,
    "commands_replayed": metrics.COMMANDS_REPLAYED.name,
    "due_work_done": metrics.DUE_WORK_DONE.name,
}
"""What is told of a run besides the verdict, by the counter it is read from."""
SERVERS_AWAY: Final = frozenset({"kill_database", "kill_broker", "full_database", "full_broker"})
LOOK_EVERY_S: Final = 1.0
LOOK_TIMEOUT_S: Final = 2.0
AT_THE_ENDS_WITHIN_S: Final = 120.0

Tell = Callable[[str], None]


@dataclass(slots=True)
class Outcome:
    """What a run came to. ``wrong``: everything that the judge found; nothing if all is well."""

    wrong: list[str]
    figures: dict[str, Any]


async def run(
    plan: Plan, platform: StruckPlatform, servers: Servers, links: Links, tell: Tell = lambda _: None
) -> Outcome:
    """Runs a plan on a fresh platform, whose processes have all ended at the end."""
    clock = asyncio.get_running_loop().time
    rng = random.Random(f"load {plan.seed}")
    record, tally, began = Record(), Tally(), clock()
    tokens = Credentials(platform.data_dir / "development-key.pem")
    async with (
        Asking(platform.gateway, tokens, random.Random(plan.seed), Pace(COMMANDS_A_SECOND)) as asking,
        _watching(platform, tally),
    ):
        load = Load(Commands(asking, record, rng), rng)
        faults = Faults(Stage(platform, servers, links, load, asking), plan.seed, tell)
        await load.prepare()
        tell(f"town founded after {clock() - began:.0f} s")
        suffered = await _under_load(load, faults, plan)
        tell(f"all faults over after {clock() - began:.0f} s, {asking.commands} commands answered")
        await _caught_up(platform, servers)
        tell(f"caught up after {clock() - began:.0f} s")
        period = _quarter(real_now())
        evidence = await read_services(asking, record, period)
        await asyncio.to_thread(_read_operators, evidence, platform, servers)
    stops = await stop_all(platform)
    full = {each.fault.target for each in suffered if each.fault.kind == "full_database"}
    away = any(each.fault.kind in SERVERS_AWAY for each in suffered)
    wrong = judge(
        record,
        evidence,
        as_of=real_now(),
        period=period,
        killed=faults.killed,
        parked=faults.parked,
        may_fail=full,
        servers_away=away,
    )
    wrong += [
        f"ended: a spare {name} with {code}"
        for name, code in faults.spares_ended
        if code != 0
        and not (code == EXIT_UNEXPECTED and name.partition("-")[0] in full)
        and not (code == EXIT_UNAVAILABLE and away)
    ]
    wrong += [f"answer: 500, {asking.troubles['500']} times"] if asking.troubles["500"] and not full else []
    wrong += faults_of_stops(stops)
    for ending in plan.endings:
        began_s = clock()
        wrong += await end_with(ending, platform, servers, plan.seed)
        suffered.append(Suffered(ending, round(began_s - began, 2), round(clock() - began_s, 2)))
        tell(f"  {ending.name} {ending.target}: stopped after {suffered[-1].healed_s:.1f} s")
    tell(f"judged after {clock() - began:.0f} s: {len(wrong)} faults found")
    figures = _figures(plan, suffered, record, evidence, asking, tally)
    slowest = {kind: max(each.seconds for each in stops if each.name.endswith(kind)) for kind in (*KINDS_OF, GATEWAY)}
    return Outcome(wrong, {**figures, "slowest_stop_s": slowest})


async def _under_load(load: Load, faults: Faults, plan: Plan) -> list[Suffered]:
    async with asyncio.TaskGroup() as group:
        working = group.create_task(load.run())
        suffered = await faults.carry_out(plan)
        load.finish()
        await working
    return suffered


@asynccontextmanager
async def _watching(platform: Platform, tally: Tally) -> AsyncIterator[None]:
    """Adds up the counters of all processes, whichever life they are in."""
    names = list(COUNTED.values())

    async def look(client: httpx.AsyncClient, process: str) -> None:
        try:
            answer = await client.get(f"{platform.addresses[process].url}/metrics")
        except httpx.TransportError:
            return
        tally.look(process, counters(answer.text, names))

    async def watch() -> None:
        async with httpx.AsyncClient(trust_env=False, timeout=LOOK_TIMEOUT_S) as client:
            while True:
                await asyncio.gather(*(look(client, process) for process in PROCESSES))
                await asyncio.sleep(LOOK_EVERY_S)

    watching = asyncio.create_task(watch())
    try:
        yield
    finally:
        watching.cancel()
        await asyncio.wait({watching})
        if not watching.cancelled():
            watching.result()


async def _caught_up(platform: Platform, servers: Servers) -> None:
    """Waits until all processes work, nothing waits in an outbox, and all positions are at the ends of the log.

    What is not there in time is for the judge to say.
    """
    await asyncio.to_thread(platform.wait_ready)
    async with CatchUp({name: address.url for name, address in platform.addresses.items()}) as catch_up:
        await catch_up.settled()
    clock = asyncio.get_running_loop().time
    give_up_at = clock() + AT_THE_ENDS_WITHIN_S
    while clock() < give_up_at:
        if not await asyncio.to_thread(lambda: list(faults_of_positions(_positions(Evidence(), servers)))):
            return
        await asyncio.sleep(LOOK_EVERY_S)


def _positions(evidence: Evidence, servers: Servers) -> Evidence:
    evidence.positions = read_positions(servers.mongodb_uris)
    evidence.committed = read_committed(servers.bootstrap, {group for group, _ in evidence.positions})
    evidence.ends = read_ends(servers.bootstrap, TOPIC_NAMES)
    return evidence


def _read_operators(evidence: Evidence, platform: Platform, servers: Servers) -> None:
    """What is not asked over HTTP. Blocks."""
    evidence.topics = read_topics(servers.bootstrap, TOPIC_NAMES)
    _positions(evidence, servers)
    evidence.ended = read_ended(platform.data_dir / "supervisord.log")
    for service in SERVICES:
        text = platform.metrics(f"{service}-relay")
        evidence.parked += int(counters(text, [metrics.PARKED_RECORDS.name])[metrics.PARKED_RECORDS.name])


def _quarter(now: datetime) -> str:
    day = now + SHANGHAI
    return f"{day.year}-Q{(day.month + 2) // 3}"


def _figures(
    plan: Plan, suffered: list[Suffered], record: Record, evidence: Evidence, asking: Asking, tally: Tally
) -> dict[str, Any]:
    """What the run went through, to be kept and cited."""
    minutes = sum(sum(account.by_grade) for account in evidence.accounts.values())
    return {
        "seed": plan.seed,
        "faults": dict(_by_kind(suffered)),
        "went": [
            {"at_s": each.began_s, "kind": each.fault.name, "target": each.fault.target, "healed_s": each.healed_s}
            for each in suffered
        ],
        "commands": asking.commands,
        "accepted": dict(sorted(record.accepted.items())),
        "refused": dict(sorted(record.refused.items())),
        "unanswered": dict(sorted(asking.troubles.items())),
        "answers_given_again": asking.replayed,
        "slowest_answer_s": round(asking.slowest_s, 1),
        "processes_restarted": evidence.ended.total(),
        **{name: tally.total(counter) for name, counter in COUNTED.items()},
        "records": sum(len(records) for records in evidence.topics.values()),
        "records_that_repeat": repeats(evidence.topics),
        "accounts": len(evidence.accounts),
        "minutes": minutes,
    }


def _by_kind(suffered: list[Suffered]) -> Iterator[tuple[str, dict[str, float]]]:
    """Of each kind and point how many were survived, and the longest that one of them took to heal."""
    for card in EVERY_CARD:
        healed = [each.healed_s for each in suffered if each.fault.card == card]
        if healed:
            yield row_name(card), {"survived": len(healed), "slowest_s": max(healed)}
