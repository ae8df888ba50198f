"""Tests (unit/activities)."""
