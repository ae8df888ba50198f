"""Makes a log of attendance as a city's partition sees it: sessions of about ten people, ins before outs."""

import random
from collections.abc import Iterator

from services.contracts.event import Event
from tests.support.attendance import at, checked_in, checked_out, session

PEOPLE = 8_600
PEOPLE_A_SESSION = 10
UNITS = ("340800", "340802", "340803", "340811", "340881", "340882")


def attendance(events: int, seed: int = 1) -> Iterator[Event]:
    """So many check-ins and check-outs, half and half; the same seed gives the same events."""
    rng = random.Random(seed)
    for number in range(events // (2 * PEOPLE_A_SESSION)):
        day, hour = rng.randrange(1, 29), rng.randrange(7, 19)
        facts = session(at(hour, day=day), at(hour + 2, day=day), number=number, unit_served=rng.choice(UNITS))
        people = [f"v{person:05d}" for person in rng.sample(range(PEOPLE), PEOPLE_A_SESSION)]
        for person in people:
            yield checked_in(at(hour, rng.randrange(12), day=day), facts, volunteer=person)
        for person in people:
            yield checked_out(at(hour + 1, rng.randrange(50), day=day), facts, volunteer=person)
