"""Every kept figure is cited on a page, with the command that makes it."""

import json
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"
KEPT = sorted((DOCS / "figures").glob("*.json"))


@pytest.mark.parametrize("path", KEPT, ids=lambda path: path.stem)
def test_figure_is_cited_and_says_how_it_was_made(path: Path) -> None:
    document = json.loads(path.read_text())
    assert document["command"].startswith("make ")
    assert {"commit", "machine", "load_before", "on"} <= document["measured"].keys()
    pages = (DOCS / "figures.md").read_text() + (DOCS / "reliability.md").read_text()
    assert f"figures/{path.name}" in pages
