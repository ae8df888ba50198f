"""Tests (property/activities)."""
