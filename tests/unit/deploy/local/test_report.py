"""The report of a run shows what the services say."""

from pathlib import Path
from typing import Any

import httpx
from rich.console import Console

from deploy.history.catch_up import SERVICES, Snapshot, parse
from deploy.history.gateway_client import Gateway, Tokens
from deploy.history.loader import Loaded
from deploy.history.verify import AGREED, Verdict
from deploy.local.report import Run, report
from services.eventing.ports import TopicPartition
from services.runtime.metrics import Metrics

ROW = {
    "unit": "340828",
    "name": "岳西县",
    "rank": 1,
    "points": "17/2",
    "points_displayed": "8.50",
    "weight": "24",
    "complete": True,
    "indicators": [{"indicator": "I5", "value": "1/8"}, {"indicator": "I10", "value": None}],
}
TOTALS = [{"unit": "340828", "by_grade": {"grade_0": 0, "grade_1": 90, "grade_2": 30, "grade_3": 0}}]


def answer(request: httpx.Request) -> httpx.Response:
    body: Any = TOTALS
    if request.url.path.endswith("/scoreboard"):
        body = {"period": request.url.params["period"], "rule_set": "2026-1", "rows": [ROW]}
    return httpx.Response(200, json=body)


def snapshot() -> Snapshot:
    said = Snapshot()
    for service in SERVICES:
        relay, processor = Metrics(service, "relay"), Metrics(service, "processor")
        relay.relay_published(1_234)
        processor.batch_committed(TopicPartition("t", 0), records=56, applied=56, seconds=0.1)
        said.processes[f"{service}-relay"] = parse(relay.text().decode())
        said.processes[f"{service}-processor"] = parse(processor.text().decode())
    return said


async def printed(tmp_path: Path, verdict: Verdict) -> str:
    loaded = Loaded(accepted={"volunteers": 427, "activities": 84}, attendances=811, seconds={"batches": 2.0})
    loaded.refused = {"a.json": [(1, "card_invalid")], "b.json": []}
    addresses = {"gateway": "http://127.0.0.1:8080", "hours-api": "http://127.0.0.1:8081"}
    run = Run(
        ["2026-07"], {"activities": 38}, loaded, verdict, {"starting": 1.0, "batches": 2.0}, {"api": 4.5}, addresses
    )
    console = Console(record=True, width=120, force_terminal=False)
    transport = httpx.MockTransport(answer)
    async with Gateway("http://platform", Tokens(tmp_path / "key.pem"), transport=transport) as gateway:
        await report(console, run, gateway, snapshot(), "2026-07")
    return console.export_text()


async def test_everything_that_was_asked_for_is_printed(tmp_path: Path) -> None:
    text = await printed(tmp_path, Verdict({"balances": 427}))
    for shown in (
        "岳西县",
        "8.50",
        "12.5 %",
        "427",
        "1.5",
        "0.5",
        "811",
        "1,234",
        "56, lag 0 records",
        "3.0 s",
        "4.5 s",
    ):
        assert shown in text, shown
    assert "http://127.0.0.1:8080/hours/docs" in text
    assert "http://127.0.0.1:8081/metrics" in text
    assert text.rstrip().endswith(AGREED)


async def test_differences_are_the_last_word(tmp_path: Path) -> None:
    verdict = Verdict({"balances": 1}, ["balances V1: [0, 0, 1, 0], the oracle says [0, 0, 2, 0]"])
    text = await printed(tmp_path, verdict)
    assert AGREED not in text
    assert "balances V1: [0, 0, 1, 0], the oracle says [0, 0, 2, 0]" in text
    assert text.rstrip().endswith("1 differences from the oracle")
