"""Every code that registry refuses with is declared, and every declared one is used and tried."""

import re
from pathlib import Path

from services.registry.problems import PROBLEMS
from services.runtime.problems import RUNTIME_PROBLEMS

ROOT = Path(__file__).parents[3]
SHARED = ("services/runtime/sheets.py", "services/runtime/cells.py")
"""What reads the files and cells of any service; the codes that it refuses with are registry's too."""
CODES = {problem.code for problem in PROBLEMS}
USES = re.compile(r'(?:Fault\("\w+", |Refusal\(|refused\(|WrongCellError\(|matching\([\w.]+, |return )"([a-z]\w*_\w+)"')


def source(folder: str, *, without: str = "") -> str:
    """All code below a folder, but for one file."""
    return "\n".join(path.read_text() for path in (ROOT / folder).rglob("*.py") if path.name != without)


def registry_source(*, without: str = "") -> str:
    """All code that registry refuses with, but for one file."""
    shared = [(ROOT / path).read_text() for path in SHARED]
    return "\n".join([source("services/registry", without=without), *shared])


def test_every_code_in_use_is_declared() -> None:
    used = set(USES.findall(registry_source()))
    assert len(used) > 40
    assert used <= CODES | {problem.code for problem in RUNTIME_PROBLEMS}


def test_every_declared_code_is_used_and_has_a_test() -> None:
    code, tests = registry_source(without="problems.py"), source("tests/unit/registry")
    assert [each for each in sorted(CODES) if f'"{each}"' not in code] == []
    assert [each for each in sorted(CODES) if f'"{each}"' not in tests] == []


def test_titles_are_chinese_and_say_different_things() -> None:
    titles = [problem.title for problem in PROBLEMS]
    assert all(not title.isascii() for title in titles)
    assert len(titles) == len(set(titles))
