"""Nobody real can be meant by what is made up."""

import random
from datetime import date

from deploy.history import civil


def test_the_check_digit_is_the_standards() -> None:
    assert civil.check_digit("11010519491231002") == "X"  # the example of GB 11643-1999


def test_an_identity_number_lies_in_a_region_that_does_not_exist() -> None:
    number = civil.identity_number(3, date(1955, 2, 9), 12)
    assert number[:6] == "349903"
    assert number[6:14] == "19550209"
    assert number[14:17] == "012"
    assert civil.check_digit(number[:17]) == number[17]


def test_mobiles_have_an_unassigned_prefix_and_differ() -> None:
    mobiles = {civil.mobile(unit, person) for unit in (1, 2) for person in range(1, 2_000)}
    assert len(mobiles) == 2 * 1_999
    assert all(len(mobile) == 11 and mobile.startswith("154") for mobile in mobiles)


def test_names_have_two_or_three_characters() -> None:
    rng = random.Random(1)
    assert {len(civil.full_name(rng)) for _ in range(200)} == {2, 3}
