"""Computes exact scores from rollups under a rule set."""
