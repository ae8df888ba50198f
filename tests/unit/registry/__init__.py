"""Tests (unit/registry)."""
