"""Laws of registry for all inputs: masks hide, lists commute and repeat harmlessly, any file is answered."""

import asyncio
from collections.abc import Sequence
from datetime import date, timedelta
from itertools import permutations
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from services.registry.imports import handlers
from services.registry.imports.rules import VOLUNTEERS
from services.registry.personal.rules import (
    BANDS,
    Personal,
    age_band,
    check_character,
    faults_of,
    is_personal_number,
    mask_id_number,
    mask_mobile,
    mask_name,
)
from services.registry.personal.sealing import fields_of, personal_of
from services.registry.trees import parents_first
from tests.support.registry import TODAY, RegistryWorld, a_person, id_number, sheet, volunteer_row

NAMES = st.text(st.characters(min_codepoint=0x4E00, max_codepoint=0x9FFF), min_size=2, max_size=8)
BIRTHS = st.dates(date(1920, 1, 1), date(2000, 1, 1))
SERIALS = st.integers(0, 999)


@given(name=NAMES, born=BIRTHS, serial=SERIALS, mobile=st.from_regex(r"1[3-9][0-9]{9}", fullmatch=True))
def test_masked_values_never_contain_the_secret(name: str, born: date, serial: int, mobile: str) -> None:
    number = id_number(born, serial)
    assert name not in mask_name(name)
    assert mask_name(name).count("*") == 2
    assert number not in mask_id_number(number)
    assert f"{born:%Y%m%d}" not in mask_id_number(number)
    masked = mask_mobile(mobile)
    assert masked is not None
    assert mobile not in masked


@given(born=BIRTHS, serial=SERIALS, place=st.integers(0, 17), digit=st.sampled_from("0123456789"))
def test_one_wrong_digit_of_an_id_number_is_always_found(born: date, serial: int, place: int, digit: str) -> None:
    number = id_number(born, serial)
    wrong = number[:place] + digit + number[place + 1 :]
    faults = faults_of(a_person(born=born, serial=serial, number=wrong), TODAY)
    assert bool(faults) == (wrong != number)


@given(born=BIRTHS, serial=SERIALS, place=st.integers(0, 16))
def test_two_neighbours_swapped_in_an_id_number_are_always_found(born: date, serial: int, place: int) -> None:
    number = id_number(born, serial)
    swapped = number[:place] + number[place + 1] + number[place] + number[place + 2 :]
    faults = faults_of(a_person(born=born, serial=serial, number=swapped), TODAY)
    assert bool(faults) == (swapped != number)


@given(body=st.from_regex(r"[0-9]{17}", fullmatch=True))
def test_whatever_is_a_citizen_id_number_cannot_be_a_volunteers_number(body: str) -> None:
    assert is_personal_number(body + check_character(body))


@given(
    name=NAMES,
    born=BIRTHS,
    serial=SERIALS,
    mobile=st.none() | st.from_regex(r"1[3-9][0-9]{9}", fullmatch=True),
    address=st.none() | st.text(min_size=1, max_size=50),
)
def test_a_person_is_the_same_after_being_taken_apart_and_put_together(
    name: str, born: date, serial: int, mobile: str | None, address: str | None
) -> None:
    person = a_person(name=name, born=born, serial=serial, mobile=mobile, address=address)
    assert personal_of(fields_of(person)) == person
    assert isinstance(person, Personal)


@given(st.dictionaries(st.integers(0, 12).map(str), st.none() | st.integers(0, 12).map(str), max_size=12), st.randoms())
def test_an_order_with_parents_first_does_not_depend_on_the_order_given(above: dict[str, str | None], rng: Any) -> None:
    rows = list(above)
    rng.shuffle(rows)
    ordered = parents_first(rows, lambda row: row, lambda row: above[row])
    assert ordered == parents_first(sorted(rows), lambda row: row, lambda row: above[row])
    assert sorted(ordered) == sorted(rows)
    places = {row: place for place, row in enumerate(ordered)}
    for row in rows:
        chain, parent = {row}, above[row]
        while parent in above and parent not in chain:
            chain.add(parent)
            parent = above[parent]
        if parent not in above and above[row] in above:
            assert places[str(above[row])] < places[row]


def some_row(index: int, fault: str) -> dict[str, str]:
    """A line of the list of volunteers, well or with something wrong."""
    said: dict[str, dict[str, str]] = {
        "none": {},
        "cell": {"sex": "x"},
        "unit": {"home_unit": "340811"},
        "team": {"teams": "TM-1"},
        "twin": {"number": f"TWIN-{index}"},
        "other": {"mobile": ""},
    }
    return volunteer_row(index, **said[fault])


ROWS = st.lists(
    st.tuples(st.integers(1, 4), st.sampled_from(["none", "cell", "unit", "team", "twin", "other"])), max_size=8
)


