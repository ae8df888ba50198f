"""Marked rows carry change numbers without a gap, given once, under the epoch that gave them."""

import asyncio
from typing import Any

import pytest

from services.eventing.ports import CommitUnknownError
from services.eventing.relay.lease import LEASE_S, LeaseLostError
from services.eventing.relay.marking import mark
from tests.support.outbox import rows
from tests.support.relays import RelayWorld


def numbers(world: RelayWorld) -> dict[str, tuple[int, int, int] | None]:
    """Epoch and numbers of every row, by id; none if unmarked."""
    return {
        each: (row["epoch"], row["change_from"], row["change_to"]) if row["state"] == "marked" else None
        for each, row in world.store.documents("outbox").items()
    }


def world_with(*keys: list[str]) -> RelayWorld:
    world = RelayWorld()
    world.store.put("outbox", *rows(*keys))
    return world


def test_numbers_follow_the_order_of_publication_one_for_each_event() -> None:
    world = world_with(["a", "b"], ["a"], ["c", "d", "e"])

    async def story() -> None:
        guard = await world.guard()
        assert await mark(world.store, guard, ["row-02", "row-01"]) == 3
        assert await mark(world.store, guard, ["row-03"]) == 3

    world.run(story())
    assert numbers(world) == {"row-02": (1, 1, 1), "row-01": (1, 2, 3), "row-03": (1, 4, 6)}


def test_numbers_go_on_under_the_next_epoch() -> None:
    world = world_with(["a"], ["b", "c"])

    async def story() -> None:
        await mark(world.store, await world.guard(), ["row-01"])
        await mark(world.store, await world.guard(), ["row-02"])

    world.run(story())
    assert numbers(world) == {"row-01": (1, 1, 1), "row-02": (2, 2, 3)}


def test_a_row_that_is_marked_already_keeps_its_numbers() -> None:
    """A commit whose result never came may have happened: the relay then sends and marks again."""
    world = world_with(["a"], ["b"])

    async def story() -> None:
        guard = await world.guard()

        def fault(name: str) -> None:
            if name == "committed":
                raise CommitUnknownError

        world.store.fault = fault
        with pytest.raises(CommitUnknownError):
            await mark(world.store, guard, ["row-01"])
        world.store.fault = None
        assert await mark(world.store, guard, ["row-01", "row-02"]) == 1
        assert await mark(world.store, guard, ["row-01", "row-02"]) == 0

    world.run(story())
    assert numbers(world) == {"row-01": (1, 1, 1), "row-02": (1, 2, 2)}


def test_a_stale_leader_marks_nothing() -> None:
    world = world_with(["a"])

    async def story() -> None:
        stale = await world.guard("stale")
        await asyncio.sleep(LEASE_S)
        await world.guard("next")
        with pytest.raises(LeaseLostError):
            await mark(world.store, stale, ["row-01"])

    world.run(story())
    assert numbers(world) == {"row-01": None}


def test_a_marking_that_began_before_a_change_of_leaders_cannot_end_after_it() -> None:
    """It has seen its own epoch; only that both write the counter stops it."""
    world = world_with(["a"])

    async def story() -> None:
        stale = await world.guard("stale")
        await asyncio.sleep(LEASE_S)
        begun, go_on = asyncio.Event(), asyncio.Event()
        real = stale.hold

        async def hold(*args: Any, **kwargs: Any) -> int:
            if not begun.is_set():
                begun.set()
                await go_on.wait()
            return await real(*args, **kwargs)

        stale.hold = hold  # type: ignore[method-assign]
        marking = asyncio.create_task(mark(world.store, stale, ["row-01"]))
        await begun.wait()
        guard = await world.guard("next")
        await mark(world.store, guard, ["row-01"])
        go_on.set()
        assert await marking == 0

    world.run(story())
    assert numbers(world) == {"row-01": (2, 1, 1)}
