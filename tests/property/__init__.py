"""Tests (property)."""
