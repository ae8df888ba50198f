"""A broken record is followed from the metric to the balance by the operators' page alone, on the running platform."""

import json
import re
import uuid
from pathlib import Path
from typing import Any

from kafka import KafkaProducer

from deploy.history.gateway_client import Gateway
from deploy.local.processes import Platform
from deploy.local.servers import Servers
from services.contracts.event import Event
from services.eventing.ports import Message
from tests.e2e.test_documents import ROOT, blocks, execute
from tests.support.attendance import at, checked_in, checked_out, session
from tests.support.records import Publisher
from tests.support.workers import wait_until

PAGE = (ROOT / "docs" / "parked-records.md").read_text()
UNIT = "340811"


def publish(bootstrap: str, messages: list[Message]) -> None:
    """Appends records as a relay does."""
    producer = KafkaProducer(bootstrap_servers=bootstrap)
    for each in messages:
        producer.send(each.topic, key=each.key, value=each.value, headers=list(each.headers)).get(timeout=30)
    producer.close()


def two_attendances(volunteer: str, *before: Event) -> list[Message]:
    """Two whole attendances of somebody nobody else here knows, two hours and one, and what came before them.

    The first record is the broken one: a check-in that stood alone, months after its session, would time out at once.
    """
    first, second = session(at(9), at(11)), session(at(13), at(14), number=2)
    who: dict[str, Any] = {"volunteer": volunteer, "home_unit": UNIT}
    events = [
        checked_in(at(9), first, **who),
        checked_out(at(11), first, **who),
        checked_in(at(13), second, **who),
        checked_out(at(14), second, **who),
    ]
    return Publisher(volunteer).messages([*before, *events])


def parked_now(text: str) -> dict[str, float]:
    """The metrics that the page asks for."""
    return {name: float(value) for name, value in re.findall(r"^parked_(\w+) (\S+)$", text, re.MULTILINE)}


class Operator:
    """Somebody with the page before them."""

    def __init__(self, platform: Platform, gateway: Gateway, volunteer: str) -> None:
        setting, self.metrics, self.listing, self.show, *rest = blocks(PAGE)
        self.repair, self.redrive, self.discard, self.confirm, self.balance = rest
        assert "make -s token ROLE=operator" in setting
        self.environ = {
            "SERVICE": "hours",
            "RUN": str(platform.data_dir),
            "GATEWAY": platform.gateway,
            "RELAY": platform.addresses["hours-relay"].url,
            "PARKED_URL": f"{platform.gateway}/hours",
            "PARKED_TOKEN": gateway.tokens.of("operator"),
            "SECOND_TOKEN": gateway.tokens.of("second_operator"),
            "TOKEN": gateway.tokens.of("clerk"),
            "VOLUNTEER": volunteer,
            "PARKED_ID": f"hours|{volunteer}",
        }

    def run(self, block: str, **more: str) -> str:
        return execute(block, ROOT, self.environ | more)

    def waits(self) -> list[Any]:
        """This volunteer's line in the list."""
        lines = [json.loads(line) for line in self.run(self.listing).splitlines()]
        return [line for line in lines if line["id"] == self.environ["PARKED_ID"]]

    def minutes(self) -> int:
        """What the balance says."""
        account, _ = json.JSONDecoder().raw_decode(self.run(self.balance))  # the list follows on the same line
        minutes: int = account["minutes"]
        return minutes


def test_a_broken_record_is_repaired_and_the_balance_is_right(
    platform: Platform, servers: Servers, gateway: Gateway, tmp_path: Path
) -> None:
    volunteer = str(uuid.uuid4())
    messages = two_attendances(volunteer)
    operator = Operator(platform, gateway, volunteer)
    broken = Message(messages[0].topic, messages[0].key, messages[0].value[:-40], messages[0].headers)
    publish(servers.bootstrap, [broken, *messages[1:]])
    wait_until(lambda: [line["records"] for line in operator.waits()] == [4], "the record and what follows are parked")
    (line,) = operator.waits()
    assert (line["reason"], line["minutes"]) == ("malformed", 180)
    wait_until(lambda: parked_now(operator.run(operator.metrics)).get("people") == 1, "the metric tells of it")
    assert parked_now(operator.run(operator.metrics)) == {"records": 4, "people": 1, "minutes": 180}
    shown = [json.loads(each) for each in operator.run(operator.show).splitlines()]
    assert [each["reason"] for each in shown] == ["malformed", *["behind"] * 3]
    assert shown[0]["value"] == broken.value.decode()

    corrected = tmp_path / "corrected.json"
    corrected.write_bytes(messages[0].value)
    done = json.loads(operator.run(operator.repair, CORRECTED=str(corrected)))
    assert (done["state"], done["remaining"]) == ("done", 4)
    done = json.loads(operator.run(operator.redrive))
    assert (done["state"], done["applied"], done["remaining"]) == ("done", 4, 0)
    assert operator.minutes() == 180
    assert operator.waits() == []
    wait_until(lambda: parked_now(operator.run(operator.metrics)).get("people") == 0, "the metric falls")


def test_a_record_of_a_trial_is_discarded_by_two_people(platform: Platform, servers: Servers, gateway: Gateway) -> None:
    volunteer = str(uuid.uuid4())
    messages = two_attendances(volunteer, checked_in(at(9), session(), volunteer=volunteer, home_unit=UNIT))
    operator = Operator(platform, gateway, volunteer)
    undeclared = tuple((name, b"of.nobody.v1" if name == "ce_type" else value) for name, value in messages[0].headers)
    trial = Message(messages[0].topic, messages[0].key, b"{}", undeclared)
    publish(servers.bootstrap, [trial, *messages[1:]])
    wait_until(lambda: [line["records"] for line in operator.waits()] == [5], "the record and what follows are parked")
    proposed = json.loads(operator.run(operator.discard))
    assert proposed["state"] == "proposed"
    listed, done = operator.run(operator.confirm, REQUEST_ID=proposed["request_id"]).splitlines()
    assert json.loads(listed)["request_id"] == proposed["request_id"]
    assert (json.loads(done)["state"], json.loads(done)["remaining"]) == ("done", 4)
    done = json.loads(operator.run(operator.redrive))
    assert (done["state"], done["remaining"]) == ("done", 0)
    assert operator.minutes() == 180
