"""What is written comes back, and only what is written."""

from datetime import UTC, datetime

import pytest

from services.eventing.ports import Document, Transaction
from tests.integration.store_scenarios.frame import Stores, all_ids, put, read, scenario


@scenario
async def every_type_comes_back_as_it_was(stores: Stores) -> None:
    document = {
        "_id": "1",
        "text": "志愿者",
        "number": 2**53,
        "negative": -1,
        "yes": True,
        "no": False,
        "null": None,
        "bytes": b"\x00\xff",
        "list": [1, "a", [b"b"], {"c": None}],
        "nested": {"a": {"b": 1}, "": "empty name"},
        "empty": {"list": [], "dict": {}, "text": "", "bytes": b""},
        "instant": datetime(2026, 11, 24, 8, 30, 1, 250_000, tzinfo=UTC),
    }
    await stores.one.transact(lambda tx: tx.insert("things", [document]))
    found = await read(stores.other, "1")
    assert found == document
    assert type(found["bytes"]) is bytes
    assert type(found["yes"]) is bool
    assert type(found["number"]) is int or isinstance(found["number"], int)


@scenario
async def documents_are_copies_on_both_ways(stores: Stores) -> None:
    written: Document = {"_id": "1", "list": [1]}
    await put(stores.one, written)
    written["list"].append(2)
    first = await read(stores.one, "1")
    assert first == {"_id": "1", "list": [1]}
    first["list"].append(3)
    assert await read(stores.one, "1") == {"_id": "1", "list": [1]}


@scenario
async def get_gives_what_exists(stores: Stores) -> None:
    await put(stores.one, {"_id": "1"}, {"_id": "2"})
    assert await stores.one.get("things", ["2", "nobody", "2"]) == {"2": {"_id": "2"}}
    assert await stores.one.get("things", []) == {}
    assert await stores.one.get("things", (each for each in ("1", "2"))) == {"1": {"_id": "1"}, "2": {"_id": "2"}}


@scenario
async def many_documents_fit_into_one_transaction(stores: Stores) -> None:
    ids = [f"{number:05}" for number in range(1_200)]

    async def work(tx: Transaction) -> int:
        await tx.insert("things", [{"_id": each, "n": 0} for each in ids])
        await tx.replace("things", [{"_id": each, "n": 1} for each in ids])
        await tx.update("things", {each: {"m": 2} for each in ids})
        await tx.delete("things", ids[1_100:])
        return len(await tx.get("things", ids))

    assert await stores.one.transact(work) == 1_100
    found = await stores.other.find("things", {"n": 1, "m": 2}, limit=2_000)
    assert [document["_id"] for document in found] == ids[:1_100]
    assert list(await stores.other.get("things", ids)) == ids[:1_100]


@scenario
async def replace_leaves_nothing_of_the_old_document(stores: Stores) -> None:
    await put(stores.one, {"_id": "1", "a": 1, "b": 1})
    await put(stores.one, {"_id": "1", "b": 2})
    assert await read(stores.one, "1") == {"_id": "1", "b": 2}


@scenario
async def update_sets_fields_and_keeps_the_others(stores: Stores) -> None:
    await put(stores.one, {"_id": "1", "a": 1, "nested": {"x": 1, "y": 2}})
    await stores.one.transact(lambda tx: tx.update("things", {"1": {"b": None, "nested": {"z": 3}}}))
    assert await read(stores.one, "1") == {"_id": "1", "a": 1, "nested": {"z": 3}, "b": None}


@scenario
async def update_of_a_missing_id_is_a_broken_promise(stores: Stores) -> None:
    await put(stores.one, {"_id": "1", "a": 1})

    async def work(tx: Transaction) -> None:
        await tx.update("things", {"1": {"a": 2}, "nobody": {"a": 2}})

    with pytest.raises(AssertionError):
        await stores.one.transact(work)
    assert await read(stores.one, "1") == {"_id": "1", "a": 1}


@scenario
async def update_takes_no_paths_and_no_operators(stores: Stores) -> None:
    await put(stores.one, {"_id": "1", "a": {"b": 1}})
    for name in ("a.b", "$inc"):
        with pytest.raises(AssertionError):
            await stores.one.transact(lambda tx, name=name: tx.update("things", {"1": {name: 2}}))  # type: ignore[misc]
    assert await read(stores.one, "1") == {"_id": "1", "a": {"b": 1}}


@scenario
async def update_makes_a_missing_document_if_asked_to(stores: Stores) -> None:
    await put(stores.one, {"_id": "1", "a": 1})
    await stores.one.transact(lambda tx: tx.update("things", {"1": {"b": 2}, "new": {"b": 2}}, upsert=True))
    assert await stores.one.find("things", {}, limit=9) == [{"_id": "1", "a": 1, "b": 2}, {"_id": "new", "b": 2}]


@scenario
async def delete_of_an_absent_document_is_no_error(stores: Stores) -> None:
    await put(stores.one, {"_id": "1"}, {"_id": "2"})
    await stores.one.transact(lambda tx: tx.delete("things", ["1", "nobody"]))
    assert await all_ids(stores.one) == ["2"]


@scenario
async def nothing_to_write_is_no_error(stores: Stores) -> None:
    async def work(tx: Transaction) -> str:
        await tx.insert("things", [])
        await tx.replace("things", [])
        await tx.update("things", {})
        await tx.delete("things", [])
        assert await tx.get("things", []) == {}
        return "done"

    assert await stores.one.transact(work) == "done"
