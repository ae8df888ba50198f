"""Tests (unit/hours)."""
