"""A secret in a file is found, one that was judged harmless is not told again, and no text of either is shown."""

import json
from pathlib import Path
from typing import Any

import pytest

from deploy import secret_scan
from deploy.secret_scan import BASELINE, ROOT, scan, unknown

SAID = "zT7#qLw9!xRk2"  # made up, and under a name that no detector minds
KEY = "-----BEGIN " + "PRIVATE KEY-----"


@pytest.fixture
def baseline() -> dict[str, Any]:
    read: dict[str, Any] = json.loads((ROOT / BASELINE).read_text())
    return read


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "settings.py").write_text(f'import os\n\npassword = "{SAID}"\n')
    (tmp_path / "key.pem").write_text(f"{KEY}\nMIIB\n")
    (tmp_path / "clean.py").write_text('password = os.environ["PASSWORD"]\n')
    return tmp_path


FILES = ("settings.py", "key.pem", "clean.py")


def test_a_password_and_a_key_are_found_where_they_stand(folder: Path, baseline: dict[str, Any]) -> None:
    found = scan(folder, FILES, baseline)
    assert [(each.path, each.kind, each.line) for each in found] == [
        ("key.pem", "Private Key", 1),
        ("settings.py", "Secret Keyword", 3),
    ]
    assert SAID not in repr(found)


def test_what_the_baseline_knows_stays_known_on_another_line(folder: Path, baseline: dict[str, Any]) -> None:
    found = scan(folder, FILES, baseline)
    known = {each.path: [{"type": each.kind, "hashed_secret": each.sha1}] for each in found}
    (folder / "settings.py").write_text(f'\n\n\n\nimport os\n\npassword = "{SAID}"\n')
    again = scan(folder, FILES, baseline)
    assert unknown(again, known) == []
    assert [each.path for each in unknown(again, {"key.pem": known["key.pem"]})] == ["settings.py"]


def test_a_test_may_make_up_a_password_and_no_key(folder: Path, baseline: dict[str, Any]) -> None:
    found = [each._replace(path=f"tests/{each.path}") for each in scan(folder, FILES, baseline)]
    assert [each.path for each in unknown(found, {})] == ["tests/key.pem"]


def test_the_program_fails_for_a_stranger_and_shows_none_of_it(
    folder: Path, baseline: dict[str, Any], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    (folder / BASELINE).write_text(json.dumps({**baseline, "results": {}}))
    monkeypatch.setattr(secret_scan, "ROOT", folder)
    monkeypatch.setattr(secret_scan, "_files", lambda _: FILES)
    with pytest.raises(SystemExit) as ended:
        secret_scan.main()
    assert ended.value.code
    told = capfd.readouterr().err
    assert "settings.py:3" in told
    assert SAID not in told


def test_the_scan_asks_nobody_whether_a_secret_is_in_use(baseline: dict[str, Any]) -> None:
    assert not [each for each in baseline["filters_used"] if "verification" in each["path"]]
