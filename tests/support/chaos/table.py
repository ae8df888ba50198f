"""Writes into docs/reliability.md which fault was survived at which point, how often and by how many seeds.

``python -m tests.support.chaos.table`` makes it of ``docs/figures/chaos.json``; ``--check`` says whether it is fresh.
"""

import json
import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, Final

from tests.support import figures
from tests.support.chaos.plan import EVERY_CARD, Card

PAGE: Final = figures.ROOT / "docs" / "reliability.md"
KEPT: Final = figures.FOLDER / "chaos.json"
BEGIN: Final = "<!-- chaos table: written by `python -m tests.support.chaos.table` -->\n"
END: Final = "<!-- end of chaos table -->\n"
EVERY_POINT_FROM_FAULTS: Final = 100
"""So many faults of one run pass every kind and every point."""
NOT_YET: Final = "–"


def row_name(card: Card) -> str:
    """What a kind of fault and a point are called among figures."""
    kind, point = card
    return f"{kind}@{point}" if point else kind


def with_run(kept: Mapping[str, Any] | None, outcome: Mapping[str, Any]) -> dict[str, Any]:
    """The figures with one run more; a seed that runs again takes the place of what it came to before."""
    runs = dict((kept or {}).get("runs", {}))
    runs[str(outcome["seed"])] = outcome["faults"]
    return {"runs": runs, "last": dict(outcome)}


def kept_figures() -> Mapping[str, Any] | None:
    """What earlier runs have left; nothing if there were none, or of another shape."""
    if not KEPT.exists():
        return None
    found: dict[str, Any] = json.loads(KEPT.read_text())["figures"]
    return found if "runs" in found else None


def survived(runs: Mapping[str, Mapping[str, Any]]) -> dict[str, tuple[int, int, float]]:
    """How often, by how many seeds, and the slowest to heal in seconds; by row."""
    found: dict[str, tuple[int, int, float]] = defaultdict(lambda: (0, 0, 0.0))
    for faults in runs.values():
        for row, came in faults.items():
            times, seeds, slowest = found[row]
            found[row] = (times + came["survived"], seeds + 1, max(slowest, came["slowest_s"]))
    return dict(found)


def render(runs: Mapping[str, Mapping[str, Any]]) -> str:
    """The table, a row for each kind and point, whether it was met yet or not."""
    found = survived(runs)
    faults = sum(times for times, _, _ in found.values())
    lines = [
        f"Seeds: {', '.join(sorted(runs, key=int)) or 'none yet'}. {faults} faults, all survived.\n",
        "| Fault | Point | Survived | Seeds | Slowest to heal, s |",
        "|---|---|---|---|---|",
    ]
    for kind, point in EVERY_CARD:
        times, seeds, slowest = found.get(row_name((kind, point)), (0, 0, 0.0))
        numbers = f"{times} | {seeds} | {slowest}" if times else f"{NOT_YET} | {NOT_YET} | {NOT_YET}"
        lines.append(f"| {kind.replace('_', ' ')} | {point.replace('_', ' ')} | {numbers} |")
    return "\n".join(lines) + "\n"


def page_with_table(page: str, table: str) -> str:
    """The page with the table between its marks."""
    head, _, rest = page.partition(BEGIN)
    _, _, tail = rest.partition(END)
    return f"{head}{BEGIN}{table}{END}{tail}"


def fresh_page() -> str:
    """The page as it must be."""
    kept = kept_figures()
    return page_with_table(PAGE.read_text(), render(kept["runs"] if kept else {}))


def main(arguments: Sequence[str]) -> int:
    """Writes the table, or checks it; the exit code."""
    if arguments == ["--check"]:
        return int(fresh_page() != PAGE.read_text())
    PAGE.write_text(fresh_page())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
