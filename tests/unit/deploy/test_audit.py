"""An audit of the locked packages says what is known, and never calls clean what it could not ask about."""

import json
from typing import Any

import pytest

from deploy.audit import Audit, exit_code, judge

CLEAN: dict[str, Any] = {"name": "starlette", "version": "1.0", "vulns": []}
SKIPPED = {"name": "faust-streaming", "skip_reason": "not found"}
WRONG = {"name": "pyjwt", "version": "2.3", "vulns": [{"id": "PYSEC-2022-202", "fix_versions": ["2.4"]}]}


def report(*packages: object) -> str:
    return json.dumps({"dependencies": packages, "fixes": []})


@pytest.mark.parametrize(
    ("text", "verdict", "line"),
    [
        (report(CLEAN), "clean", "1 packages have no known vulnerability"),
        (report(CLEAN, SKIPPED), "clean", "1 packages have no known vulnerability, 1 unknown"),
        (report(CLEAN, SKIPPED, WRONG), "vulnerable", "pyjwt 2.3: PYSEC-2022-202, mended in 2.4"),
        (report(SKIPPED, SKIPPED), "not asked", "the package index has no advisories for any locked package"),
        (report(), "not asked", "the package index has no advisories for any locked package"),
        ("", "not asked", "no route"),
        ("[]", "not asked", "no route"),
    ],
)
def test_a_report_means(text: str, verdict: str, line: str) -> None:
    assert judge(text, "no route") == Audit(verdict, [line])  # type: ignore[arg-type] # the parameters are verdicts


def test_a_known_vulnerability_fails_and_an_index_that_is_away_only_where_it_must_be_there() -> None:
    assert exit_code(Audit("clean", []), required=True) == 0
    assert exit_code(Audit("vulnerable", []), required=False) == 1
    assert exit_code(Audit("not asked", []), required=False) == 0
    assert exit_code(Audit("not asked", []), required=True) == 1
