"""Of two transactions that write one document the first wins; what neither writes keeps nobody apart."""

import asyncio

from services.eventing.ports import Transaction
from tests.integration.store_scenarios.frame import Stores, Write, all_ids, put, read, scenario, second_tries


@scenario
async def the_first_writer_wins_and_the_second_runs_again(stores: Stores) -> None:
    await put(stores.one, {"_id": "1", "by": []})

    def adds(name: str) -> Write:
        async def work(tx: Transaction) -> None:
            by = (await tx.get("things", ["1"]))["1"]["by"]
            await tx.replace("things", [{"_id": "1", "by": [*by, name]}])

        return work

    assert await second_tries(stores, adds("first"), adds("second")) > 1
    assert await read(stores.one, "1") == {"_id": "1", "by": ["first", "second"]}


@scenario
async def every_kind_of_write_conflicts_with_every_other(stores: Stores) -> None:
    async def replaces(tx: Transaction) -> None:
        await tx.replace("things", [{"_id": "1", "n": 1}])

    async def updates(tx: Transaction) -> None:
        await tx.update("things", {"1": {"n": 2}}, upsert=True)

    async def deletes(tx: Transaction) -> None:
        await tx.delete("things", ["1"])

    for first in (replaces, updates, deletes):
        for second in (replaces, updates, deletes):
            await put(stores.one, {"_id": "1", "n": 0})
            if first is deletes and second is deletes:
                continue  # of what the first has deleted nothing is left that the second could write
            assert await second_tries(stores, first, second) > 1, (first.__name__, second.__name__)


@scenario
async def a_write_over_what_was_read_before_it_changed_conflicts(stores: Stores) -> None:
    await put(stores.one, {"_id": "1", "n": 1})
    tries = 0

    async def work(tx: Transaction) -> int:
        nonlocal tries
        tries += 1
        n: int = (await tx.get("things", ["1"]))["1"]["n"]
        if tries == 1:
            await put(stores.other, {"_id": "1", "n": 10})
        await tx.replace("things", [{"_id": "1", "n": n + 1}])
        return n

    assert await stores.one.transact(work) == 10
    assert tries == 2
    assert await read(stores.one, "1") == {"_id": "1", "n": 11}


@scenario
async def counters_lose_no_increment(stores: Stores) -> None:
    await put(stores.one, {"_id": "1", "n": 0})

    async def increment(tx: Transaction) -> None:
        n = (await tx.get("things", ["1"]))["1"]["n"]
        await tx.update("things", {"1": {"n": n + 1}})

    await asyncio.gather(*(store.transact(increment) for store in (stores.one, stores.other) for _ in range(4)))
    assert await read(stores.one, "1") == {"_id": "1", "n": 8}


@scenario
async def different_documents_do_not_conflict(stores: Stores) -> None:
    async def one(tx: Transaction) -> None:
        await tx.insert("things", [{"_id": "1"}])

    async def two(tx: Transaction) -> None:
        await tx.insert("things", [{"_id": "2"}])

    assert await second_tries(stores, one, two) == 1
    assert await all_ids(stores.one) == ["1", "2"]


@scenario
async def write_skew_is_possible(stores: Stores) -> None:
    """Each reads what the other writes, and both commit: only a document that both write keeps them apart."""
    await put(stores.one, {"_id": "1", "on_duty": True}, {"_id": "2", "on_duty": True})

    def leaves(me: str, colleague: str) -> Write:
        async def work(tx: Transaction) -> None:
            assert (await tx.get("things", [colleague]))[colleague]["on_duty"]
            await tx.update("things", {me: {"on_duty": False}})

        return work

    assert await second_tries(stores, leaves("1", "2"), leaves("2", "1")) == 1
    assert await stores.one.find("things", {"on_duty": True}, limit=9) == []


@scenario
async def a_document_that_both_write_prevents_write_skew(stores: Stores) -> None:
    await put(stores.one, {"_id": "1", "on_duty": True}, {"_id": "2", "on_duty": True}, {"_id": "roster", "n": 0})
    stayed = []

    def leaves(me: str, colleague: str) -> Write:
        async def work(tx: Transaction) -> None:
            found = await tx.get("things", [colleague, "roster"])
            if not found[colleague]["on_duty"]:
                stayed.append(me)
                return
            await tx.update("things", {me: {"on_duty": False}, "roster": {"n": found["roster"]["n"] + 1}})

        return work

    assert await second_tries(stores, leaves("1", "2"), leaves("2", "1")) > 1
    assert stayed == ["2"]
