"""What make run loads, and what it leaves alone."""

from datetime import date
from pathlib import Path

import pytest

from deploy.history.city import read_units
from deploy.history.generate import Period
from deploy.local import run

TODAY = date(2026, 11, 24)


@pytest.mark.parametrize(
    ("scale", "first", "last"),
    [
        ("sample", date(2026, 10, 1), date(2026, 10, 1)),
        ("month", date(2026, 10, 1), date(2026, 10, 1)),
        ("quarter", date(2026, 7, 1), date(2026, 9, 1)),
        ("city", date(2023, 11, 1), date(2026, 10, 1)),
    ],
)
def test_a_scale_names_months_that_are_over(scale: str, first: date, last: date) -> None:
    assert run.span_of(scale, TODAY) == Period(first, last)


def test_an_unknown_scale_is_refused() -> None:
    with pytest.raises(ValueError, match="SCALE is one of sample"):
        run.span_of("nation", TODAY)


def test_the_sample_is_of_units_that_exist() -> None:
    assert set(run.SCALES["sample"].only) <= {unit.code for unit in read_units()}


def test_an_earlier_run_is_removed_and_nothing_else(tmp_path: Path) -> None:
    for name in ("history", "servers", "logs"):
        (tmp_path / name / "deep").mkdir(parents=True)
    (tmp_path / "clock").touch()
    (tmp_path / "vault-master-key").touch()
    (tmp_path / "thesis.txt").touch()
    run._remove_earlier_run(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["thesis.txt", "vault-master-key"]


def test_removing_what_is_not_there_is_no_error(tmp_path: Path) -> None:
    run._remove_earlier_run(tmp_path / "never")


def test_time_adds_up_by_stage() -> None:
    watch = run.Stopwatch()
    for _ in range(2):
        with watch.timing("lists"):
            pass
    assert list(watch.seconds) == ["lists"]
    assert watch.seconds["lists"] >= 0
