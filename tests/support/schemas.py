"""Compares two JSON Schemas of one event: what would break a reader of either."""

from typing import Any


def breaking_changes(older: dict[str, Any], newer: dict[str, Any]) -> list[str]:
    """What a later revision may not do: drop or retype a field, change what is required, drop or add an allowed value.

    Adding an optional field is all that is allowed; a value added to an enumeration would park at older readers.
    """
    found = _object("event", older, newer)
    for name, schema in older.get("$defs", {}).items():
        found += _object(name, schema, newer.get("$defs", {}).get(name, {}))
    return found


def _object(name: str, older: dict[str, Any], newer: dict[str, Any]) -> list[str]:
    found = []
    if set(older.get("required", ())) != set(newer.get("required", ())):
        found.append(f"{name}: required")
    before, after = older.get("properties", {}), newer.get("properties", {})
    if missing := set(before) - set(after):
        found.append(f"{name}: properties {sorted(missing)}")
    for field in set(before) & set(after):
        found += [f"{name}.{field}: {rule}" for rule in _rules(before[field], after[field])]
    return found


def _rules(older: dict[str, Any], newer: dict[str, Any]) -> list[str]:
    rules = (set(older) | set(newer)) - {"description", "title", "default"}
    return sorted(rule for rule in rules if older.get(rule) != newer.get(rule))
