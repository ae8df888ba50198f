"""Turns a person's data into sealed fields and back, and into the marks it is recognised by."""

import asyncio
from collections.abc import Iterator, Mapping
from datetime import date

import msgspec

from services.registry.personal.rules import Personal
from services.registry.personal.vault import Sealed, Vault

CITIZEN = "citizen-id"
FINGERPRINT = "personal-data"
SEALED_PEOPLE_MAX = 100
"""People sealed in one go: cryptography holds the loop up, this many for some ten milliseconds."""
NAME, ID_NUMBER, MOBILE, ADDRESS, BACKGROUND = "name", "id_number", "mobile", "address", "background"

_ENCODE = msgspec.json.Encoder().encode


class _Background(msgspec.Struct, frozen=True):
    """What is only ever needed together, sealed as one value."""

    id_type: str
    sex: str
    birth_date: date
    political_status: str
    ethnic_group: str


def citizen_mark(vault: Vault, personal: Personal) -> str:
    """What two registrations of one person have in common."""
    return vault.mark(CITIZEN, f"{personal.id_type}|{personal.id_number}")


def fingerprint(vault: Vault, personal: Personal) -> str:
    """What tells whether anything personal has changed, without opening what is sealed."""
    return vault.mark(FINGERPRINT, _ENCODE(personal).decode())


def fields_of(personal: Personal) -> dict[str, str]:
    """The values to be sealed, by field; what is not known has no field."""
    background = _Background(
        personal.id_type, personal.sex, personal.birth_date, personal.political_status, personal.ethnic_group
    )
    values = {
        NAME: personal.name,
        ID_NUMBER: personal.id_number,
        MOBILE: personal.mobile,
        ADDRESS: personal.address,
        BACKGROUND: _ENCODE(background).decode(),
    }
    return {field: value for field, value in values.items() if value is not None}


def personal_of(values: Mapping[str, str]) -> Personal:
    """The person's data from opened fields, all of them."""
    background = msgspec.json.decode(values[BACKGROUND])
    return msgspec.convert(
        {
            **background,
            "name": values[NAME],
            "id_number": values[ID_NUMBER],
            "mobile": values.get(MOBILE),
            "address": values.get(ADDRESS),
        },
        Personal,
    )


class Sealer:
    """Seals for one command: whatever its transaction's repeats ask for again is not sealed again."""

    def __init__(self, vault: Vault) -> None:
        self._vault = vault
        self._done: dict[tuple[str, str], Sealed] = {}

    async def seal(self, people: Mapping[str, tuple[str, Personal]]) -> dict[str, Sealed]:
        """Sealed fields by person id; beside each person's data stands its fingerprint."""
        wanted = {
            person: fields_of(personal)
            for person, (mark, personal) in people.items()
            if (person, mark) not in self._done
        }
        for group in _groups(wanted, SEALED_PEOPLE_MAX):
            sealed = await self._vault.seal(group)
            self._done |= {(person, people[person][0]): sealed[person] for person in group}
            await asyncio.sleep(0)
        return {person: self._done[person, mark] for person, (mark, _) in people.items()}


def _groups(people: Mapping[str, dict[str, str]], size: int) -> Iterator[dict[str, dict[str, str]]]:
    persons = list(people)
    for start in range(0, len(persons), size):
        yield {person: people[person] for person in persons[start : start + size]}
