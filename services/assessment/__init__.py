"""Keeps what service proves: facts, rollups, rule sets, scores."""
