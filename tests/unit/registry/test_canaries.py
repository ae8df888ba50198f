"""What is personal comes out only where it is asked for: in no topic, log, metric, error, kept answer or document."""

from collections.abc import Sequence

import bson
import pytest

from services.eventing.outbox import OUTBOX
from tests.support.asgi import Answer
from tests.support.canaries import CANARIES, assert_no_canary, logged
from tests.support.registry import RegistryWorld, sheet, volunteer_body, volunteer_row

PERSONAL = {
    "name": CANARIES["name"],
    "id_number": CANARIES["citizen_id"],
    "birth_date": CANARIES["birth_date"],
    "mobile": CANARIES["phone"],
    "address": CANARIES["address"],
}
REVEAL = ("registry.read", "volunteers.reveal")


@pytest.fixture
async def registry() -> RegistryWorld:
    return await RegistryWorld().prepare()


def canary_row(**said: str) -> dict[str, str]:
    """The canary as a line of a list."""
    return volunteer_row(1, **(PERSONAL | said))


async def everything(registry: RegistryWorld) -> Sequence[Answer]:
    """Registers, refuses, edits, imports and reads the canary in every way there is; all answers but the revealing."""
    sent = sheet("volunteers", [canary_row()])
    answers = [
        await registry.command("POST", "/v1/volunteers", volunteer_body(personal={**PERSONAL, "mobile": "1"})),
        await registry.command(
            "POST", "/v1/volunteers", volunteer_body(personal={**PERSONAL, "sex": PERSONAL["name"]})
        ),
        await registry.command(
            "POST", "/v1/volunteers", volunteer_body(number=PERSONAL["id_number"], personal=PERSONAL)
        ),
        await registry.command(
            "POST", "/v1/volunteers", volunteer_body(home_unit=PERSONAL["address"], personal=PERSONAL)
        ),
        await registry.command("POST", "/v1/volunteers", volunteer_body(personal=PERSONAL, **{PERSONAL["name"]: 1})),
        await registry.command("POST", "/v1/volunteers", volunteer_body(personal=PERSONAL)),
        await registry.command("POST", "/v1/volunteers", volunteer_body(2, personal=PERSONAL)),
        await registry.send("volunteers", sent),
        await registry.send("volunteers", sent, dry_run=True),
        await registry.send("volunteers", sent.split(b"\n", 1)[1]),
        await registry.send("volunteers", sheet("volunteers", [canary_row(mobile="")])),
        await registry.send("volunteers", sheet("volunteers", [canary_row(number="340802000009")])),
        *[
            await registry.send("volunteers", sheet("volunteers", [canary_row(**{field: wrong})]))
            for field in canary_row()
            for wrong in PERSONAL.values()
        ],
    ]
    volunteer = answers[5].json["volunteer_id"]
    path = f"/v1/volunteers/{volunteer}"
    version = (await registry.get(path)).json["version"]
    answers += [
        await registry.command("PATCH", path, {"mobile": PERSONAL["name"]}, if_match=str(version)),
        await registry.command("PATCH", path, {"state": PERSONAL["name"]}, if_match=str(version)),
        await registry.command("PATCH", path, {"address": f"{PERSONAL['address']}乙"}, if_match=str(version)),
        await registry.get(path),
        await registry.get("/v1/volunteers"),
        await registry.get("/v1/volunteers?number=340802000001"),
        await registry.get(f"{path}?reveal=true&reason=contact"),
        await registry.get("/metrics"),
        await registry.get("/openapi.json"),
    ]
    return answers


async def test_no_answer_but_a_revealing_one_names_anybody(registry: RegistryWorld) -> None:
    with logged() as log:
        answers = await everything(registry)
        volunteer = answers[5].json["volunteer_id"]
        revealed = await registry.get(f"/v1/volunteers/{volunteer}?reveal=true&reason=legal_request", scopes=REVEAL)
    for number, answer in enumerate(answers):
        assert_no_canary(answer.body, f"answer {number}")
        assert_no_canary(str(answer.headers), f"the headers of answer {number}")
    assert {answer.status for answer in answers} == {200, 201, 403, 409, 422}
    assert revealed.json["personal"]["id_number"] == CANARIES["citizen_id"]
    assert log.lines


async def test_no_document_and_no_event_holds_a_readable_value(registry: RegistryWorld) -> None:
    with logged():
        await everything(registry)
    collections = [*registry.store._versions]
    assert OUTBOX in collections
    for collection in collections:
        for document in registry.store.documents(collection).values():
            assert_no_canary(bson.encode(document), collection)
            assert_no_canary(repr(document), collection)


async def test_who_reads_what_is_personal_is_logged_by_ids_alone(registry: RegistryWorld) -> None:
    with logged() as log:
        await registry.command("POST", "/v1/volunteers", volunteer_body(personal=PERSONAL))
        volunteer = (await registry.get("/v1/volunteers?unit=340802")).json["items"][0]["volunteer_id"]
        await registry.get("/v1/volunteers?number=340802000001")
        await registry.get(f"/v1/volunteers/{volunteer}")
        await registry.get(f"/v1/volunteers/{volunteer}?reveal=true&reason=contact", scopes=REVEAL)
        await registry.get(f"/v1/volunteers/{volunteer}", area="340803")
    reads = [line for line in log.lines if line["event"].startswith("personal data")]
    shown = [(line["event"], line["subject"], line.get("volunteer_id"), line.get("reason")) for line in reads]
    assert shown == [
        ("personal data listed", "P-1", None, None),
        ("personal data listed", "P-1", volunteer, None),
        ("personal data read", "P-1", volunteer, None),
        ("personal data revealed", "P-1", volunteer, "contact"),
    ]
    assert (reads[0]["unit"], reads[0]["items"]) == ("340802", 1)


async def test_a_canary_in_an_answer_would_be_seen() -> None:
    with pytest.raises(AssertionError, match="the canary's phone"):
        assert_no_canary(f"call {CANARIES['phone']}", "a text")
