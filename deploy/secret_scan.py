"""Looks for secrets in the repository's files, and fails for each that the baseline does not call harmless."""

import json
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from detect_secrets.core.secrets_collection import SecretsCollection
from detect_secrets.settings import transient_settings

ROOT: Final = Path(__file__).parent.parent
BASELINE: Final = ".secrets.baseline"
"""What only looks like a secret, reviewed: ``detect-secrets audit .secrets.baseline`` shows each in its place."""
PROCESSES: Final = 2
_NOT_SCANNED: Final = (BASELINE, "requirements.lock", "deploy/requirements.lock", "docs/asyncapi.json", "docs/openapi/")
"""Lists of hashes, and what is generated from sources that are scanned: paths, or how they begin."""
_MADE_UP: Final = frozenset({"Basic Auth Credentials", "Secret Keyword"})
"""What tests may make up, as they may for ruff's own rules of this kind; keys and tokens they may not."""


class Found(NamedTuple):
    """Something that looks like a secret; never the text itself."""

    path: str
    kind: str
    sha1: str
    line: int

    @property
    def is_same_as(self) -> tuple[str, str, str]:
        """What names it wherever in its file it stands: a baseline must not age with every line above it."""
        return self.path, self.kind, self.sha1


def scan(root: Path, paths: Iterable[str], configuration: dict[str, object]) -> list[Found]:
    """What looks like a secret in these files, with the detectors of a baseline's configuration."""
    secrets = SecretsCollection(root=str(root))
    with transient_settings(configuration):
        secrets.scan_files(*paths, num_processors=PROCESSES)
    found = [
        Found(path, each.type, each.secret_hash, each.line_number)
        for path, several in secrets.data.items()
        for each in several
    ]
    return sorted(found)


def unknown(found: Sequence[Found], baseline: dict[str, list[dict[str, str]]]) -> list[Found]:
    """Those that the baseline's results do not hold."""
    known = {(path, each["type"], each["hashed_secret"]) for path, several in baseline.items() for each in several}
    return [each for each in found if each.is_same_as not in known and not _is_made_up(each)]


def _is_made_up(found: Found) -> bool:
    return found.path.startswith("tests/") and found.kind in _MADE_UP


def _files(root: Path) -> list[str]:
    """Tracked files, and new ones that git does not ignore: a secret is to be found before it is committed."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True).stdout.splitlines()
    return [path for path in listed if not path.startswith(_NOT_SCANNED) and (root / path).is_file()]


def main() -> None:
    """Scans the repository; exits with 1 for what the baseline does not know."""
    baseline = json.loads((ROOT / BASELINE).read_text())
    strangers = unknown(scan(ROOT, _files(ROOT), baseline), baseline["results"])
    for each in strangers:
        sys.stderr.write(f"secrets: {each.path}:{each.line}: looks like a secret ({each.kind})\n")
    if strangers:
        sys.stderr.write(
            f"secrets: take it out and change it; if it is none, add it to {BASELINE} (docs/threat-model.md)\n"
        )
    sys.exit(bool(strangers))


if __name__ == "__main__":
    main()
