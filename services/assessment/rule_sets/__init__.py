"""Holds rule sets: indicators, weights and targets as versioned data."""
