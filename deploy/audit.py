"""Asks the package index what is known to be wrong with the locked packages, and says so when it cannot be asked."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple

ROOT: Final = Path(__file__).parent.parent
LOCK: Final = ROOT / "requirements.lock"
TIMEOUT_S: Final = 30
ANSWER_TIMEOUT_S: Final = 3
"""How long one answer of the index may take."""
REQUIRED: Final = "AUDIT"
"""``AUDIT=required``: to be unable to ask is a failure; for where the index must be reachable, as in a release."""

Verdict = Literal["clean", "vulnerable", "not asked"]


class Audit(NamedTuple):
    """What an audit found: ``lines`` say it to people."""

    verdict: Verdict
    lines: list[str]


def judge(report: str, complaint: str) -> Audit:
    """What pip-audit's JSON report means; ``complaint`` is the last it said on standard error.

    A package that the index does not know is skipped by pip-audit, which then calls the rest clean: an index that
    knows none of them has not been asked at all.
    """
    try:
        packages: list[dict[str, Any]] = json.loads(report)["dependencies"]
    except (ValueError, KeyError, TypeError):
        return Audit("not asked", [complaint or "no report"])
    asked = [each for each in packages if "skip_reason" not in each]
    found = [
        f"{each['name']} {each['version']}: {flaw['id']}, mended in {', '.join(flaw['fix_versions']) or 'no version'}"
        for each in asked
        for flaw in each["vulns"]
    ]
    if found:
        return Audit("vulnerable", found)
    if not asked:
        return Audit("not asked", ["the package index has no advisories for any locked package"])
    skipped = len(packages) - len(asked)
    return Audit(
        "clean", [f"{len(asked)} packages have no known vulnerability" + (f", {skipped} unknown" * (skipped > 0))]
    )


def ask(lock: Path) -> Audit:
    """Runs pip-audit over a lock; nothing is installed or resolved. Never raises for an index that is away."""
    command = [
        *(sys.executable, "-m", "pip_audit", "--requirement", str(lock), "--disable-pip", "--require-hashes"),
        *("--vulnerability-service", "pypi", "--timeout", str(ANSWER_TIMEOUT_S)),
        *("--format", "json", "--progress-spinner", "off"),
    ]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=TIMEOUT_S)
    except subprocess.TimeoutExpired:
        return Audit("not asked", [f"no answer within {TIMEOUT_S} s"])
    return judge(done.stdout, (done.stderr.strip().splitlines() or [""])[-1])


def exit_code(audit: Audit, *, required: bool) -> int:
    """0 if nothing is known to be wrong; to be unable to ask is a failure only where it is required."""
    return int(audit.verdict == "vulnerable" or (audit.verdict == "not asked" and required))


def main() -> None:
    """Audits the lock; exits with 1 for a known vulnerability."""
    audit = ask(LOCK)
    for line in audit.lines:
        sys.stderr.write(f"audit: {audit.verdict}: {line}\n")
    sys.exit(exit_code(audit, required=os.environ.get(REQUIRED) == "required"))


if __name__ == "__main__":
    main()
