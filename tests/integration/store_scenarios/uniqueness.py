"""An id, and a value of a unique index, is given once; who comes second is refused and leaves nothing."""

import pytest

from services.eventing.ports import AlreadyExistsError, Transaction
from tests.integration.store_scenarios.frame import Stores, all_ids, put, refused, scenario, second_tries


@scenario
async def an_insert_of_an_existing_id_undoes_all(stores: Stores) -> None:
    await put(stores.one, {"_id": "1"})

    async def work(tx: Transaction) -> None:
        await tx.replace("things", [{"_id": "0"}])
        await tx.insert("things", [{"_id": "2"}, {"_id": "1"}, {"_id": "3"}])

    await refused(stores.other, work)
    assert await all_ids(stores.one) == ["1"]


@scenario
async def a_refused_transaction_cannot_go_on(stores: Stores) -> None:
    await put(stores.one, {"_id": "1"})

    async def work(tx: Transaction) -> str:
        with pytest.raises(AlreadyExistsError):
            await tx.insert("things", [{"_id": "1"}])
        with pytest.raises(AlreadyExistsError):
            await tx.get("things", ["1"])
        with pytest.raises(AlreadyExistsError):
            await tx.insert("things", [{"_id": "2"}])
        return "committed"

    await refused(stores.one, work)
    assert await all_ids(stores.one) == ["1"]


@scenario
async def an_id_twice_in_one_insert_is_refused(stores: Stores) -> None:
    await refused(stores.one, lambda tx: tx.insert("things", [{"_id": "1", "n": 1}, {"_id": "1", "n": 2}]))
    assert await all_ids(stores.one) == []


@scenario
async def of_two_that_insert_an_id_at_once_one_is_refused(stores: Stores) -> None:
    async def insert(tx: Transaction) -> None:
        await tx.insert("things", [{"_id": "1"}])

    with pytest.raises(AlreadyExistsError):
        await second_tries(stores, insert, insert)
    assert await all_ids(stores.one) == ["1"]


@scenario
async def a_unique_value_is_given_once(stores: Stores) -> None:
    await put(stores.one, {"_id": "1", "name": "Li"}, collection="named")

    async def replace(tx: Transaction) -> None:
        await tx.replace("named", [{"_id": "3", "name": "Zhao"}, {"_id": "2", "name": "Li"}])

    async def update(tx: Transaction) -> None:
        await tx.insert("named", [{"_id": "2", "name": "Wang"}])
        await tx.update("named", {"2": {"name": "Li"}})

    for work in (lambda tx: tx.insert("named", [{"_id": "2", "name": "Li"}]), replace, update):
        await refused(stores.other, work)
        assert await all_ids(stores.one, "named") == ["1"]


@scenario
async def a_unique_value_is_given_once_inside_a_transaction(stores: Stores) -> None:
    async def work(tx: Transaction) -> None:
        await tx.insert("named", [{"_id": "1", "name": "Li"}])
        await tx.insert("named", [{"_id": "2", "name": "Li"}])

    await refused(stores.one, work)
    await refused(stores.one, lambda tx: tx.insert("named", [{"_id": "1", "name": "Li"}, {"_id": "2", "name": "Li"}]))
    assert await all_ids(stores.one, "named") == []


@scenario
async def of_two_that_take_a_unique_value_at_once_one_is_refused(stores: Stores) -> None:
    async def one(tx: Transaction) -> None:
        await tx.insert("named", [{"_id": "1", "name": "Li"}])

    async def two(tx: Transaction) -> None:
        await tx.insert("named", [{"_id": "2", "name": "Li"}])

    with pytest.raises(AlreadyExistsError):
        await second_tries(stores, one, two)
    assert await all_ids(stores.one, "named") == ["1"]


@scenario
async def a_unique_value_given_up_can_be_taken(stores: Stores) -> None:
    await put(stores.one, {"_id": "1", "name": "Li"}, {"_id": "2", "name": "Wang"}, collection="named")

    async def swap(tx: Transaction) -> None:
        await tx.update("named", {"1": {"name": "Zhao"}})
        await tx.insert("named", [{"_id": "3", "name": "Li"}])
        await tx.delete("named", ["2"])
        await tx.insert("named", [{"_id": "4", "name": "Wang"}])

    await stores.one.transact(swap)
    await put(stores.one, {"_id": "1", "name": "Zhao", "again": True}, collection="named")
    names = {document["_id"]: document["name"] for document in await stores.other.find("named", {}, limit=9)}
    assert names == {"1": "Zhao", "3": "Li", "4": "Wang"}


@scenario
async def each_value_of_a_unique_list_is_given_once(stores: Stores) -> None:
    await put(stores.one, {"_id": "1", "streams": ["t|k|1", "t|k|2"]}, collection="outbox")
    await refused(stores.other, lambda tx: tx.insert("outbox", [{"_id": "2", "streams": ["t|j|1", "t|k|2"]}]))
    await stores.other.transact(lambda tx: tx.insert("outbox", [{"_id": "2", "streams": ["t|j|1", "t|k|3"]}]))
    assert await stores.one.find("outbox", {"streams": "t|k|3"}, limit=9, fields=[]) == [{"_id": "2"}]
