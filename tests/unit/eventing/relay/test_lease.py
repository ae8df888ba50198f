"""One relay leads at a time, and nothing that an earlier one began can be committed under a later one."""

import asyncio
from functools import partial

import pytest

from services.eventing.ports import StoreUnavailableError, Transaction
from services.eventing.relay import lease
from services.eventing.relay.lease import CHANGES, DUE, LEASE_S, LeaseGuard, LeaseLostError, acquire
from tests.support.relays import RelayWorld


def test_the_first_who_asks_leads_and_others_wait_until_the_lease_has_ended() -> None:
    world = RelayWorld()

    async def story() -> None:
        first = await world.guard("first")
        assert first.epoch == 1
        assert await acquire(world.store, world.wall, "second") is None
        await asyncio.sleep(LEASE_S - 1)
        assert await acquire(world.store, world.wall, "second") is None
        await asyncio.sleep(1)
        assert (await world.guard("second")).epoch == 2

    world.run(story())


def test_the_same_holder_leads_again_at_once_under_a_new_epoch() -> None:
    world = RelayWorld()

    async def story() -> None:
        older = await world.guard("first")
        assert (await world.guard("first")).epoch == 2
        with pytest.raises(LeaseLostError):
            await world.store.transact(older.hold)

    world.run(story())


def test_only_one_of_many_that_ask_together_leads() -> None:
    world = RelayWorld()

    async def story() -> None:
        guards = await asyncio.gather(*(acquire(world.store, world.wall, f"relay-{n}") for n in range(5)))
        assert len([each for each in guards if each is not None]) == 1

    world.run(story())


def test_a_stale_leaders_transaction_fails_even_if_it_began_before_the_change() -> None:
    world = RelayWorld()

    async def story() -> None:
        stale = await world.guard("stale")
        await asyncio.sleep(LEASE_S)
        tries = 0

        async def work(tx: Transaction) -> None:
            nonlocal tries
            tries += 1
            await tx.find("outbox", {}, limit=1)
            if tries == 1:
                assert await acquire(world.store, world.wall, "next") is not None
            await tx.insert("outbox", [{"_id": "what a stale leader wrote", "streams": ["t|k|1"]}])
            await stale.hold(tx)

        with pytest.raises(LeaseLostError):
            await world.store.transact(work)
        assert tries == 2
        assert world.store.documents("outbox") == {}

    world.run(story())


def test_what_a_frozen_leader_left_open_does_not_keep_the_next_from_leading() -> None:
    world = RelayWorld()

    async def story() -> None:
        frozen = await world.guard("frozen")
        holding, thawed = asyncio.Event(), asyncio.Event()

        async def work(tx: Transaction) -> None:
            holding.set()
            await thawed.wait()

        working = asyncio.create_task(frozen.transact(work))
        await holding.wait()
        await asyncio.sleep(LEASE_S)
        guard = await world.guard("next")
        await guard.transact(lambda tx: tx.insert("outbox", [{"_id": "done", "streams": []}]))
        thawed.set()
        with pytest.raises(LeaseLostError):
            await working

    world.run(story())
    assert list(world.store.documents("outbox")) == ["done"]


@pytest.mark.parametrize("fence", [CHANGES, DUE])
def test_each_fence_counts_on_through_all_epochs(fence: lease.Fence) -> None:
    world = RelayWorld()

    async def story() -> None:
        for epoch in (1, 2):
            guard = await world.guard("same")
            assert guard.epoch == epoch
            before = await world.store.transact(partial(guard.hold, fence=fence, advance=5))
            assert before == 5 * (epoch - 1)

    world.run(story())


def test_renewing_publishing_and_due_work_do_not_conflict_with_each_other() -> None:
    world = RelayWorld()

    async def story() -> None:
        guard = await world.guard()
        keeping = asyncio.create_task(guard.keep())

        async def hold(fence: lease.Fence) -> None:
            async def work(tx: Transaction) -> None:
                await guard.hold(tx, fence)
                await asyncio.sleep(0.5)

            for _ in range(20):
                await world.store.transact(work)

        await asyncio.gather(hold(CHANGES), hold(DUE))
        keeping.cancel()

    world.run(story())
    assert world.store.conflicts == 0


def test_a_kept_lease_does_not_end() -> None:
    world = RelayWorld()

    async def story() -> None:
        guard = await world.guard("first")
        keeping = asyncio.create_task(guard.keep())
        for _ in range(10):
            await asyncio.sleep(LEASE_S / 2)
            guard.assert_sure()
            assert await acquire(world.store, world.wall, "second") is None
        keeping.cancel()

    world.run(story())


def outage(world: RelayWorld, seconds: float) -> None:
    """The store does not answer for so long from now on."""
    ends = world.loop.now + seconds

    def fault(name: str) -> None:
        if world.loop.now < ends:
            raise StoreUnavailableError

    world.store.fault = fault


async def kept_for(guard: LeaseGuard) -> float:
    """Keeps the lease until it is lost; returns how long that was."""
    begun = asyncio.get_running_loop().time()
    with pytest.raises(LeaseLostError):
        await guard.keep()
    return asyncio.get_running_loop().time() - begun


def test_a_short_outage_of_the_store_does_not_cost_the_lease() -> None:
    world = RelayWorld()

    async def story() -> None:
        guard = await world.guard()
        outage(world, LEASE_S - 2)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(guard.keep(), 5 * LEASE_S)
        guard.assert_sure()

    world.run(story())


def test_a_lease_that_cannot_be_renewed_is_given_up_before_others_may_take_it() -> None:
    world = RelayWorld()

    async def story() -> None:
        guard = await world.guard()
        outage(world, 5 * LEASE_S)
        assert await kept_for(guard) <= LEASE_S
        with pytest.raises(LeaseLostError):
            guard.assert_sure()

    world.run(story())


def test_a_store_that_hangs_does_not_keep_a_leader_believing() -> None:
    world = RelayWorld()

    async def story() -> None:
        guard = await world.guard()

        async def hang(*_: object, **__: object) -> None:
            await asyncio.sleep(1_000)

        world.store.transact = hang  # type: ignore[method-assign, assignment]
        assert await kept_for(guard) <= LEASE_S

    world.run(story())


def test_a_leader_hears_at_its_next_renewal_that_another_leads() -> None:
    world = RelayWorld()

    async def story() -> None:
        guard = await world.guard("first")
        document = world.store.documents("lease")["relay"]
        world.store.put("lease", {**document, "holder": "second", "epoch": 2})
        assert await kept_for(guard) <= lease.RENEW_EVERY_S + 0.1

    world.run(story())


def test_a_released_lease_is_free_at_once_and_cannot_be_used_any_more() -> None:
    world = RelayWorld()

    async def story() -> None:
        first = await world.guard("first")
        await first.release()
        with pytest.raises(LeaseLostError):
            first.assert_sure()
        assert (await world.guard("second")).epoch == 2
        with pytest.raises(LeaseLostError):
            await first.release()

    world.run(story())
