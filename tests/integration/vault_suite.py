"""What every vault must do: one suite for the real one and for the fake."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol

import pytest

Person = Mapping[str, str]
LI: Person = {"name": "李建国", "mobile": "13800138000", "address": "安徽省安庆市迎江区" * 50, "note": ""}
WANG: Person = {"name": "王秀英", "mobile": "13800138000"}


class Vault(Protocol):
    """What is asked of a vault; registry's port and erasure."""

    async def seal(self, people: Mapping[str, Mapping[str, str]]) -> dict[str, dict[str, bytes]]: ...
    async def open(self, people: Mapping[str, Mapping[str, bytes]]) -> dict[str, dict[str, str]]: ...
    def mark(self, purpose: str, value: str) -> str: ...
    async def ping(self) -> None: ...


Destroy = Callable[[str], Awaitable[None]]
Scenario = Callable[[Vault, Destroy], Awaitable[None]]
SCENARIOS: list[Scenario] = []


def scenario(function: Scenario) -> Scenario:
    """Add a scenario to the suite."""
    SCENARIOS.append(function)
    return function


class VaultSuite:
    """The suite; ``run`` is what differs."""

    def run(self, scenario: Scenario) -> None:
        """Run the scenario to its end with a new vault."""
        raise NotImplementedError

    @pytest.mark.parametrize("each", SCENARIOS, ids=lambda function: function.__name__)
    def test_vault(self, each: Scenario) -> None:
        self.run(each)


@scenario
async def what_was_sealed_opens(vault: Vault, _: Destroy) -> None:
    sealed = await vault.seal({"li": LI, "wang": WANG, "nobody": {}})
    assert {person: set(fields) for person, fields in sealed.items()} == {
        "li": set(LI),
        "wang": set(WANG),
        "nobody": set(),
    }
    assert await vault.open(sealed) == {"li": LI, "wang": WANG, "nobody": {}}
    assert await vault.open({"wang": {"name": sealed["wang"]["name"]}}) == {"wang": {"name": "王秀英"}}


@scenario
async def sealed_values_are_bytes_that_say_nothing(vault: Vault, _: Destroy) -> None:
    sealed = await vault.seal({"li": LI, "wang": WANG})
    for person, fields in (("li", LI), ("wang", WANG)):
        for field, value in fields.items():
            found = sealed[person][field]
            assert type(found) is bytes
            assert not value or value.encode() not in found
    assert sealed["li"]["mobile"] != sealed["wang"]["mobile"]


@scenario
async def many_people_are_sealed_and_opened_at_once(vault: Vault, _: Destroy) -> None:
    people = {f"person {number}": {"name": f"name {number}"} for number in range(250)}
    assert await vault.open(await vault.seal(people)) == people


@scenario
async def nobody_is_sealed_and_opened(vault: Vault, _: Destroy) -> None:
    assert await vault.seal({}) == {}
    assert await vault.open({}) == {}


@scenario
async def a_person_without_a_key_is_not_in_the_answer(vault: Vault, _: Destroy) -> None:
    sealed = await vault.seal({"li": LI})
    assert await vault.open({"stranger": sealed["li"]}) == {}


@scenario
async def later_values_of_a_person_open_beside_earlier_ones(vault: Vault, _: Destroy) -> None:
    first = (await vault.seal({"li": {"name": "李建国"}}))["li"]
    second = (await vault.seal({"li": {"mobile": "13900139000"}}))["li"]
    assert await vault.open({"li": first | second}) == {"li": {"name": "李建国", "mobile": "13900139000"}}


@scenario
async def a_new_person_sealed_twice_at_once_has_one_key(vault: Vault, _: Destroy) -> None:
    sealed = await asyncio.gather(*(vault.seal({"li": {f"field {number}": "value"}}) for number in range(5)))
    together = {field: value for each in sealed for field, value in each["li"].items()}
    assert await vault.open({"li": together}) == {"li": {f"field {number}": "value" for number in range(5)}}


@scenario
async def a_destroyed_key_erases_one_person(vault: Vault, destroy: Destroy) -> None:
    sealed = await vault.seal({"li": LI, "wang": WANG})
    await vault.open(sealed)
    await destroy("li")
    assert await vault.open(sealed) == {"wang": WANG}


@scenario
async def equal_values_of_a_purpose_have_equal_marks(vault: Vault, _: Destroy) -> None:
    number = "34080219500101123X"
    assert vault.mark("citizen", number) == vault.mark("citizen", number)
    assert vault.mark("citizen", number) != vault.mark("mobile", number)
    assert vault.mark("citizen", number) != vault.mark("citizen", number[:-1] + "1")
    assert vault.mark("ab", "c") != vault.mark("a", "bc")
    assert number not in vault.mark("citizen", number)
    assert len(vault.mark("citizen", number)) >= 32


@scenario
async def a_vault_that_works_says_so(vault: Vault, _: Destroy) -> None:
    await vault.ping()
