"""Tests (unit)."""
