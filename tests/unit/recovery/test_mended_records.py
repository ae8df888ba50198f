"""A rebuild meets what operators have repaired and discarded as what it became."""

from typing import Any

import pytest

from services.contracts.operations import OPERATIONS
from services.eventing.parking import PARKING
from services.eventing.ports import Message
from services.hours import wiring
from services.hours.ledger import store as ledger
from services.hours.recovery import PROJECTION
from services.recovery.compare import told
from tests.support.attendance import at, checked_in, checked_out, session
from tests.support.history import MemoryHistory
from tests.support.processing import Processing
from tests.unit.recovery.test_builder import built

OPS = OPERATIONS["hours"]
PARKED = "hours|v1"


class Operated:
    """The hours processor with a broken record among a volunteer's, and an operator."""

    def __init__(self, hours: Processing) -> None:
        self.hours = hours
        self.right = b""
        self.asked = 0

    async def poison(self) -> None:
        """A broken check-in of a trial, then two whole attendances of which one check-out is broken."""
        first, second = session(at(9), at(11)), session(at(13), at(14), number=2)
        events = (
            checked_in(at(9), first),
            checked_in(at(9), first),
            checked_out(at(11), first),
            checked_in(at(13), second),
            checked_out(at(14), second),
        )
        messages = self.hours.publisher.messages(events)
        self.right = messages[2].value
        for place in (0, 2):
            messages[place] = Message(messages[place].topic, messages[place].key, b"{", messages[place].headers)
        await self.hours.take_messages(messages)

    async def ask(self, action: Any, corrected: bytes = b"") -> None:
        """Requests something of the first record, and publishes what came of it."""
        queue = self.hours.store.documents(PARKING)[PARKED]
        first = queue["records"][0]
        place = {name: first[name] for name in ("topic", "partition", "offset")} | {"event_id": first["id"]}
        request = {
            "request_id": f"request-{self.asked}",
            "parked_id": PARKED,
            "parked_key": "v1",
            "action": action,
            "record": place,
            "corrected": corrected.decode() or None,
            "reason_code": "recorded_wrongly",
            "requested_by": "one",
            "confirmed_by": "two",
        }
        self.asked += 1
        await self.hours.take(OPS.requested(**request))

    def history(self) -> MemoryHistory:
        """All topics, the outcomes of operations among them."""
        return MemoryHistory.of(self.hours)


@pytest.fixture
async def operated() -> Operated:
    made = Operated(await Processing(wiring).prepare())
    await made.poison()
    return made


async def test_a_repaired_and_a_discarded_record_are_rebuilt_as_they_became(operated: Operated) -> None:
    await operated.ask("discard")
    await operated.ask("redrive")
    await operated.ask("repair", operated.right)
    await operated.ask("redrive")
    hours = operated.hours
    assert hours.store.documents(PARKING) == {}
    assert sum(each["minutes"] for each in hours.store.documents(ledger.ENTRIES).values()) == 180
    builder = await built(hours, PROJECTION, operated.history())
    found = await builder.round()
    assert found.wrong == 0, told(found)
    assert hours.store.documents(f"{ledger.ENTRIES}~2") == hours.store.documents(ledger.ENTRIES)
    assert hours.store.documents(f"{PARKING}~2") == {}


async def test_what_still_waits_is_parked_in_a_rebuild_too(operated: Operated) -> None:
    await operated.ask("discard")
    await operated.ask("redrive")
    await operated.ask("repair", operated.right)
    hours = operated.hours
    builder = await built(hours, PROJECTION, operated.history())
    found = await builder.round()
    assert found.wrong == 0, told(found)
    assert set(hours.store.documents(f"{PARKING}~2")) == {PARKED}


async def test_a_record_on_the_operations_topic_that_is_no_outcome_does_not_end_a_rebuild(operated: Operated) -> None:
    await operated.ask("discard")
    hours = operated.hours
    headers = (("ce_id", b"x"), ("ce_type", OPS.executed.TYPE.encode()), ("ce_sequence", b"1"))
    await hours.take_messages([Message(OPS.topic, b"v9", b"{", headers)])
    builder = await built(hours, PROJECTION, operated.history())
    assert (await builder.round()).wrong == 0