async def outcome(rows: Sequence[dict[str, str]]) -> tuple[Any, Any, Any]:
    """What an import into an empty registry leaves: the report by content of rows, the volunteers, the events."""
    world = await RegistryWorld().prepare()
    before = len(world.announced())
    report = (await world.send("volunteers", sheet("volunteers", rows))).json
    refused = sorted((str(rows[error["row"] - 2]), error["column"], error["code"]) for error in report["errors"])
    counted = (report["rows"], report["accepted"], report["unchanged"], report["refused"])
    kept = sorted(
        (each["number"], each["home_unit"], each["teams"], each["citizen"], each["fingerprint"], each["version"])
        for each in world.store.documents("volunteers").values()
    )
    events = sorted(event.number for event in world.announced()[before:])
    return (counted, refused), kept, events


@given(rows=ROWS, rng=st.randoms())
@settings(max_examples=40)
def test_rows_in_any_order_leave_the_same(rows: list[tuple[int, str]], rng: Any) -> None:
    lines = [some_row(index, fault) for index, fault in rows]
    shuffled = list(lines)
    rng.shuffle(shuffled)
    assert asyncio.run(outcome(lines)) == asyncio.run(outcome(shuffled))


@given(rows=ROWS)
@settings(max_examples=40)
def test_an_import_twice_is_an_import_once(rows: list[tuple[int, str]]) -> None:
    async def check() -> None:
        world = await RegistryWorld().prepare()
        body = sheet("volunteers", [some_row(index, fault) for index, fault in rows])
        rehearsed = (await world.send("volunteers", body, dry_run=True)).json
        first = (await world.send("volunteers", body)).json
        kept, events = world.store.documents("volunteers"), world.announced()
        second = (await world.send("volunteers", body)).json
        assert rehearsed == {**first, "dry_run": True}
        assert (world.store.documents("volunteers"), world.announced()) == (kept, events)
        assert (second["accepted"], second["errors"]) == (0, first["errors"])
        assert second["unchanged"] == first["accepted"] + first["unchanged"]

    asyncio.run(check())


@given(data=st.data())
@settings(max_examples=30)
def test_chunks_of_any_size_leave_the_same(data: st.DataObject) -> None:
    rows = data.draw(ROWS)
    lines = [some_row(index, fault) for index, fault in rows]
    whole = asyncio.run(outcome(lines))
    usual, handlers.CHUNK_ROWS_MAX = handlers.CHUNK_ROWS_MAX, data.draw(st.integers(1, 4))
    try:
        assert asyncio.run(outcome(lines)) == whole
    finally:
        handlers.CHUNK_ROWS_MAX = usual


def test_organisations_in_any_order_leave_the_same() -> None:
    rows = [
        ("DP-9", "部门", "局", "340802", "", "2020-01-01"),
        ("ST-9", "驿站", "站", "340802", "DP-9", "2021-01-01"),
        ("TM-9", "团队", "队", "340802", "ST-9", "2024-01-01"),
        ("DP-8", "部门", "室", "340802", "TM-8", "2020-01-01"),
        ("TM-8", "团队", "八队", "340802", "DP-8", "2024-01-01"),
    ]

    async def left(order: Sequence[Sequence[str]]) -> Any:
        world = await RegistryWorld().prepare()
        report = (await world.send("organisations", sheet("organisations", order))).json
        refused = sorted((order[error["row"] - 2][0], error["code"]) for error in report["errors"])
        return report["accepted"], refused, world.store.documents("organisations")

    outcomes = [asyncio.run(left(order)) for order in list(permutations(rows))[::7]]
    assert all(each == outcomes[0] for each in outcomes)
    assert outcomes[0][:2] == (
        3,
        [("DP-8", "organisation_parent_unknown"), ("TM-8", "organisation_parent_unknown")],
    )


@given(body=st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_any_bytes_are_answered(body: bytes) -> None:
    header = ",".join(VOLUNTEERS.columns.values()).encode()

    async def check() -> None:
        world = await RegistryWorld().prepare(places=False)
        for sent in (body, header + b"\n" + body):
            answer = await world.send("volunteers", sent)
            assert answer.status in {200, 422}
            assert answer.status == 422 or answer.json["accepted"] == 0

    asyncio.run(check())


@given(days=st.integers(0, 366 * 60))
def test_an_age_is_of_one_band_and_grows(days: int) -> None:
    order = ["under_60", *[band for _, band in reversed(BANDS)]]
    born = date(1940, 2, 29)
    first, second = (born + timedelta(days=366 * 40 + days + more) for more in (0, 365))
    assert order.index(age_band(born, first)) <= order.index(age_band(born, second))
