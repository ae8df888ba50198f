"""Tests (property/hours)."""
