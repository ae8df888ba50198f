"""The oracle scores by hand-checked fractions."""

from fractions import Fraction

import pytest

from tests.support.histories import VOLUNTEER, History, approve, at, line, propose, reading
from tests.support.oracle.scoreboard import Score, months_of


def score(history: History, period: str = "2026-07", unit: str = "340802") -> Score:
    return history.judge().scoreboard(period)[unit]


def test_participation_is_retired_cadres_with_a_credited_session_over_the_roll(history: History) -> None:
    history.volunteer("V1").volunteer("V2", retired="否").volunteer("V3").volunteer("V4", registered="2026-08-01")
    history.volunteer("V5", unit="340828").session()
    history.roster(*(line(number=number) for number in ("V1", "V2", "V4", "V5")))
    assert score(history).values["I5"] == Fraction(1, 4)


def test_participation_looks_back_twelve_months_hours_do_not(history: History) -> None:
    history.volunteer().session()
    history.roster(line())
    assert score(history, "2027-06").values["I5"] == Fraction(1, 4)
    assert score(history, "2027-07").values["I5"] == 0
    assert score(history, "2026-08").values["I13"] == 0


def test_grade_0_and_sessions_of_no_minute_are_no_participation(history: History) -> None:
    history.volunteer().volunteer("V2").session()
    history.back_office += [propose(at("13:00")), approve(at("13:01"))]
    history.kiosk(reading("check_in", at("09:00"), "V2"))
    found = score(history)
    assert found.values["I5"] == 0
    assert found.values["I13"] == 0


def test_stations_count_half_by_number_and_half_by_use(history: History) -> None:
    history.rolls[:] = [("340802", "2025-12-31", 801)]
    history.stations.append(("ST-2", "340802", "2020-01-01"))
    history.volunteer().session().roster(line())
    assert score(history).values["I10"] == Fraction(1, 2) * Fraction(2, 3) + Fraction(1, 2) * Fraction(1, 2)


def test_a_station_must_be_used_every_month(history: History) -> None:
    history.rolls[:] = [("340802", "2025-12-31", 400)]
    history.volunteer().session().roster(line())
    assert score(history, "2026-07").values["I10"] == 1
    assert score(history, "2026-Q3").values["I10"] == Fraction(1, 2)


def test_no_station_is_no_point(history: History) -> None:
    history.stations.clear()
    history.volunteer().session(station="")
    history.roster(line())
    assert score(history).values["I10"] == 0


def test_a_missed_check_out_still_attends_a_session(history: History) -> None:
    history.volunteer().session().kiosk(reading("check_in", at("09:00")))
    assert score(history).values["I15"] == Fraction(1, 12)


def test_hours_are_of_home_volunteers_over_the_scaled_target(history: History) -> None:
    history.volunteer().volunteer("V2", unit="340828").session(unit="340828")
    history.roster(line(), line(number="V2"))
    expected = Fraction(2) / 4 / (Fraction(25) * 3 / 12)
    assert score(history, "2026-Q3").values["I13"] == expected


def test_key_fields_are_of_the_unit_served(history: History) -> None:
    history.volunteer(unit="340828").session().session("S-2", at("13:00"), at("14:00"), key_field="mediation")
    history.session("S-3", at("15:00"), at("16:00"), key_field="")
    history.roster(
        line(),
        line(at("13:00"), at("14:00"), session="S-2"),
        line(at("15:00"), at("16:00"), session="S-3"),
    )
    assert score(history).values["I15"] == Fraction(2, 12)
    assert score(history, unit="340828").values["I15"] == 0


def test_points_are_capped_values_are_not(history: History) -> None:
    history.rolls[:] = [("340802", "2025-12-31", 1)]
    history.volunteer().volunteer("V2").session().session("S-2", at("13:00"), at("16:00"))
    for number in (VOLUNTEER, "V2"):
        history.roster(line(number=number), line(at("13:00"), at("16:00"), number=number, session="S-2"), name=number)
    found = score(history)
    assert found.values["I5"] == 2
    assert found.values["I13"] == Fraction(10) / (Fraction(25) / 12)
    assert found.points == 11 + 4 + 6 + Fraction(3, 12)


def test_the_roll_is_the_last_one_counted_by_the_periods_end(history: History) -> None:
    history.rolls += [("340802", "2026-07-31", 2), ("340802", "2026-08-01", 1)]
    history.volunteer().session().roster(line())
    assert score(history).values["I5"] == Fraction(1, 2)


def test_without_a_roll_its_indicators_are_missing_and_give_no_point(history: History) -> None:
    history.rolls.clear()
    history.volunteer().session().roster(line())
    found = score(history)
    assert found.values == {"I5": None, "I10": None, "I13": None, "I15": Fraction(1, 12)}
    assert found.points == Fraction(3, 12)


@pytest.mark.parametrize(
    ("period", "months"),
    [
        ("2026-07", ["2026-07"]),
        ("2026-Q3", ["2026-07", "2026-08", "2026-09"]),
        ("2026-Q4", ["2026-10", "2026-11", "2026-12"]),
    ],
)
def test_periods_are_whole_months(period: str, months: list[str]) -> None:
    assert months_of(period) == months
