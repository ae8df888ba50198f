"""The table of docs/reliability.md is what the kept chaos runs came to, and a whole campaign struck everywhere."""

from typing import Any

import pytest

from tests.support.chaos import table
from tests.support.chaos.plan import EVERY_CARD
from tests.support.chaos.table import EVERY_POINT_FROM_FAULTS, fresh_page, kept_figures, row_name


def struck(run: dict[str, Any]) -> int:
    return int(sum(came["survived"] for came in run.values()))


def test_the_table_is_made_of_the_kept_figures() -> None:
    assert fresh_page() == table.PAGE.read_text(), "run python -m tests.support.chaos.table"


def test_a_campaign_struck_with_every_fault_at_every_point() -> None:
    kept = kept_figures()
    assert kept is not None
    for seed, run in kept["runs"].items():
        missing = {row_name(card) for card in EVERY_CARD} - run.keys()
        assert not missing or struck(run) < EVERY_POINT_FROM_FAULTS, f"seed {seed} never struck with {missing}"


def test_a_table_that_was_edited_is_seen(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    page = tmp_path / "reliability.md"
    page.write_text(table.PAGE.read_text().replace("| cut |", "| cuts |"))
    monkeypatch.setattr(table, "PAGE", page)
    assert table.main(["--check"]) == 1
    assert table.main([]) == 0
    assert table.main(["--check"]) == 0
