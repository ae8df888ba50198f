"""Laws of places: never oversold, never in two places at once, whatever runs between whatever."""

import asyncio
import random
from asyncio import gather

from hypothesis import given, settings
from hypothesis import strategies as st

from services.activities.signups.rules import Window, overlaps
from services.contracts.activities import SignedUp
from tests.support.activities import World, a_session, at
from tests.support.memory_store import MemoryStore

VOLUNTEERS = 6
CAPACITIES = {"SE-1": 2, "SE-2": 1, "SE-3": 3}
WINDOWS = {"SE-1": (at(9), at(11)), "SE-2": (at(10), at(12)), "SE-3": (at(11), at(13))}


class UnevenStore(MemoryStore):
    """A store whose steps take turns as a seed says, so that transactions run into each other in every way."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self._random = random.Random(seed)

    async def step(self, name: str) -> None:
        for _ in range(self._random.randrange(6)):
            await asyncio.sleep(0)
        await super().step(name)


WISHES = st.lists(st.tuples(st.integers(1, VOLUNTEERS), st.sampled_from(sorted(CAPACITIES))), min_size=1, max_size=14)


async def signed_up_at_once(seed: int, wishes: list[tuple[int, str]], *, pause: bool) -> World:
    """Everybody asks at once; one of them pauses meanwhile."""
    world = await World(UnevenStore(seed)).prepare()
    await world.register(*range(1, VOLUNTEERS + 1))
    world.put(*(a_session(name, *WINDOWS[name], capacity=places) for name, places in CAPACITIES.items()))
    world.clock.at = at(7)
    requests = [
        world.post(f"/v1/sessions/{session}/sign-ups", {"volunteer_id": f"V-{volunteer}"})
        for volunteer, session in wishes
    ]
    answers = await gather(*requests, *([_pause(world)] if pause else []))
    accepted = [answer for answer in answers if answer is not None and answer.status == 201]
    assert len(accepted) == len(world.store.documents("sign_ups"))
    return world


async def _pause(world: World) -> None:
    volunteer = {**world.store.documents("volunteers")["V-1"], "state": "paused"}
    await world.store.transact(lambda tx: tx.replace("volunteers", [volunteer]))


@settings(max_examples=40)
@given(st.integers(0, 2**32), WISHES, st.booleans())
async def test_no_interleaving_oversells_or_doubles(seed: int, wishes: list[tuple[int, str]], pause: bool) -> None:
    world = await signed_up_at_once(seed, wishes, pause=pause)
    held = list(world.store.documents("sign_ups").values())
    for name, places in CAPACITIES.items():
        taken = [each for each in held if each["session_id"] == name]
        assert len(taken) <= places
        assert world.store.documents("sessions")[name]["places_taken"] == len(taken)
    for volunteer in range(1, VOLUNTEERS + 1):
        mine = [each for each in held if each["volunteer_id"] == f"V-{volunteer}"]
        windows = [Window(*WINDOWS[each["session_id"]]) for each in mine]
        assert not any(overlaps(one, other) for i, one in enumerate(windows) for other in windows[:i])
    announced = [event.data for event in world.announced()]
    assert all(isinstance(event, SignedUp) for event in announced)
    assert sorted(event.attendance_id for event in announced) == sorted(each["_id"] for each in held)


@settings(max_examples=20)
@given(st.integers(0, 2**32), st.integers(1, 3))
async def test_places_that_are_wanted_are_given(seed: int, places: int) -> None:
    """Nobody is refused a place that is there, though many ask at once and some must be asked to try again."""
    world = await World(UnevenStore(seed)).prepare()
    await world.register(*range(1, VOLUNTEERS + 1))
    world.put(a_session(capacity=places))
    world.clock.at = at(7)
    answers = await gather(
        *(world.post("/v1/sessions/SE-1/sign-ups", {"volunteer_id": f"V-{n}"}) for n in range(1, VOLUNTEERS + 1))
    )
    given_away = sum(answer.status == 201 for answer in answers)
    refused = {answer.code for answer in answers if answer.status != 201}
    assert given_away == places or "try_again" in refused
    assert refused <= {"session_full", "try_again"}


MINUTES = st.integers(0, 40)


@given(MINUTES, MINUTES, MINUTES, MINUTES)
def test_windows_overlap_exactly_if_they_share_a_minute(a: int, b: int, c: int, d: int) -> None:
    one, other = sorted((a, b + 41)), sorted((c, d + 41))
    shared = set(range(*one)) & set(range(*other))
    assert overlaps(Window(at(0, one[0]), at(0, one[1])), Window(at(0, other[0]), at(0, other[1]))) is bool(shared)
