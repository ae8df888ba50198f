"""What is valid of a person's data, and how much of it is shown."""

from datetime import date

import pytest

from services.registry.personal.rules import (
    Personal,
    age_band,
    check_character,
    faults_of,
    is_personal_number,
    mask_id_number,
    mask_mobile,
    mask_name,
)
from tests.support.registry import TODAY, a_person, id_number


def test_a_valid_person_has_no_faults() -> None:
    assert faults_of(a_person(), TODAY) == ()


def test_a_person_without_mobile_and_address_has_no_faults() -> None:
    assert faults_of(a_person(mobile=None, address=None), TODAY) == ()


@pytest.mark.parametrize("name", ["王芳", "欧阳国强", "买买提·艾力", "Anna O'Neill", "𠮷野家"])
def test_names_people_have_are_valid(name: str) -> None:
    assert faults_of(a_person(name=name), TODAY) == ()


@pytest.mark.parametrize(
    ("said", "field", "code"),
    [
        ({"name": "王"}, "name", "name_form"),
        ({"name": "王芳2"}, "name", "name_form"),
        ({"name": "王*芳"}, "name", "name_form"),
        ({"name": "王" * 51}, "name", "name_form"),
        ({"number": ""}, "id_number", "id_number_form"),
        ({"number": "34990119560302001"}, "id_number", "id_number_form"),
        ({"number": "3.49901E+17"}, "id_number", "id_number_form"),
        ({"number": "34990119560302001a"}, "id_number", "id_number_form"),
        ({"number": "349901195603020015"}, "id_number", "id_number_check_digit"),
        ({"number": id_number(date(1956, 3, 3))}, "id_number", "id_number_birth_date"),
        ({"sex": "2"}, "id_number", "id_number_sex"),
        ({"serial": 2, "sex": "1"}, "id_number", "id_number_sex"),
        ({"born": date(2008, 7, 2)}, "birth_date", "birth_date_range"),
        ({"born": date(1905, 7, 1)}, "birth_date", "birth_date_range"),
        ({"born": date(2027, 1, 1)}, "birth_date", "birth_date_range"),
        ({"political_status": "14"}, "political_status", "political_status_unknown"),
        ({"political_status": "党员"}, "political_status", "political_status_unknown"),
        ({"ethnic_group": "57"}, "ethnic_group", "ethnic_group_unknown"),
        ({"ethnic_group": "00"}, "ethnic_group", "ethnic_group_unknown"),
        ({"mobile": "1540100001"}, "mobile", "mobile_form"),
        ({"mobile": "12401000012"}, "mobile", "mobile_form"),
        ({"mobile": "0556-5501234"}, "mobile", "mobile_form"),
        ({"address": "路" * 201}, "address", "address_form"),
        ({"address": "七号\n二单元"}, "address", "address_form"),
    ],
)
def test_what_is_wrong_is_named_by_field_and_code(said: dict[str, object], field: str, code: str) -> None:
    assert [tuple(fault) for fault in faults_of(a_person(**said), TODAY)] == [(field, code)]  # type: ignore[arg-type]


def test_every_wrong_field_is_named_at_once() -> None:
    person = a_person(name="1", number="x", political_status="x", ethnic_group="x", mobile="x", address="\n")
    assert [fault.field for fault in faults_of(person, TODAY)] == [
        "name",
        "id_number",
        "political_status",
        "ethnic_group",
        "mobile",
        "address",
    ]


@pytest.mark.parametrize("sex", ["0", "9"])
def test_an_unstated_sex_contradicts_no_id_number(sex: str) -> None:
    assert faults_of(a_person(sex=sex), TODAY) == ()


def test_the_region_of_an_id_number_is_not_looked_up() -> None:
    assert faults_of(a_person(number=id_number(region="999999")), TODAY) == ()


def test_check_characters_are_those_of_the_standard() -> None:
    # the two numbers that GB 11643-1999 itself gives as examples
    assert check_character("11010519491231002") == "X"
    assert check_character("44052418800101001") == "4"


@pytest.mark.parametrize(
    ("born", "band"),
    [
        (date(1966, 7, 2), "under_60"),
        (date(1966, 7, 1), "60s"),
        (date(1956, 7, 2), "60s"),
        (date(1956, 7, 1), "70_74"),
        (date(1951, 7, 1), "75_79"),
        (date(1946, 7, 2), "75_79"),
        (date(1946, 7, 1), "80_and_over"),
    ],
)
def test_an_age_band_begins_on_the_birthday(born: date, band: str) -> None:
    assert age_band(born, TODAY) == band


@pytest.mark.parametrize(
    ("text", "personal"),
    [
        ("15401000012", True),
        ("349901195603020014", True),
        ("34990119560302001x", True),
        ("340802510307451", True),
        ("340802000012", False),
        ("A-15401000012", False),
    ],
)
def test_numbers_of_people_are_recognised(text: str, personal: bool) -> None:
    assert is_personal_number(text) is personal


def test_masks_show_little_and_the_same_for_every_length() -> None:
    assert (mask_name("王芳"), mask_name("王小芳")) == ("王**", "王**")
    assert mask_id_number("349901195603020014") == "349*************14"
    assert (mask_mobile("15401000012"), mask_mobile(None)) == ("154****0012", None)


def test_a_person_printed_by_accident_says_nothing() -> None:
    person = a_person()
    shown = f"{person} {person!r} {[person]}"
    assert not [value for value in (person.name, person.id_number, person.mobile) if value and value in shown]
    assert isinstance(person, Personal)
