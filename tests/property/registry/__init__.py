"""Tests (property/registry)."""
