"""Brings data back: backups, restores, rebuilt projections and their comparison with the live ones; no domain word."""
