"""A real Prometheus on the running platform finds what is asked for; alerts fire, and their runbooks clear them."""

import asyncio
import json
import os
import re
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from itertools import count

import httpx
import pytest
from kafka import KafkaProducer

from deploy.history.gateway_client import Gateway
from deploy.local.processes import PROCESSES, Platform
from deploy.local.servers import Servers
from tests.support.observability import MADE_BY_PROMETHEUS, ROOT, queries
from tests.support.prometheus import Prometheus, execute, running_prometheus, until
from tests.support.town import HOUR, Town, now
from tests.support.town import until as until_read

DOCS = ROOT / "docs"
NOT_HERE = re.compile(
    r"parity_|backup_|5\.\.|ALERTS|authentication_failures|duplicate|ignored|position_moved|records_parked|retries_total"
)
"""Queries of what does not run here, or has not happened on a healthy platform: they are answered, with nothing."""
SCRAPED_WITHIN_S = 1.5
TIMEOUTS = "hours.timeouts"
"""A topic that hours alone reads, keyed by volunteer."""


@pytest.fixture(scope="module")
def prometheus(platform: Platform, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    with running_prometheus(platform, tmp_path_factory.mktemp("prometheus")) as started:
        until(lambda: started.query("count(up == 1)"), "something is scraped")
        until(lambda: started.number("count(up == 1)") == len(PROCESSES), "all processes are scraped")
        yield started


@dataclass(frozen=True)
class Runbook:
    """A page's commands, run as an operator would run them."""

    name: str
    environ: dict[str, str]

    def blocks(self) -> list[str]:
        return re.findall(r"```sh\n(.*?)```", (DOCS / f"{self.name}.md").read_text(), re.DOTALL)

    def run(self, block: str) -> str:
        return execute(block, ROOT, os.environ | self.environ)


def environ_of(platform: Platform, prometheus: Prometheus) -> dict[str, str]:
    return {
        "PROMETHEUS": prometheus.url,
        "GATEWAY": platform.gateway,
        "PROCESS": platform.addresses["hours-processor"].url,
        "SERVICE": "hours",
        "RUN": str(platform.data_dir),
        "COLUMNS": "240",
    }


async def test_every_query_is_answered_from_what_processes_tell(town: Town, prometheus: Prometheus) -> None:
    numbers = count()

    async def rate_after_one_more() -> object:
        """The relays may have started anew since the town was founded: nothing was published before them."""
        await town.publish(f"SE-alerts-{next(numbers)}", now(), now() + HOUR)
        await asyncio.sleep(SCRAPED_WITHIN_S)
        return prometheus.query("sum(rate(events_published_total[5m])) > 0")

    await until_read(rate_after_one_more, bool)
    until(lambda: prometheus.query("events_applied_total > 0"), "facts are applied")
    declared = prometheus.metadata()
    for query in queries():
        for name in query.asks().keys() - MADE_BY_PROMETHEUS.keys():
            assert name in declared or re.sub(r"_(bucket|sum|count)$", "", name) in declared, query
        prometheus.query(query.expr)
        is_alert = query.where.partition(":")[0].endswith(".yml") and "its words" not in query.where
        if not is_alert and not NOT_HERE.search(query.expr):  # a counter may be there only once it has counted
            until(partial(prometheus.query, query.expr), f"{query} is answered")


def test_a_healthy_platform_alerts_nobody(prometheus: Prometheus) -> None:
    until(lambda: prometheus.number("min(process_ready)") == 1, "all are ready")
    # Without their hours of patience, two rules miss what does not run here; whether they wait is promtool's to say.
    firing = {each["metric"]["alertname"] for each in prometheus.query('ALERTS{alertstate="firing"}')}
    assert firing <= {"BackupTooOld"}


def test_every_command_of_every_runbook_runs(platform: Platform, prometheus: Prometheus) -> None:
    done: set[str] = set()
    for name in ["operations", *sorted(f"runbooks/{path.stem}" for path in (DOCS / "runbooks").glob("*.md"))]:
        runbook = Runbook(name, environ_of(platform, prometheus))
        assert runbook.blocks(), name
        for block in runbook.blocks():
            if "PARKED_ID" not in block and block not in done:  # those need somebody who waits: see below
                runbook.run(block)
                done.add(block)


def test_a_process_that_is_down_alerts_and_clears_when_it_is_back(platform: Platform, prometheus: Prometheus) -> None:
    platform.stop_process("hours-relay")
    try:
        until(lambda: prometheus.firing("ProcessDown", service="hours", process="relay"), "ProcessDown fires")
        until(lambda: prometheus.firing("NobodyLeads", service="hours"), "NobodyLeads fires")
        (alert,) = prometheus.firing("ProcessDown")
        assert alert["annotations"]["summary"] == "No relay of hours answers"
        runbook = Runbook("runbooks/ProcessDown", environ_of(platform, prometheus))
        look, _ = runbook.blocks()
        assert '"process":"relay"' in runbook.run(look)
    finally:
        platform.start_process("hours-relay")
    platform.wait_ready("hours-relay")
    until(lambda: not prometheus.firing("ProcessDown"), "ProcessDown clears")
    until(lambda: not prometheus.firing("NobodyLeads"), "NobodyLeads clears")


def test_refused_tokens_alert_and_clear_when_the_attempts_end(platform: Platform, prometheus: Prometheus) -> None:
    url = f"{platform.gateway}/hours/v1/accounts"

    def attempt() -> bool:
        with httpx.Client(trust_env=False) as client:
            for _ in range(30):
                client.get(url, headers={"authorization": "Bearer a.b.c"})
        return bool(prometheus.firing("TokensRefused", service="hours"))

    until(attempt, "TokensRefused fires")
    until(lambda: not prometheus.firing("TokensRefused"), "TokensRefused clears")


async def test_one_parked_record_is_followed_from_alert_to_clearing_by_its_runbook(
    platform: Platform, prometheus: Prometheus, servers: Servers, gateway: Gateway, town: Town
) -> None:
    volunteer = str(uuid.uuid4())
    park(servers.bootstrap, volunteer)
    until(lambda: prometheus.firing("VolunteersWaitInParking", service="hours"), "the alert fires")
    (alert,) = prometheus.firing("VolunteersWaitInParking")
    assert alert["annotations"]["summary"].startswith("1 volunteers wait in parking of hours")
    assert "0 minutes of service" in alert["annotations"]["description"]

    environ = environ_of(platform, prometheus) | {
        "PARKED_ID": f"hours|{volunteer}",
        "PARKED_TOKEN": gateway.tokens.of("operator"),
        "SECOND_TOKEN": gateway.tokens.of("second_operator"),
        "PARKED_URL": platform.addresses["hours-api"].url,
    }
    runbook = Runbook("runbooks/VolunteersWaitInParking", environ)
    numbers, listed, shown, redriven, discarded, cleared = runbook.blocks()
    assert '"1"]' in runbook.run(numbers)
    assert "malformed" in runbook.run(listed)
    assert json.loads(runbook.run(shown))["value"] == "not JSON"
    assert json.loads(runbook.run(redriven))["state"] == "still_failing"
    assert json.loads(runbook.run(discarded))["state"] == "done"
    until(lambda: not prometheus.firing("VolunteersWaitInParking"), "the alert clears")
    assert '"1"]' not in runbook.run(cleared)


def park(bootstrap: str, volunteer: str) -> None:
    """Writes a record that no release can read under a key of its own."""
    headers = [
        ("ce_id", str(uuid.uuid4()).encode()),
        ("ce_type", b"hours.attendance.timed_out.v1"),
        ("ce_sequence", b"1"),
    ]
    producer = KafkaProducer(bootstrap_servers=bootstrap)
    producer.send(TIMEOUTS, key=volunteer.encode(), value=b"not JSON", headers=headers).get(timeout=30)
    producer.close()
