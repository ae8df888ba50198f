"""One check-in is one trace: from the gateway to the published score, by one trace id, on real processes."""

from typing import Any

import httpx
import pytest

from deploy.history.gateway_client import Gateway
from tests.e2e.test_personal_data import shown
from tests.support.collector import Collector
from tests.support.town import HOUR, Town, kiosk_batch, now, until

TRACE = "7e57ab1e000000000000000000000001"
STEPS = {
    ("gateway-gateway", "POST /activities/*"),
    ("activities-api", "POST /v1/batches"),
    ("activities-relay", "publish activities.attendance.checked_in.v1"),
    ("activities-relay", "publish activities.attendance.checked_out.v1"),
    ("hours-processor", "process activities.attendance.checked_in.v1"),
    ("hours-processor", "process activities.attendance.checked_out.v1"),
    ("hours-relay", "publish hours.entry.posted.v1"),
    ("assessment-processor", "process hours.entry.posted.v1"),
    ("assessment-relay", "publish assessment.score.published.v1"),
}


@pytest.mark.usefixtures("town")
async def test_one_check_in_is_one_trace_from_http_to_score(town: Town, gateway: Gateway, collector: Collector) -> None:
    number, started = "340802000006", now() - 2 * HOUR
    await town.publish("SE-trace-1", started, started + 2 * HOUR)
    batch = kiosk_batch(
        [
            ("SE-trace-1", number, "check_in", started + HOUR / 2),
            ("SE-trace-1", number, "check_out", started + HOUR),
        ]
    )
    headers = {
        "Authorization": f"Bearer {gateway.tokens.of('loader')}",
        "Content-Type": "application/json",
        "traceparent": f"00-{TRACE}-{1:016x}-01",
    }

    async def send() -> Any:
        async with httpx.AsyncClient(base_url=gateway.address, headers=headers, trust_env=False) as client:
            return (await client.post("/activities/v1/batches", content=batch)).json()

    receipt = await until(send, lambda answer: "accepted" in answer)
    assert receipt["refused"] == []

    async def steps() -> set[tuple[str, str]]:
        return {(span.process, span.name) for span in collector.of(TRACE)}

    await until(steps, lambda seen: seen >= STEPS, within_s=60.0)
    known = {span.span_id for span in collector.of(TRACE)} | {f"{1:016x}"}
    assert {span.parent_id for span in collector.of(TRACE)} <= known, "no step hangs in the air"
    assert shown(repr(collector.of(TRACE))) == []
    assert town.volunteers[number] not in repr(collector.of(TRACE))


def test_what_is_not_sampled_is_not_sent(collector: Collector) -> None:
    assert {span.trace_id for span in collector.spans} <= {TRACE}
