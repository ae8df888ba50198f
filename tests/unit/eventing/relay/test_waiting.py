"""A relay tells what waits in its service's database, all of it, whoever leads and whoever parked it."""

from datetime import datetime, timedelta

import pytest

from services.eventing.observe import Waits
from services.eventing.outbox import OUTBOX
from services.eventing.parking import PARKING
from services.eventing.relay import waiting
from services.eventing.relay.waiting import Sampler
from services.eventing.times import to_text
from tests.support.relays import RelayWorld
from tests.support.simulation.clocks import EPOCH
from tests.support.witness import Witness


def sampled(world: RelayWorld) -> Witness:
    witness = Witness()
    world.run(Sampler(world.ports(), witness).sample())
    return witness


def queue(key: str, count: int, minutes: int, subject: str, since: datetime) -> dict[str, object]:
    return {"_id": key, "count": count, "minutes": minutes, "subject": subject, "since": to_text(since)}


def test_what_is_parked_is_counted_over_all_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "PAGE_KEYS", 2)
    world = RelayWorld()
    world.run(world.store.prepare([PARKING], []))
    world.store.put(
        PARKING,
        queue("hours|a", 3, 240, "volunteer id", EPOCH - timedelta(seconds=90)),
        queue("hours|b", 1, 60, "volunteer id", EPOCH - timedelta(seconds=30)),
        queue("hours|c", 7, 0, "organisation id or unit code", EPOCH),
    )
    told = sampled(world).waits
    assert told is not None
    assert (told.records, told.keys, told.people, told.minutes, told.longest_records) == (11, 3, 2, 300, 7)
    assert told.oldest_age_s == pytest.approx(90.0, abs=0.1)


def test_nothing_parked_is_told_too() -> None:
    assert sampled(RelayWorld()).waits == Waits(0, 0, 0, 0, 0, 0.0)


def test_more_rows_than_are_looked_at_are_all_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "SAMPLE_ROWS_MAX", 3)
    world = RelayWorld()
    rows = [
        {"_id": str(i), "state": "unmarked", "created_at": to_text(EPOCH), "streams": [f"t|k|{i}"]} for i in range(8)
    ]
    world.store.put(OUTBOX, *rows, {**rows[0], "_id": "done", "state": "marked", "streams": ["t|k|9"]})
    told = sampled(world).unmarked
    assert told is not None
    assert told[0] == 8
