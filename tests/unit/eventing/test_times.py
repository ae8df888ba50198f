"""Times as text sort as the instants do and lose nothing."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.eventing.times import from_text, to_text

INSTANTS = st.datetimes(timezones=st.sampled_from([UTC, timezone(timedelta(hours=8)), timezone(timedelta(hours=-11))]))
# a year's offset must not carry the instant out of the years that Python knows
IN_RANGE = INSTANTS.filter(lambda at: 2 <= at.year <= 9998)


@given(IN_RANGE)
def test_reading_gives_back_what_was_written(at: datetime) -> None:
    assert from_text(to_text(at)) == at


@given(IN_RANGE, IN_RANGE)
def test_texts_sort_as_instants_do(first: datetime, second: datetime) -> None:
    assert (to_text(first) < to_text(second)) == (first < second)


def test_the_form_is_fixed() -> None:
    at = datetime(2026, 7, 1, 8, 0, tzinfo=timezone(timedelta(hours=8)))
    assert to_text(at) == "2026-07-01T00:00:00.000000Z"


@pytest.mark.parametrize(
    "text",
    ["2026-07-01T00:00:00Z", "2026-07-01T08:00:00.000000+08:00", "2026-07-01T00:00:00.000000", "", "x" * 26 + "Z"],
)
def test_another_form_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        from_text(text)


def test_a_time_without_a_zone_is_a_bug() -> None:
    with pytest.raises(AssertionError):
        to_text(datetime(2026, 7, 1))  # noqa: DTZ001 - the very thing that must not pass
