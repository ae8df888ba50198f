"""Reads the rule sets that are published with the code."""

from functools import cache
from pathlib import Path

import msgspec

from services.assessment.rule_sets.rules import RuleSet, faults

FOLDER = Path(__file__).parent


class UnusableRuleSetError(Exception):
    """A rule set cannot be used; the message lists why."""


@cache
def rule_sets() -> dict[str, RuleSet]:
    """Every published rule set, by id, oldest first. Raises ``UnusableRuleSetError``."""
    found = [read_rule_set(path.read_bytes()) for path in sorted(FOLDER.glob("*.json"))]
    return {rule_set.id: rule_set for rule_set in sorted(found, key=lambda rule_set: rule_set.valid_from)}


def read_rule_set(text: bytes) -> RuleSet:
    """One rule set from its JSON. Raises ``UnusableRuleSetError``."""
    try:
        rule_set = msgspec.json.decode(text, type=RuleSet)
    except msgspec.DecodeError as error:
        raise UnusableRuleSetError(str(error)) from error
    if found := faults(rule_set):
        raise UnusableRuleSetError(f"{rule_set.id}: " + "; ".join(found))
    return rule_set


def rule_set_for(day_text: str) -> RuleSet:
    """The rule set in force on a date (``YYYY-MM-DD``): the latest that is valid from then or before."""
    in_force = [rule_set for rule_set in rule_sets().values() if rule_set.valid_from.isoformat() <= day_text]
    return in_force[-1] if in_force else next(iter(rule_sets().values()))
