"""Decides what is valid of a person's own data, and how much of it a list may show: pure."""

import re
from datetime import date
from typing import Literal

import msgspec

from services.contracts.ids import AgeBand
from services.registry.decisions import Fault, Faults

Sex = Literal["0", "1", "2", "9"]
"""GB/T 2261.1: unknown, male, female, unstated."""
IdType = Literal["resident_id"]
"""居民身份证; other papers are refused until their forms are known."""

_CHARACTER = r"\u3400-\u4dbf\u4e00-\u9fff\U00020000-\U000323afA-Za-z"
NAME = re.compile(rf"[{_CHARACTER}][{_CHARACTER}·.' -]{{1,49}}")
"""Chinese characters or letters, with the dot of names in translation; two at least."""
CITIZEN_ID = re.compile(r"[0-9]{17}[0-9X]")
MOBILE = re.compile(r"1[3-9][0-9]{9}")
ADDRESS_CHARACTERS_MAX = 200
POLITICAL_STATUSES = frozenset(f"{number:02d}" for number in range(1, 14))
"""GB/T 4762 as the national exchange uses it."""
ETHNIC_GROUPS = frozenset([*(f"{number:02d}" for number in range(1, 57)), "97", "98"])
"""GB/T 3304: the 56 groups, others, and foreigners naturalised."""
AGE_YEARS_MIN = 18
AGE_YEARS_MAX = 120
BANDS: tuple[tuple[int, AgeBand], ...] = ((80, "80_and_over"), (75, "75_79"), (70, "70_74"), (60, "60s"))

_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_CHECK_CHARACTERS = "10X98765432"
_PERSONAL_NUMBER = re.compile(r"1[3-9][0-9]{9}|[0-9]{15}|[0-9]{17}[0-9Xx]")


class Personal(msgspec.Struct, frozen=True, gc=False):
    """What identifies a volunteer. Stays in registry; is stored sealed, field by field."""

    name: str
    id_type: IdType
    id_number: str
    sex: Sex
    birth_date: date
    political_status: str
    ethnic_group: str
    mobile: str | None
    address: str | None

    def __repr__(self) -> str:
        """Says nothing: what is printed by accident must not name anybody."""
        return "Personal(...)"


def faults_of(personal: Personal, today: date) -> Faults:
    """Everything that is wrong with a person's data, field by field, in the order of the fields."""
    return tuple(
        Fault(field, code)
        for field, code in (
            ("name", _name_fault(personal.name)),
            ("id_number", _id_number_fault(personal)),
            ("birth_date", _birth_date_fault(personal.birth_date, today)),
            (
                "political_status",
                None if personal.political_status in POLITICAL_STATUSES else "political_status_unknown",
            ),
            ("ethnic_group", None if personal.ethnic_group in ETHNIC_GROUPS else "ethnic_group_unknown"),
            ("mobile", _mobile_fault(personal.mobile)),
            ("address", _address_fault(personal.address)),
        )
        if code is not None
    )


def _name_fault(name: str) -> str | None:
    return None if NAME.fullmatch(name) else "name_form"


def _mobile_fault(mobile: str | None) -> str | None:
    return None if mobile is None or MOBILE.fullmatch(mobile) else "mobile_form"


def _address_fault(address: str | None) -> str | None:
    return (
        None
        if address is None or (len(address) <= ADDRESS_CHARACTERS_MAX and address.isprintable())
        else "address_form"
    )


def _id_number_fault(personal: Personal) -> str | None:
    """GB 11643: form, check character, and agreement with birth date and sex.

    The first six digits name where the number was issued, which may be abolished since: they are not looked up.
    """
    number = personal.id_number
    if not CITIZEN_ID.fullmatch(number):
        return "id_number_form"
    if check_character(number[:17]) != number[17]:
        return "id_number_check_digit"
    if number[6:14] != f"{personal.birth_date:%Y%m%d}":
        return "id_number_birth_date"
    sex_in_number = "1" if int(number[16]) % 2 else "2"
    return None if personal.sex in {sex_in_number, "0", "9"} else "id_number_sex"


def check_character(body: str) -> str:
    """The 18th character of a citizen id number whose first 17 digits are ``body`` (ISO 7064 MOD 11-2)."""
    return _CHECK_CHARACTERS[sum(int(digit) * weight for digit, weight in zip(body, _WEIGHTS, strict=True)) % 11]


def _birth_date_fault(born: date, today: date) -> str | None:
    return None if AGE_YEARS_MIN <= age_years(born, today) <= AGE_YEARS_MAX else "birth_date_range"


def age_years(born: date, today: date) -> int:
    """Full years; who was born on 29 February has their birthday on 1 March in other years."""
    return today.year - born.year - ((today.month, today.day) < (born.month, born.day))


def age_band(born: date, today: date) -> AgeBand:
    """The only thing about age that leaves registry."""
    age = age_years(born, today)
    return next((band for least, band in BANDS if age >= least), "under_60")


def is_personal_number(text: str) -> bool:
    """Whether a text has the form of a citizen id or mobile number, which must never be an id of ours."""
    return _PERSONAL_NUMBER.fullmatch(text) is not None


def mask_name(name: str) -> str:
    """The first character and two stars, however long the name is."""
    return f"{name[0]}**"


def mask_id_number(number: str) -> str:
    """The first three and the last two characters."""
    return f"{number[:3]}{'*' * 13}{number[-2:]}"


def mask_mobile(mobile: str | None) -> str | None:
    """The first three and the last four digits."""
    return None if mobile is None else f"{mobile[:3]}****{mobile[-4:]}"
