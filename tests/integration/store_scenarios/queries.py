"""Filters, sorting, limits and fields find the same everywhere."""

from collections.abc import Mapping, Sequence
from typing import Any

from services.eventing.ports import Document, Sort, Transaction
from tests.integration.store_scenarios.frame import Stores, put, scenario

PEOPLE: Sequence[Document] = (
    {"_id": "a", "n": 1, "name": "Li", "tags": ["x", "y"], "home": {"unit": "340802", "since": "2026-01"}},
    {"_id": "b", "n": 2, "name": "Wang", "tags": [], "home": {"unit": "340803"}},
    {"_id": "c", "n": 3, "name": None, "tags": ["y"]},
    {"_id": "d", "n": "3"},
    {"_id": "e", "n": 5, "name": "Zhao", "active": True},
)
FILTERS: Sequence[tuple[Mapping[str, Any], str]] = (
    ({}, "abcde"),
    ({"n": 3}, "c"),
    ({"n": "3"}, "d"),
    ({"_id": "e"}, "e"),
    ({"n": 9}, ""),
    ({"n": 2, "name": "Wang"}, "b"),
    ({"n": 2, "name": "Li"}, ""),
    ({"active": True}, "e"),
    ({"active": 1}, ""),  # true is no number
    ({"name": None}, "cd"),  # null, or not there
    ({"home": {"unit": "340803"}}, "b"),  # the whole of it
    ({"home.unit": "340802"}, "a"),
    ({"home.unit": None}, "cde"),
    ({"tags": "y"}, "ac"),  # one of the list
    ({"tags": ["x", "y"]}, "a"),  # the whole list
    ({"tags": []}, "b"),
    ({"n": {"$in": [1, 5, "3"]}}, "ade"),
    ({"n": {"$in": []}}, ""),
    ({"tags": {"$in": ["x", "z"]}}, "a"),
    ({"name": {"$in": ["Li", None]}}, "acd"),
    ({"n": {"$gt": 2}}, "ce"),  # text is neither more nor less than a number
    ({"n": {"$gte": 2}}, "bce"),
    ({"n": {"$lt": 3}}, "ab"),
    ({"n": {"$lte": 3}}, "abc"),
    ({"n": {"$gt": 1, "$lt": 5}}, "bc"),
    ({"n": {"$gt": ""}}, "d"),
    ({"_id": {"$gt": "b", "$lte": "d"}}, "cd"),
    ({"home.unit": {"$gte": "340802", "$lt": "340803"}}, "a"),
    ({"tags": {"$gte": "y"}}, "ac"),
    ({"n": {"$ne": 3}}, "abde"),
    ({"name": {"$ne": "Li"}}, "bcde"),  # not there is also not Li
    ({"name": {"$ne": None}}, "abe"),
    ({"tags": {"$ne": "y"}}, "bde"),
    ({"active": {"$exists": True}}, "e"),
    ({"active": {"$exists": False}}, "abcd"),
    ({"name": {"$exists": True}}, "abce"),  # null is there
    ({"home.since": {"$exists": True}}, "a"),
    ({"n": {"$gte": 2}, "name": {"$exists": True}, "tags": {"$ne": "y"}}, "be"),
)


@scenario
async def each_filter_finds_the_same_everywhere(stores: Stores) -> None:
    await put(stores.one, *PEOPLE)

    async def find_all(tx: Transaction) -> list[list[Document]]:
        return [await tx.find("things", where, limit=9) for where, _ in FILTERS]

    inside = await stores.one.transact(find_all)
    outside = [await stores.one.find("things", where, limit=9) for where, _ in FILTERS]
    for (where, expected), found_inside, found in zip(FILTERS, inside, outside, strict=True):
        assert found_inside == found, where
        assert "".join(document["_id"] for document in found) == expected, where


@scenario
async def each_filter_counts_what_it_finds(stores: Stores) -> None:
    await put(stores.one, *PEOPLE)
    for where, expected in FILTERS:
        assert await stores.one.count("things", where) == len(expected), where


@scenario
async def results_are_sorted_and_limited(stores: Stores) -> None:
    numbers = {"a": (2, "x"), "b": (1, "y"), "c": (2, "y"), "d": (None, "x"), "e": (1, "x")}
    await put(stores.one, *({"_id": each, "n": n, "m": m} for each, (n, m) in numbers.items()), {"_id": "f", "m": "x"})

    async def order(sort: Sort, limit: int = 9) -> str:
        inside = await stores.one.transact(lambda tx: tx.find("things", {}, sort=sort, limit=limit))
        assert await stores.one.find("things", {}, sort=sort, limit=limit) == inside
        return "".join(document["_id"] for document in inside)

    assert await order([("_id", 1)]) == "abcdef"
    assert await order([("_id", -1)], limit=2) == "fe"
    assert await order([("n", 1), ("_id", 1)]) == "dfbeac"  # null and not there come first
    assert await order([("n", -1), ("_id", -1)]) == "caebfd"
    assert await order([("m", 1), ("n", -1), ("_id", 1)]) == "aedfcb"
    assert await order([("m", 1), ("n", -1), ("_id", 1)], limit=3) == "aed"
    assert [document["_id"] for document in await stores.one.find("things", {}, limit=3)] == ["a", "b", "c"]


@scenario
async def fields_leave_out_all_others(stores: Stores) -> None:
    await put(stores.one, *PEOPLE)
    found = await stores.one.find("things", {"_id": {"$lte": "c"}}, limit=9, fields=["home", "n"])
    assert found == [
        {"_id": "a", "n": 1, "home": {"unit": "340802", "since": "2026-01"}},
        {"_id": "b", "n": 2, "home": {"unit": "340803"}},
        {"_id": "c", "n": 3},
    ]
    assert await stores.one.find("things", {"name": "Li"}, limit=9, fields=[]) == [{"_id": "a"}]


@scenario
async def a_database_never_written_to_is_empty(stores: Stores) -> None:
    assert await stores.one.find("things", {"a": 1}, limit=1) == []
    assert await stores.one.get("things", ["1"]) == {}
